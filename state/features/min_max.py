"""min, max: the least and the greatest value of a field in the window; unknown before the first."""

from functools import partial
from typing import Any

from numpy.typing import NDArray

from state.features.panes import MAX_FLOAT, MAX_INT, MIN_FLOAT, MIN_INT, fold_with, pane_columns
from state.features.spec import Arrays, ColumnSpec, FeatureKind, FeatureSpec
from state.schema import Kind


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    return pane_columns(spec, wide=True)


def _fold(of_int: int, of_float: int, spec: FeatureSpec, arrays: Arrays, *columns: NDArray[Any]) -> None:
    operation = of_float if spec.value_kind == Kind.FLOAT else of_int
    fold_with(operation, spec, arrays, *columns)


KINDS = (
    FeatureKind("min", _columns, partial(_fold, MIN_INT, MIN_FLOAT), needs_source=True),
    FeatureKind("max", _columns, partial(_fold, MAX_INT, MAX_FLOAT), needs_source=True),
)
