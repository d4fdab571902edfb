"""count: how many matching events the window holds. Stops at COUNT_MAX (2,147,483,647); 0 before the first.

With a field, only events that know it count.
"""

from state.features.panes import COUNT, fold_panes, narrow_columns
from state.features.spec import FeatureKind, always
from state.schema import Kind

KIND = FeatureKind(
    "count",
    narrow_columns,
    fold_panes,
    results=always(Kind.INT),
    takes="anything",
    example='count = "e"',
    mode=lambda _: COUNT,
)
