"""min, max: the least and the greatest value of a field in the window; unknown before the first."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from state.features.panes import MAX_FLOAT, MAX_INT, MIN_FLOAT, MIN_INT, fold_with, pane_columns
from state.features.spec import Arrays, ColumnSpec, FeatureKind, FeatureSpec, Int64s
from state.schema import Kind


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    return pane_columns(spec, wide=True)


def _fold(
    of_int: int,
    of_float: int,
    spec: FeatureSpec,
    arrays: Arrays,
    slots: NDArray[np.int32],
    rows: NDArray[np.int32],
    updates: NDArray[np.uint8],
    at_ms: Int64s,
    cells: Int64s,
    out: Int64s,
    known: NDArray[np.uint8],
) -> None:
    operation = of_float if spec.value_kind == Kind.FLOAT else of_int
    fold_with(operation, spec, arrays, slots, rows, updates, at_ms, cells, out, known)


KINDS = (
    FeatureKind("min", _columns, partial(_fold, MIN_INT, MIN_FLOAT), needs_source=True),
    FeatureKind("max", _columns, partial(_fold, MAX_INT, MAX_FLOAT), needs_source=True),
)
