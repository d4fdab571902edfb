"""The fold of one partition in a lane: as live, from an empty state, over a part of the rows of each frame.

Rows keep the numbers that they have in the log, so a decision has the same id as live. What leaves memory sleeps in
this process.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.flow.fold import Books, Fold, FoldLimits, FoldParts
from state.batch import Batch, select
from state.decisions import DecisionBatch
from state.frame import ROWS_MAX, Frame, FrameKind
from state.memory_store import MemoryStore


class _NoFiles:
    """The log and the journal of a lane: it is given its frames, and writes nothing."""

    reached = first_position = 0

    def read(self, start: int) -> Iterator[tuple[int, Frame]]:  # noqa: ARG002 as of `FrameLog`
        """Yield nothing: there is nothing to redo."""
        return iter(())

    def position_at(self, appended_ms: int) -> int:  # noqa: ARG002 likewise
        """Return the only position."""
        return 0


class LaneFold(Fold):
    """One partition of a lane.

    Args:
        number, limits, books: as of `FoldParts`.
    """

    def __init__(self, number: int, limits: FoldLimits, books: Books) -> None:
        super().__init__(FoldParts(number, limits, MemoryStore(), books), _NoFiles(), _NoFiles())
        self._numbers: NDArray[np.int32] | None = None
        self._made = 0
        self.position = -1
        """The frame that was folded last."""

    def take(self, position: int, frame: Frame, keep: NDArray[np.bool_] | None) -> DecisionBatch | None:
        """Fold a recorded frame, or those rows of it that `keep` bool[n] names."""
        self.position, self._made = position, 0
        if keep is not None and frame.batch is not None:
            self._numbers = np.flatnonzero(keep).astype(np.int32)
            self.decider.histories.begin(frame.append_ms)  # a frame of which nothing is left is one of events, too
            frame = replace(frame, batch=select(frame.batch, self._numbers))
        found = self.apply(position, frame)
        self._numbers = None
        if self.flusher.queued_bytes:
            self.flusher.durable(position)
            self.flusher.pump()
        return found

    @property
    def next_made(self) -> int:
        """The number that the first row of the next `take_made` gets."""
        return ROWS_MAX + self._made

    def take_made(self, batch: Batch, at_ms: int) -> DecisionBatch | None:
        """Fold rows that were not recorded, after the last frame; they get numbers that no row of a frame has."""
        self._numbers = np.arange(batch.n, dtype=np.int32) + self.next_made
        self._made += batch.n
        batch.log_ms[:] = max(at_ms, self.clock_ms)
        found = self.apply(self.position, Frame(FrameKind.EVENTS, max(at_ms, self.clock_ms), batch))
        self._numbers = None
        return found

    def _rows_to_fold(self, frame: Frame) -> tuple[Batch, NDArray[np.int32]]:
        batch, number = super()._rows_to_fold(frame)
        return batch, number if self._numbers is None else self._numbers[number]
