"""previous: the value of a field in the matching event before the latest, by event time; unknown until there are two.

It may equal the latest value. A row of the column: time and value of the latest event, then of the one before.
"""

from state.features.moments import fold_moments, mode_of, within
from state.features.spec import ColumnSpec, FeatureKind, FeatureSpec, same
from state.jit import part
from state.raw import load_i64, store_i64
from state.schema import Kind
from state.zone import Transitions


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 4)]


@part
def step(
    address: int, now: int, updates: bool, cell_at: int, mode: int, window_ms: int, transitions: Transitions
) -> tuple[bool, int]:
    """Take one row in (see `state.features.moments`)."""
    if updates:
        if now >= load_i64(address):
            store_i64(address + 16, load_i64(address))
            store_i64(address + 24, load_i64(address + 8))
            store_i64(address, now)
            store_i64(address + 8, load_i64(cell_at))
        elif now >= load_i64(address + 16):
            store_i64(address + 16, now)
            store_i64(address + 24, load_i64(cell_at))
    at = load_i64(address + 16)
    known = at != 0 and within(at, max(now, load_i64(address)), mode, window_ms, transitions)
    return known, load_i64(address + 24)


KIND = FeatureKind(
    "previous",
    _columns,
    fold_moments(step, row_bytes=32),
    results={None: Kind.TIME, **same(*Kind)},
    takes="anything",
    example='previous = "e.word"',
    mode=mode_of,
)
