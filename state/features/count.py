"""count: how many matching events the window holds. Stops at COUNT_MAX (2,147,483,647); 0 before the first."""

from state.features.panes import COUNT, pane_columns
from state.features.spec import PANES, ColumnSpec, FeatureKind, FeatureSpec


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    return pane_columns(spec, wide=False)


KINDS = (FeatureKind("count", _columns, PANES, lambda _: COUNT, needs_source=False),)
