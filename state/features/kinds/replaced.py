"""replaced: on the event with which a value settles, the value that it replaces; unknown on all others, and the first.

What settling is, `state.features.settling` says. The value that has settled is that of the event.
"""

from state.features.kinds.settled import sightings_of
from state.features.moments import fold_moments
from state.features.settling import SETTLED_AT, SETTLING_BYTES, VALUE, settle, sight
from state.features.spec import ColumnSpec, FeatureKind, FeatureSpec, same
from state.jit import part
from state.raw import load_i64
from state.schema import Kind
from state.zone import Transitions


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", SETTLING_BYTES // 8)]


@part
def step(
    address: int, now: int, updates: bool, cell_at: int, mode: int, window_ms: int, _transitions: Transitions
) -> tuple[bool, int]:
    """Take one row in (see `state.features.moments`)."""
    if not updates or not sight(address, now, load_i64(cell_at), mode, window_ms):
        return False, 0
    before, known = load_i64(address + VALUE), load_i64(address + SETTLED_AT) != 0
    settle(address, now, load_i64(cell_at))
    return known, before


KIND = FeatureKind(
    "replaced",
    _columns,
    fold_moments(step, row_bytes=SETTLING_BYTES),
    results=same(*(kind for kind in Kind if kind is not Kind.SET)),
    takes="a single value",
    example='replaced = "e.word"\nsightings = 2',
    mode=sightings_of,
    settles=True,
)
