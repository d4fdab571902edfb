"""since: milliseconds from the latest earlier matching event to this row, not counting the row's own event.

Unknown before the first match, once it has left the window, and for a row older than the latest match, since the match
before such a row is no longer kept. A row of the column: the time of the latest match.
"""

from state.features.moments import mode_of, within
from state.features.rows import AHEAD, view_of
from state.features.spec import BASE, MODE, SINCE, WINDOW_MS, ColumnSpec, FeatureKind, FeatureSpec
from state.jit import kernel
from state.raw import load_i32, load_i64, load_u8, prefetch, store_i64, store_u8
from state.zone import Transitions

_STRIDE = 8


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 1)]


@kernel
def fold_since(feature: int, view: int, transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base, mode, window_ms = load_i64(feature + BASE), load_i64(feature + MODE), load_i64(feature + WINDOW_MS)
    slots_at, rows_at, n, updates_at, times_at, _, out_at, known_at = view_of(view)
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


KINDS = (FeatureKind("since", _columns, SINCE, mode_of, needs_source=False),)
