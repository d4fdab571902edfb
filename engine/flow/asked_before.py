"""What is asked of a batch before features are folded: their conditions, and what they take in place of fields."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.book.compiled import CompiledBook
from rules.expressions.run import Workspace
from state.batch import Batch


class AskedBefore:
    """The programs of one book, for one thread; sees attributes, which are folded before.

    Args:
        compiled: the book.
        rows_max: rows of the largest batch.
        texts: those that the columns hold.
    """

    def __init__(self, compiled: CompiledBook, rows_max: int, texts: Any) -> None:
        self._wheres = Workspace(compiled.wheres, rows_max, texts)
        self._reads = [Workspace(program, rows_max, texts) for program in compiled.reads]

    @property
    def masks(self) -> NDArray[np.uint8]:
        """Whether each condition holds on each row of its type, uint8[wheres, rows_max], after a run."""
        return self._wheres.masks

    def run(self, batch: Batch, append_ms: int, outs: NDArray[np.int64], known: NDArray[np.uint8]) -> None:
        """Answer the conditions, and write what features take to its rows of `outs` and `known`."""
        self._wheres.run_masks(batch, append_ms, outs, known)
        for reads in self._reads:
            reads.run_values(batch, append_ms, outs, known)
