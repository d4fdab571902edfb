"""max: the greatest value of a field in the window; unknown before the first."""

from state.features.panes import MAX_FLOAT, MAX_INT, fold_panes, wide_columns
from state.features.spec import ORDERED, FeatureKind, FeatureSpec, same
from state.schema import Kind


def _operation(spec: FeatureSpec) -> int:
    return MAX_FLOAT if spec.value_kind == Kind.FLOAT else MAX_INT


KIND = FeatureKind(
    "max",
    wide_columns,
    fold_panes,
    results=same(*ORDERED),
    takes="a number or a time",
    example='max = "e.number"',
    mode=_operation,
)
