"""sum: the total of a field over the matching events of the window; 0 before the first.

An integer total that leaves 64 bits stays at the nearest number that does not, pane by pane, oldest first. A float
total is added in that order too.
"""

from typing import Any

from numpy.typing import NDArray

from state.features.panes import ADD_FLOAT, ADD_INT, fold_with, pane_columns
from state.features.spec import Arrays, ColumnSpec, FeatureKind, FeatureSpec
from state.schema import Kind


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    return pane_columns(spec, wide=True)


def _fold(spec: FeatureSpec, arrays: Arrays, *columns: NDArray[Any]) -> None:
    operation = ADD_FLOAT if spec.value_kind == Kind.FLOAT else ADD_INT
    fold_with(operation, spec, arrays, *columns)


KINDS = (FeatureKind("sum", _columns, _fold, needs_source=True),)
