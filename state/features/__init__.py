"""Rolling state per subscriber, one kind of feature a module of `state.features.kinds`.

    arrays = [np.zeros((capacity, c.width), c.dtype) for c in columns_of(spec)]
    fold(spec, arrays, slots, rows, updates, at_ms, cells, out, known)

`fold` walks `rows` in order. Where `updates[row]` is set the row's event is applied; then, for every row, `out[row]`
and `known[row]` become the feature's value as of that moment, the row's own event included ("since" looks before it).
State is a function of the updating rows in their order, and of nothing else: reading changes nothing.

Time is event time. *Now* is the newer of the row's own time and the newest event folded for that subscriber and
feature, so a late row sees what is current, not what was. A rolling window of `count sum min max first distinct` is a
ring of panes: it covers the pane of now and the `panes - 1` before it, so it reaches back at least one pane less than
the window and at most the window, also where clocks are changed; panes of whole days are local days. A late event lands
in its pane while the ring still holds it, and changes nothing later. `last previous since` keep exact times: an event
counts while it is younger than the window. Values are the cells of `state.batch`; the bits of a float where the source
is a float.

A new kind is one new module in `state/features/kinds`, which is listed: its docstring, a `FeatureKind`, and where no
loop fits yet, a kernel. `panes` is the loop of kinds that combine values pane by pane, `moments` that of kinds that
keep exact times; `folding` folds all features of a book in one call. `rules` takes keys and kinds of values from here.
"""

import numpy as np
from numpy.typing import NDArray

from state.features.folding import fold_rows, new_view, words_of
from state.features.kinds import BOOK_KINDS, KINDS
from state.features.spec import (
    PANE_MS_MIN,
    PANES_DEFAULT,
    PANES_MAX,
    Arrays,
    ColumnSpec,
    FeatureKind,
    FeatureSpec,
    Int64s,
)

__all__ = [
    "BOOK_KINDS",
    "KINDS",
    "PANES_DEFAULT",
    "PANES_MAX",
    "PANE_MS_MIN",
    "ColumnSpec",
    "FeatureKind",
    "FeatureSpec",
    "columns_of",
    "fold",
    "words",
]


def columns_of(spec: FeatureSpec) -> list[ColumnSpec]:
    """Return the arrays that a feature's state consists of."""
    return KINDS[spec.kind].columns(spec)


def fold(
    spec: FeatureSpec,
    arrays: Arrays,
    slots: NDArray[np.int32],
    rows: NDArray[np.int32],
    updates: NDArray[np.uint8],
    at_ms: Int64s,
    cells: Int64s,
    out: Int64s,
    known: NDArray[np.uint8],
    ends: Int64s | None = None,
) -> None:
    """Apply the updating rows to `arrays` and leave each row's value in `out` and `known`.

    `ends`: when the memberships end that rows of lists tell of, 0 for never.
    """
    feature = np.array(words(spec, arrays), np.int64)
    told = ends if ends is not None else np.zeros(at_ms.shape[0], np.int64)
    fold_rows(feature, spec.transitions, new_view(), slots, rows, updates, at_ms, cells, told, out, known)


def words(spec: FeatureSpec, arrays: Arrays, hints: int = 0) -> list[int]:
    """Return what `state.features.folding` is told of a feature; valid while `spec`, `arrays` and hints are alive."""
    return words_of(KINDS[spec.kind], spec, arrays, hints)
