"""since: milliseconds from the latest earlier matching event to this row, not counting the row's own event.

Unknown before the first match, once it has left the window, and for a row older than the latest match, since the match
before such a row is no longer kept. A row of the column: the time of the latest match.
"""

from state.features.moments import fold_moments, mode_of, within
from state.features.spec import ColumnSpec, FeatureKind, FeatureSpec, always
from state.jit import part
from state.raw import load_i64, store_i64
from state.schema import Kind
from state.zone import Transitions


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 1)]


@part
def step(
    address: int, now: int, updates: bool, _cell_at: int, mode: int, window_ms: int, transitions: Transitions
) -> tuple[bool, int]:
    """Take one row in (see `state.features.moments`)."""
    at = load_i64(address)
    if updates and now > at:
        store_i64(address, now)
    return at != 0 and now >= at and within(at, now, mode, window_ms, transitions), now - at


KIND = FeatureKind(
    "since",
    _columns,
    fold_moments(step, row_bytes=8),
    results=always(Kind.INT),
    takes="anything",
    example='since = "e"',
    mode=mode_of,
    duration=True,
)
