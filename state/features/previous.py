"""previous: the value of a field in the matching event before the latest, by event time; unknown until there are two.

It may equal the latest value. A row of the column: time and value of the latest event, then of the one before.
"""

import numpy as np
from numpy.typing import NDArray

from state.features.moments import mode_of, within
from state.features.panes import AHEAD
from state.features.spec import Arrays, ColumnSpec, FeatureKind, FeatureSpec, Int64s
from state.jit import kernel
from state.raw import address_of, load_i64, prefetch, store_i64
from state.zone import Transitions

_STRIDE = 32


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 4)]


def _fold(
    spec: FeatureSpec,
    arrays: Arrays,
    slots: NDArray[np.int32],
    rows: NDArray[np.int32],
    updates: NDArray[np.uint8],
    at_ms: Int64s,
    cells: Int64s,
    out: Int64s,
    known: NDArray[np.uint8],
) -> None:
    fold_previous(
        arrays[0], mode_of(spec), spec.window_ms, spec.transitions, slots, rows, updates, at_ms, cells, out, known
    )  # fmt: skip


@kernel
def fold_previous(
    state: NDArray[np.int64], mode: int, window_ms: int, transitions: Transitions, slots: NDArray[np.int32],
    rows: NDArray[np.int32], updates: NDArray[np.uint8], at_ms: Int64s, cells: Int64s, out: Int64s,
    known: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Fold the rows in order (see `state.features`)."""
    base = address_of(state)
    n = rows.shape[0]
    for i in range(n):
        if i + AHEAD < n:
            prefetch(base + slots[rows[i + AHEAD]] * _STRIDE)
        row = rows[i]
        slot = slots[row]
        out[row] = 0
        known[row] = 0
        if slot < 0:
            continue
        address = base + slot * _STRIDE
        now = max(at_ms[row], 1)
        if updates[row]:
            if now >= load_i64(address):
                store_i64(address + 16, load_i64(address))
                store_i64(address + 24, load_i64(address + 8))
                store_i64(address, now)
                store_i64(address + 8, cells[row])
            elif now >= load_i64(address + 16):
                store_i64(address + 16, now)
                store_i64(address + 24, cells[row])
        at = load_i64(address + 16)
        if at != 0 and within(at, max(now, load_i64(address)), mode, window_ms, transitions):
            out[row] = load_i64(address + 24)
            known[row] = 1


KINDS = (FeatureKind("previous", _columns, _fold, needs_source=True),)
