"""change: whether this row changes what a field was in the latest matching event before it, by event time.

False on rows that do not tell it, on the first that does, and on one that is older than the latest. A row of the
column: time of the latest event, its value. An expression brings such a feature along (`rules.changes`).
"""

from state.features.moments import fold_moments
from state.features.spec import ColumnSpec, FeatureKind, FeatureSpec
from state.jit import part
from state.raw import load_i64, store_i64
from state.schema import Kind
from state.zone import Transitions

FLOATS = 1
"""Mode of a field that is a float, of which 0.0 and -0.0 are one."""
_MINUS_ZERO = -(1 << 63)


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 2)]


@part
def step(
    address: int, now: int, updates: bool, cell_at: int, mode: int, _window_ms: int, _transitions: Transitions
) -> tuple[bool, int]:
    """Take one row in (see `state.features.moments`)."""
    before_ms = load_i64(address)
    if not updates or now < before_ms:
        return True, 0
    value, before = load_i64(cell_at), load_i64(address + 8)
    if mode == FLOATS and value == _MINUS_ZERO:
        value = 0
    store_i64(address, now)
    store_i64(address + 8, value)
    return True, 1 if before_ms != 0 and value != before else 0


KIND = FeatureKind(
    "change",
    _columns,
    fold_moments(step, row_bytes=16),
    results=dict.fromkeys(Kind, Kind.BOOL),
    takes="a field",
    example="",
    mode=lambda spec: FLOATS if spec.value_kind is Kind.FLOAT else 0,
    built_in=True,
)
