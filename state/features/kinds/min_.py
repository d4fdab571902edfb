"""min: the least value of a field in the window; unknown before the first."""

from state.features.panes import MIN_FLOAT, MIN_INT, fold_panes, wide_columns
from state.features.spec import ORDERED, FeatureKind, FeatureSpec, same
from state.schema import Kind


def _operation(spec: FeatureSpec) -> int:
    return MIN_FLOAT if spec.value_kind == Kind.FLOAT else MIN_INT


KIND = FeatureKind(
    "min",
    wide_columns,
    fold_panes,
    results=same(*ORDERED),
    takes="a number or a time",
    example='min = "e.number"',
    mode=_operation,
)
