"""last: the value of a field in the latest matching event of the window, by event time; unknown before the first.

A row of the column: time of that event, its value.
"""

from state.features.moments import mode_of, within
from state.features.rows import AHEAD, view_of
from state.features.spec import BASE, LAST, MODE, WINDOW_MS, ColumnSpec, FeatureKind, FeatureSpec
from state.jit import kernel
from state.raw import load_i32, load_i64, load_u8, prefetch, store_i64, store_u8
from state.zone import Transitions

_STRIDE = 16


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 2)]


@kernel
def fold_last(feature: int, view: int, transitions: Transitions) -> None:
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


KINDS = (FeatureKind("last", _columns, LAST, mode_of, needs_source=True),)
