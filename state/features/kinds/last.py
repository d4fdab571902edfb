"""last: the value of a field in the latest matching event of the window, by event time; unknown before the first.

A row of the column: time of that event, its value.
"""

from state.features.moments import fold_moments, mode_of, within
from state.features.spec import ColumnSpec, FeatureKind, FeatureSpec, same
from state.jit import part
from state.raw import load_i64, store_i64
from state.schema import Kind
from state.zone import Transitions


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 2)]


@part
def step(
    address: int, now: int, updates: bool, cell_at: int, mode: int, window_ms: int, transitions: Transitions
) -> tuple[bool, int]:
    """Take one row in (see `state.features.moments`)."""
    at = load_i64(address)
    value = load_i64(address + 8)
    if updates and now >= at:
        at = now
        value = load_i64(cell_at)
        store_i64(address, at)
        store_i64(address + 8, value)
    return at != 0 and within(at, max(now, at), mode, window_ms, transitions), value


KIND = FeatureKind(
    "last",
    _columns,
    fold_moments(step, row_bytes=16),
    results={None: Kind.TIME, **same(*Kind)},
    takes="anything",
    example='last = "e.word"',
    mode=mode_of,
)
