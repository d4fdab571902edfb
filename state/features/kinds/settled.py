"""settled: the value of a field that was seen `sightings` times in a row, or for `held_for`; unknown before the first.

What settling is, `state.features.settling` says. `replaced` is the value before it.
"""

from state.features.moments import fold_moments
from state.features.settling import SETTLED_AT, SETTLING_BYTES, VALUE, settle, sight
from state.features.spec import ColumnSpec, FeatureKind, FeatureSpec, same
from state.jit import part
from state.raw import load_i64
from state.schema import Kind
from state.zone import Transitions


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", SETTLING_BYTES // 8)]


def sightings_of(spec: FeatureSpec) -> int:
    """The mode of the loop: how often a value must be seen."""
    return spec.sightings


@part
def step(
    address: int, now: int, updates: bool, cell_at: int, mode: int, window_ms: int, _transitions: Transitions
) -> tuple[bool, int]:
    """Take one row in (see `state.features.moments`)."""
    if updates and sight(address, now, load_i64(cell_at), mode, window_ms):
        settle(address, now, load_i64(cell_at))
    return load_i64(address + SETTLED_AT) != 0, load_i64(address + VALUE)


KIND = FeatureKind(
    "settled",
    _columns,
    fold_moments(step, row_bytes=SETTLING_BYTES),
    results=same(*(kind for kind in Kind if kind is not Kind.SET)),
    takes="a single value",
    example='settled = "e.word"\nsightings = 2',
    mode=sightings_of,
    settles=True,
)
