"""count: how many matching events the window holds. Stops at COUNT_MAX (2,147,483,647); 0 before the first."""

from functools import partial

from state.features.panes import COUNT, fold_with, pane_columns
from state.features.spec import ColumnSpec, FeatureKind, FeatureSpec


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    return pane_columns(spec, wide=False)


KINDS = (FeatureKind("count", _columns, partial(fold_with, COUNT), needs_source=False),)
