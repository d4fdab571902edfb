"""sum: the total of a field over the matching events of the window; 0 before the first.

An integer total that leaves 64 bits stays at the nearest number that does not, pane by pane, oldest first. A float
total is added in that order too.
"""

from state.features.panes import ADD_FLOAT, ADD_INT, fold_panes, wide_columns
from state.features.spec import NUMBERS, FeatureKind, FeatureSpec, same
from state.schema import Kind


def _operation(spec: FeatureSpec) -> int:
    return ADD_FLOAT if spec.value_kind == Kind.FLOAT else ADD_INT


KIND = FeatureKind(
    "sum",
    wide_columns,
    fold_panes,
    results=same(*NUMBERS),
    takes="a number",
    example='sum = "e.part"',
    mode=_operation,
)
