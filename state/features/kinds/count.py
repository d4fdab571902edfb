"""count: how many matching events the window holds. Stops at COUNT_MAX (2,147,483,647); 0 before the first.

With a field, only events that know it count.
"""

from state.features.panes import COUNT, fold_panes, pane_columns
from state.features.spec import ColumnSpec, FeatureKind, FeatureSpec, always
from state.schema import Kind


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    return pane_columns(spec, wide=False)


KIND = FeatureKind(
    "count",
    _columns,
    fold_panes,
    results=always(Kind.INT),
    takes="anything",
    example='count = "e"',
    mode=lambda _: COUNT,
)
