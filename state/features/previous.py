"""previous: the value of a field in the matching event before the latest, by event time; unknown until there are two.

It may equal the latest value. A row of the column: time and value of the latest event, then of the one before.
"""

from state.features.moments import mode_of, within
from state.features.rows import AHEAD, view_of
from state.features.spec import BASE, MODE, PREVIOUS, WINDOW_MS, ColumnSpec, FeatureKind, FeatureSpec
from state.jit import kernel
from state.raw import load_i32, load_i64, load_u8, prefetch, store_i64, store_u8
from state.zone import Transitions

_STRIDE = 32


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 4)]


@kernel
def fold_previous(feature: int, view: int, transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base, mode, window_ms = load_i64(feature + BASE), load_i64(feature + MODE), load_i64(feature + WINDOW_MS)
    slots_at, rows_at, n, updates_at, times_at, cells_at, out_at, known_at = view_of(view)
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
        if load_u8(updates_at + row) != 0:
            if now >= load_i64(address):
                store_i64(address + 16, load_i64(address))
                store_i64(address + 24, load_i64(address + 8))
                store_i64(address, now)
                store_i64(address + 8, load_i64(cells_at + 8 * row))
            elif now >= load_i64(address + 16):
                store_i64(address + 16, now)
                store_i64(address + 24, load_i64(cells_at + 8 * row))
        at = load_i64(address + 16)
        if at != 0 and within(at, max(now, load_i64(address)), mode, window_ms, transitions):
            store_i64(out_at + 8 * row, load_i64(address + 24))
            store_u8(known_at + row, 1)


KINDS = (FeatureKind("previous", _columns, PREVIOUS, mode_of, needs_source=True),)
