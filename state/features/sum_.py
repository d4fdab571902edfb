"""sum: the total of a field over the matching events of the window; 0 before the first.

An integer total that leaves 64 bits stays at the nearest number that does not, pane by pane, oldest first. A float
total is added in that order too.
"""

import numpy as np
from numpy.typing import NDArray

from state.features.panes import ADD_FLOAT, ADD_INT, fold_with, pane_columns
from state.features.spec import Arrays, ColumnSpec, FeatureKind, FeatureSpec, Int64s
from state.schema import Kind


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    return pane_columns(spec, wide=True)


def _fold(
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
    operation = ADD_FLOAT if spec.value_kind == Kind.FLOAT else ADD_INT
    fold_with(operation, spec, arrays, slots, rows, updates, at_ms, cells, out, known)


KINDS = (FeatureKind("sum", _columns, _fold, needs_source=True),)
