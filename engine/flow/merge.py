"""Sources as one stream on the events' own clock: rows wait here until they are next in the order of log times.

Rows come in by source, each source's in its order, and are taken by partition, a step at a time (`engine.flow.steps`).
A row may be taken when every source that is still being read has come past its log time; of equal times the source that
is first by name goes first. So chunks, the order in which they are read, and the number of partitions change nothing.
What is pushed waits for no source: a caller wants its answer, and nobody knows what else will come.

A row that is tentative (`state.log_clock`) may be ahead of those after it: it goes where the first of these goes. Rows
of a source whose clock has not begun wait, as long as the source is read.

Not here: how far dispatch lets the fold go (`engine.flow.gate`), and what a frame is (`engine.flow.partition`). All
methods are called under the lock of the queues.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.flow.partition import Item
from engine.flow.steps import FOREVER_MS, step_end
from state.batch import select

Reader = object
"""Whatever brings chunks; compared by identity alone."""


@dataclass(slots=True)
class Waiting:
    """Rows of one chunk for one partition, from `row` on; `at_ms` int64[n] is where each goes, and never falls."""

    item: Item
    at_ms: NDArray[np.int64]
    row: int = 0

    @property
    def left(self) -> int:
        """How many rows have not been taken."""
        return len(self.at_ms) - self.row

    def until(self, at_ms: int) -> int:
        """Return how many rows from `row` on go at or before a time."""
        return max(0, int(np.searchsorted(self.at_ms, at_ms, "right")) - self.row)


@dataclass(slots=True)
class Part:
    """Rows that were taken: `count` from `start` on, of the step that ends at `due_ms`; `whole`: none are left."""

    item: Item
    start: int
    count: int
    due_ms: int
    whole: bool

    def cut(self) -> Item:
        """Return them as an item of their own."""
        item = self.item
        assert item.batch is not None
        if self.whole and self.start == 0:
            return replace(item, due_ms=self.due_ms)
        rows = np.arange(self.start, self.start + self.count, dtype=np.int32)
        offsets = item.offsets
        some = offsets[self.start : self.start + self.count] if offsets is not None else None
        start = int(offsets[self.start]) if offsets is not None and self.count and self.start else item.start
        end = item.end if self.whole or offsets is None else int(offsets[self.start + self.count])
        batch = select(item.batch, rows)
        return replace(item, batch=batch, offsets=some, start=start, end=end, whole=self.whole, due_ms=self.due_ms)


class Merge:
    """What every source has brought and no partition has taken.

    Args:
        partitions: their number.
        rows_max: rows that are taken at once.
        reads: returns every reader that may still bring rows, with the name of its source, "" before its first chunk.
    """

    def __init__(self, partitions: int, rows_max: int, reads: Callable[[], Mapping[Reader, str]]) -> None:
        self._queues: list[dict[str, deque[Waiting]]] = [{} for _ in range(partitions)]
        self._rows_max = rows_max
        self._reads = reads
        self._reached_ms: dict[str, int] = {}
        self._begun: set[str] = set()
        self._pushed: set[str] = set()

    def add(self, source: str, items: list[Item], log_ms: NDArray[np.int64], *, begun: bool, pushed: bool) -> None:
        """Take a chunk in: one item a partition, and the log times of all its rows. `begun`: see `has_begun`."""
        if pushed:
            self._pushed.add(source)
        at_ms = np.minimum.accumulate(log_ms[::-1])[::-1] if (np.diff(log_ms) < 0).any() else log_ms
        if at_ms.shape[0]:
            if at_ms[0] < self._reached_ms.get(source, 0):
                self._lower(source, int(at_ms[0]))
            self._reached_ms[source] = int(at_ms[-1])
        if begun:
            self._begun.add(source)
        for queues, item in zip(self._queues, items, strict=True):
            whole = item.rows is None or item.rows.shape[0] == at_ms.shape[0]
            queues.setdefault(source, deque()).append(Waiting(item, at_ms if whole else at_ms[item.rows]))

    def _lower(self, source: str, at_ms: int) -> None:
        """Let tentative rows go where the first row that is not goes."""
        for queues in self._queues:
            for waiting in queues.get(source, ()):
                waiting.at_ms = np.minimum(waiting.at_ms, at_ms)

    @property
    def empty(self) -> bool:
        """Whether everything was taken."""
        return not any(queue for queues in self._queues for queue in queues.values())

    def clear(self) -> None:
        """Forget what was not taken: its sources bring it again after a restart."""
        for queues in self._queues:
            queues.clear()

    def head_ms(self, number: int) -> int:
        """Return where the next row of a partition goes; `FOREVER_MS` where it has none."""
        return min((int(one.at_ms[one.row]) for one in self._heads(number).values() if one.left), default=FOREVER_MS)

    def first_ms(self, number: int, limit_ms: int) -> int:
        """Return where the first row of a partition goes that may be taken; `FOREVER_MS` where none may."""
        opened = self._open(number, limit_ms)
        return min((int(one.at_ms[one.row]) for one, limit in opened if _goes(one, limit)), default=FOREVER_MS)

    @property
    def newest_ms(self) -> int:
        """Where the last row goes that any source has brought; 0 before the first."""
        return max(self._reached_ms.values(), default=0)

    def complete_ms(self, beside: str = "") -> int:
        """Return up to when all rows are here, those of sources that are being read; `beside` is left out."""
        names = {name for name in self._reads().values() if name != beside or not name}
        return min((self._reached_ms.get(name, 0) if name else 0 for name in names), default=FOREVER_MS) - 1

    def lagging(self) -> set[Reader]:
        """Return the readers that the others wait for."""
        reads = self._reads()
        least_ms = self.complete_ms() + 1
        return {reader for reader, name in reads.items() if self._reached_ms.get(name, 0) <= least_ms}

    def ready(self, number: int, limit_ms: int) -> bool:
        """Tell whether a partition may take something."""
        return any(not one.left or _goes(one, limit) for one, limit in self._open(number, limit_ms))

    def take(self, number: int, limit_ms: int) -> list[Part]:
        """Return the next rows of a partition, as many as lie in one step and stand in one frame, source by source.

        Items without rows go along: they carry the positions of their sources.
        """
        first_ms = self.first_ms(number, limit_ms)
        until_ms = step_end(first_ms) if first_ms < FOREVER_MS else 0
        found: list[Found] = []
        for source in sorted(self._queues[number]):
            found += self._of_source(number, source, min(until_ms, self._limit_ms(source, limit_ms)))
        return self._taken(number, self._alike(found), until_ms)

    # ---- which rows

    def _heads(self, number: int) -> dict[str, Waiting]:
        """Return the first of each source that has rows, else the first."""
        return {
            source: next((one for one in queue if one.left), queue[0])
            for source, queue in self._queues[number].items()
            if queue
        }

    def _limit_ms(self, source: str, limit_ms: int) -> int:
        if source in self._pushed:
            return limit_ms
        if source not in self._begun and source in self._reads().values():
            return -1
        return min(limit_ms, self.complete_ms(source))

    def _open(self, number: int, limit_ms: int) -> Iterator[tuple[Waiting, int]]:
        """Yield the first of each source, with the time up to which its rows may go."""
        for source, one in self._heads(number).items():
            yield one, self._limit_ms(source, limit_ms)

    def _of_source(self, number: int, source: str, until_ms: int) -> "Iterator[Found]":
        """Yield what of a source goes up to a time, with the number of rows of each; `rows_max` at the most."""
        room = self._rows_max
        for one in self._queues[number][source]:
            count = min(one.until(until_ms), room)
            yield source, one, count
            room -= count
            if count < one.left:
                return

    def _alike(self, found: "list[Found]") -> "list[Found]":
        """Return so many of each as stand first in the order of all, can share a frame, and are not too many."""
        some = [(one, count) for _, one, count in found if count]
        if (
            len({source for source, _, count in found if count}) < 2
            and sum(count for _, count in some) <= self._rows_max
        ):
            kinds = {_kind(one.item) for one, _ in some}
            if len(kinds) < 2:
                return found
        at_ms = np.concatenate([one.at_ms[one.row : one.row + count] for one, count in some])
        whose = np.repeat(np.arange(len(some)), [count for _, count in some])
        order = whose[np.argsort(at_ms, kind="stable")]
        kind_of = [_kind(one.item) for one, _ in some]
        strange = np.array([kind != kind_of[order[0]] for kind in kind_of])[order]
        count = min(int(strange.argmax()) if strange.any() else order.shape[0], self._rows_max)
        counts = iter(np.bincount(order[:count], minlength=len(some)).tolist())
        return [(source, one, next(counts) if wanted else 0) for source, one, wanted in found]

    def _taken(self, number: int, found: "list[Found]", due_ms: int) -> list[Part]:
        """Take rows away; of each source no more than those before the first that stays."""
        parts = []
        stopped: set[str] = set()
        for source, one, count in found:
            whole = count == one.left
            if source in stopped or (not count and not whole):
                stopped.add(source)
                continue
            if whole:
                self._queues[number][source].popleft()
            else:
                one.item.ticket.expect_more(1)
                stopped.add(source)
            parts.append(Part(one.item, one.row, count, due_ms, whole))
            one.row += count
        self._queues[number] = {source: queue for source, queue in self._queues[number].items() if queue}
        return parts


Found = tuple[str, Waiting, int]
"""A source, a chunk of it, and how many of its rows go."""


def _goes(one: Waiting, limit_ms: int) -> bool:
    """Tell whether the next row may go."""
    return one.left > 0 and bool(one.at_ms[one.row] <= limit_ms)


def _kind(item: Item) -> tuple[bool, int]:
    """Return what the items of one frame have in common."""
    return item.dedupe, id(item.batch.schema) if item.batch is not None else 0
