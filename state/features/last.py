"""last: the value of a field in the latest matching event of the window, by event time; unknown before the first.

A row of the column: time of that event, its value.
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

_STRIDE = 16


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 2)]


def _fold(spec: FeatureSpec, arrays: Arrays, *columns: NDArray[Any]) -> None:
    fold_last(arrays[0], mode_of(spec), spec.window_ms, spec.transitions, *columns)


@kernel
def fold_last(
    state: NDArray[np.int64], mode: int, window_ms: int, transitions: Transitions, slots: NDArray[np.int32],
    rows: NDArray[np.int32], updates: NDArray[np.uint8], at_ms: Int64s, cells: Int64s, out: Int64s,
    known: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Fold the rows in order (see `state.features`)."""
    base = address_i64(state)
    slots_at, rows_at, updates_at = address_i32(slots), address_i32(rows), address_u8(updates)
    times_at, cells_at, out_at, known_at = address_i64(at_ms), address_i64(cells), address_i64(out), address_u8(known)
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
        value = load_i64(address + 8)
        if load_u8(updates_at + row) != 0 and now >= at:
            at = now
            value = load_i64(cells_at + 8 * row)
            store_i64(address, at)
            store_i64(address + 8, value)
        if at != 0 and within(at, max(now, at), mode, window_ms, transitions):
            store_i64(out_at + 8 * row, value)
            store_u8(known_at + row, 1)


KINDS = (FeatureKind("last", _columns, _fold, needs_source=True),)
