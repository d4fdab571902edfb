"""min, max: the least and the greatest value of a field in the window; unknown before the first."""

from state.features.panes import MAX_FLOAT, MAX_INT, MIN_FLOAT, MIN_INT, pane_columns
from state.features.spec import PANES, ColumnSpec, FeatureKind, FeatureSpec
from state.schema import Kind


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    return pane_columns(spec, wide=True)


def _least(spec: FeatureSpec) -> int:
    return MIN_FLOAT if spec.value_kind == Kind.FLOAT else MIN_INT


def _greatest(spec: FeatureSpec) -> int:
    return MAX_FLOAT if spec.value_kind == Kind.FLOAT else MAX_INT


KINDS = (
    FeatureKind("min", _columns, PANES, _least, needs_source=True),
    FeatureKind("max", _columns, PANES, _greatest, needs_source=True),
)
