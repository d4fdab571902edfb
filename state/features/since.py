"""since: milliseconds from the latest earlier matching event to this row, not counting the row's own event.

Unknown before the first match, once it has left the window, and for a row older than the latest match, since the match
before such a row is no longer kept. A row of the column: the time of the latest match.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.features.moments import mode_of, within
from state.features.panes import AHEAD
from state.features.spec import Arrays, ColumnSpec, FeatureKind, FeatureSpec, Int64s
from state.jit import kernel
from state.raw import (
    address_i32,
    address_i64,
    address_u8,
    load_i32,
    load_i64,
    load_u8,
    prefetch,
    store_i64,
    store_u8,
)
from state.zone import Transitions

_STRIDE = 8


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 1)]


def _fold(spec: FeatureSpec, arrays: Arrays, *columns: NDArray[Any]) -> None:
    slots, rows, updates, at_ms, _cells, out, known = columns
    fold_since(
        arrays[0], mode_of(spec), spec.window_ms, spec.transitions, slots, rows, updates, at_ms, out, known
    )  # fmt: skip


@kernel
def fold_since(
    state: NDArray[np.int64], mode: int, window_ms: int, transitions: Transitions, slots: NDArray[np.int32],
    rows: NDArray[np.int32], updates: NDArray[np.uint8], at_ms: Int64s, out: Int64s, known: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Fold the rows in order (see `state.features`)."""
    base = address_i64(state)
    slots_at, rows_at, updates_at = address_i32(slots), address_i32(rows), address_u8(updates)
    times_at, out_at, known_at = address_i64(at_ms), address_i64(out), address_u8(known)
    n = rows.shape[0]
    for i in range(n):
        if i + AHEAD < n:
            prefetch(base + load_i32(slots_at + 4 * load_i32(rows_at + 4 * (i + AHEAD))) * _STRIDE)
        row = load_i32(rows_at + 4 * i)
        slot = load_i32(slots_at + 4 * row)
        store_i64(out_at + 8 * row, 0)
        store_u8(known_at + row, 0)
        if slot < 0:
            continue
        address = base + slot * _STRIDE
        now = max(load_i64(times_at + 8 * row), 1)
        at = load_i64(address)
        if at != 0 and now >= at and within(at, now, mode, window_ms, transitions):
            store_i64(out_at + 8 * row, now - at)
            store_u8(known_at + row, 1)
        if load_u8(updates_at + row) != 0 and now > at:
            store_i64(address, now)


KINDS = (FeatureKind("since", _columns, _fold, needs_source=False),)
