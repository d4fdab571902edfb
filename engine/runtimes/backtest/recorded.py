"""What a data directory has recorded: the frames of all partitions in the order of time, and what was decided on each.

Logs and journals are opened for reading alone. A `Recording` has an end, fixed when it was made, so that every lane
reads the same frames while an engine goes on writing.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.book.shelf import BookShelf
from engine.flow.datadir import DataDir, Fixed
from engine.flow.steps import STEP_MS
from state.decisions import DecisionBatch, decode
from state.disk import RealDisk
from state.frame import Frame
from state.journal import Entry, Journal
from state.log import Log
from state.strings import Strings


class Recorded(NamedTuple):
    """One frame: its partition, its position there, and what was decided on it live; None where nothing was."""

    partition: int
    position: int
    frame: Frame
    decided: DecisionBatch | None


@dataclass(frozen=True, slots=True)
class Extent:
    """The frames that are kept, by partition: the first, and the one after the last.

    `books` are the versions in force before the first frames; None where the first frames say it. `journaled` are the
    first and the last position of which the journal tells what was decided.
    """

    firsts: tuple[int, ...]
    ends: tuple[int, ...]
    books: tuple[str | None, ...]
    journaled: tuple[tuple[int, int], ...]

    @property
    def whole(self) -> bool:
        """Whether the log is kept from its very first frame on, so that nothing came before."""
        return not any(self.firsts)

    def frames(self, partitions: Iterable[int]) -> int:
        """Return how many frames some partitions keep."""
        return sum(self.ends[number] - self.firsts[number] for number in partitions)


class Recording:
    """A data directory, opened for reading.

    Raises:
        DataDirError: it holds no data.
    """

    def __init__(self, datadir: DataDir) -> None:
        self._datadir = datadir
        self._disk = RealDisk()
        self.fixed: Fixed = datadir.fixed()
        self.shelf = BookShelf(datadir.books, self._disk)
        self.strings = Strings(self._disk, datadir.strings / "texts")

    def extent(self) -> Extent:
        """Return what is kept now."""
        found = [self._extent_of(number) for number in range(self.fixed.partitions)]
        firsts, ends, books, journaled = zip(*found, strict=True)
        return Extent(firsts, ends, books, journaled)

    def frames(self, extent: Extent, partitions: Sequence[int], until_ms: int) -> Iterator[Recorded]:
        """Yield the frames of some partitions, in the order of their times; none that begins after `until_ms`.

        Raises GoneError when a running engine has removed frames meanwhile.
        """
        streams = [self._timed(number, extent, until_ms) for number in partitions]
        return (one for _, one in heapq.merge(*streams, key=lambda timed: timed[0]))

    @property
    def zone(self) -> ZoneInfo:
        """The operator's zone, of the book that was put last; UTC where there is none."""
        newest = self.shelf.newest()
        return ZoneInfo(self.shelf.get(newest).book.zone if newest is not None else "UTC")

    def close(self) -> None:
        """Close the files that stay open."""
        self.strings.close()

    def _extent_of(self, number: int) -> tuple[int, int, str | None, tuple[int, int]]:
        log = Log(self._datadir.log(number), self._disk, read_only=True)
        journal = Journal(self._datadir.journal(number), self._disk, read_only=True)
        try:
            first, end = log.first_position, log.next_position
            kept = journal.first_position < journal.next_position
            begin = next(journal.read(journal.first_position)).reached if kept else end
            whole = journal.first_position == 0
            return first, end, _book_before(journal, first), (0 if whole else begin, journal.reached)
        finally:
            log.close()
            journal.close()

    def _timed(self, number: int, extent: Extent, until_ms: int) -> Iterator[tuple[tuple[int, int, int], Recorded]]:
        """Yield the frames of one partition, each with its place among all."""
        log = Log(self._datadir.log(number), self._disk, read_only=True)
        journal = Journal(self._datadir.journal(number), self._disk, read_only=True)
        try:
            decided = _Decided(journal)
            clock_ms, end = 0, extent.ends[number]
            for position, frame in takewhile(lambda one: one[0] < end, log.read(extent.firsts[number])):
                clock_ms = max(clock_ms, frame.append_ms)
                if clock_ms - STEP_MS >= until_ms:
                    return
                yield (clock_ms, number, position), Recorded(number, position, frame, decided.at(position))
        finally:
            log.close()
            journal.close()


class _Decided:
    """The entries of a journal, asked for in the order of the log."""

    def __init__(self, journal: Journal) -> None:
        self._entries: Iterator[Entry] = journal.read(journal.first_position)
        self._next: Entry | None = None
        self._next_reached = -1

    def at(self, position: int) -> DecisionBatch | None:
        """Return what was decided on the frame at a position, which is above the one asked for before."""
        while self._next_reached < position:
            self._next = next(self._entries, None)
            if self._next is None:
                return None
            self._next_reached = self._next.reached
        if self._next is None or self._next_reached != position:
            return None
        batch = decode(self._next.payload)
        return None if batch.activates else batch


def _book_before(journal: Journal, first: int) -> str | None:
    """Return the version of the book in force just before a position of the log, where the journal tells it."""
    if first == 0:
        return None
    at = journal.position_of(first)
    if at > journal.first_position:
        return decode(next(journal.read(at - 1)).payload).book
    if at < journal.next_position:
        entry = decode(next(journal.read(at)).payload)
        return None if entry.activates else entry.book
    return None
