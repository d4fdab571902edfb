"""The book that ran, once more: the folds of all partitions over the frames as they stand, and a tally of them.

What became of its decisions is in the log, so nothing is sent here. Its records are held against the journal's, one by
one. `engine.runtimes.backtest.other_lane` is the same for a book that did not run.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from engine.book.compiled import CompiledBook
from engine.flow.fold import FoldLimits
from engine.runtimes.backtest.agreement import Agreement
from engine.runtimes.backtest.lane_fold import LaneFold
from engine.runtimes.backtest.recorded import Extent, Recorded, Recording
from engine.runtimes.backtest.sample import Sample
from engine.runtimes.backtest.tally import Tally, outcome_rows
from state.batch import Batch
from state.decisions import DecisionBatch
from state.frame import Frame, FrameKind
from state.texts import Chained

PROGRESS_FRAMES = 64


@dataclass(frozen=True, slots=True)
class Span:
    """What is counted, by the log's time, half open; `warm`: other books are in force from the first frame on."""

    from_ms: int = 0
    to_ms: int = 1 << 62
    warm: bool = False


@dataclass
class LaneResult:
    """What came of one lane: its tally; how its records agree with the journal's, None where they need not.

    `began_ms` and `ended_ms` are the times of the first and last frame of events, 0 where there was none; `seconds` and
    `cpu_s` what it took.
    """

    tally: Tally
    agreement: Agreement | None
    versions: tuple[str, ...] = ()
    began_ms: int = 0
    ended_ms: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0


class Lane:
    """The lane of the book that ran.

    Args:
        recording, extent: what is read.
        limits: of the state of one partition, as live.
        sample: whose rows are folded.
        span: what is counted.
    """

    def __init__(self, recording: Recording, extent: Extent, limits: FoldLimits, sample: Sample, span: Span) -> None:
        self.recording = recording
        self.extent = extent
        self.sample = sample
        self.span = span
        self.tally = Tally(span.from_ms, span.to_ms)
        self.folds = {number: LaneFold(number, limits, self.book_of) for number in sample.chosen}
        self.result = LaneResult(self.tally, Agreement())
        self._versions: dict[str, None] = {}

    def run(self, progress: Callable[[int], None] = lambda _: None) -> LaneResult:
        """Fold every frame; `progress` hears how many are done."""
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        for number, fold in self.folds.items():
            version = self.extent.books[number]
            if version is not None:
                fold.take(self.extent.firsts[number] - 1, activation_of(version, 0), None)
        frames = self.recording.frames(self.extent, self.sample.chosen, self.span.to_ms)
        self.take_all(frames, progress)
        self.finish()
        self.tally.close()
        self.result.versions = tuple(self._versions)
        self.result.seconds = time.monotonic() - began_s
        self.result.cpu_s = time.process_time() - began_cpu_s
        return self.result

    def take_all(self, frames: Iterable[Recorded], progress: Callable[[int], None]) -> None:
        """Take every frame in order."""
        for count, one in enumerate(frames, 1):
            self.before(one.frame.append_ms)
            self.take(one)
            if count % PROGRESS_FRAMES == 0:
                progress(count)

    def take(self, one: Recorded) -> None:
        """Fold a frame, count what became of decisions by it, and what was decided on it."""
        frame = self.frame_of(one)
        keep = self.rows_of(one.partition, frame.batch) if frame.batch is not None and frame.batch.n else None
        found = self.folds[one.partition].take(one.position, frame, keep)
        if frame.batch is not None and frame.batch.n:
            self._events(one.partition, frame, keep)
        if frame.kind == FrameKind.ACTIVATION:
            self._versions[str(self.folds[one.partition].book_version)] = None
        elif found is not None:
            self._versions.setdefault(found.book)
        self.note(one.partition, None if found is None or found.activates else found, one)

    # ---- what another book does otherwise

    def book_of(self, version: str) -> CompiledBook:
        """Return a book by its version."""
        return self.recording.shelf.get(version)

    def before(self, at_ms: int) -> None:
        """Do what is due before a frame of that time: nothing."""

    def frame_of(self, one: Recorded) -> Frame:
        """Return the frame to fold."""
        return one.frame

    def rows_of(self, partition: int, batch: Batch) -> NDArray[np.bool_] | None:  # noqa: ARG002 another book needs it
        """Return which rows to fold; None for all."""
        return None if self.sample.whole else self.sample.rows(batch.subscriber)

    def outcomes(self, partition: int, batch: Batch, rows: NDArray[np.intp]) -> None:  # noqa: ARG002 likewise
        """Count rows that say what became of decisions."""
        self.tally.outcomes(batch, rows, Chained(batch.texts, self.recording.strings))

    def note(self, partition: int, found: DecisionBatch | None, one: Recorded) -> None:
        """Count the records of a frame, and compare them."""
        if found is not None:
            self.tally.records(partition, found)
        first, last = self.extent.journaled[partition]
        if self.result.agreement is not None and first <= one.position <= last:
            self.result.agreement.frame(partition, found, one.decided, self.sample)

    def finish(self) -> None:
        """Do what is left after the last frame: nothing."""

    def _events(self, partition: int, frame: Frame, keep: NDArray[np.bool_] | None) -> None:
        batch = frame.batch
        assert batch is not None
        self.result.began_ms = self.result.began_ms or frame.append_ms
        self.result.ended_ms = max(self.result.ended_ms, frame.append_ms)
        self.tally.events += batch.n if keep is None else int(np.count_nonzero(keep))
        rows = outcome_rows(batch)
        if keep is not None:
            rows = rows[keep[rows]]
        if rows.shape[0]:
            self.outcomes(partition, batch, rows)


def activation_of(version: str, at_ms: int) -> Frame:
    """Return the frame that makes a book the active one."""
    return Frame(FrameKind.ACTIVATION, at_ms, payload=orjson.dumps({"version": version}))
