"""Time on the events' own clock: log times, the merge of sources, and how far every partition has come.

A worker stamps each chunk and puts its rows into the merge (`place`), and folds from there what the gate lets pass
(`take`). The feeder of dispatch asks how far all partitions have come (`low_ms`), does what is due by then, and opens
the gate (`passed`).

A source that is read holds the others back until it has brought something later, or has no more. With `quiet_s` the
engine goes on while sources wait for more: one that has had nothing for so long, or nothing at all yet, holds nothing
back, and where nothing came for so long the step ends. Without (a drained run) only an exhausted source holds nothing
back. Pushed events wait for no source.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.sources.contract import Chunk, Decoded
from engine.flow.fold import Appended
from engine.flow.gate import Gate
from engine.flow.merge import Merge, Reader
from engine.flow.partition import Item, Partition
from engine.flow.queues import Queues
from engine.flow.source_clocks import ChunkClock, SourceClocks
from engine.flow.steps import FOREVER_MS, STEP_MS, step_end

QUIET_S = 1.0
DUE_ROWS_MAX = 2_048
"""Deadlines that become rows of one frame: events wait no longer for them than for a frame of their own."""


class EventTime:
    """The events' clock of one pipeline.

    Methods whose docstring says "locked" are called with the queues' lock held; all others take it.

    Args:
        partitions: recovered partitions.
        queues: of the pipeline.
        gated: whether dispatch opens the gate; else nothing stops.
        quiet_s: see the module; None for a drained run.
        monotonic_s: a clock that never goes back, seconds.
    """

    def __init__(
        self,
        partitions: Sequence[Partition],
        queues: Queues,
        *,
        gated: bool,
        quiet_s: float | None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._partitions = partitions
        self._idle_ms = 0
        self._queues = queues
        self._quiet_s = quiet_s
        self._monotonic_s = monotonic_s
        self._clocks = SourceClocks(partition.clocks for partition in partitions)
        self._merge = Merge(len(partitions), min(one.batch_rows_max for one in partitions), self._reads)
        self._gated = gated
        self._gate = Gate(len(partitions), open_=not gated)
        self._low_ms = [0] * len(partitions)
        self._names: dict[Any, str] = {}
        self._decoding: dict[Any, int] = {}
        self._empty_s: dict[Any, float] = {}
        self._placed_s = self._monotonic_s()
        self._is_read_from = False
        self.moved: Callable[[], None] = lambda: None
        """Called, by any thread, when partitions may have come further."""

    # ---- what workers do

    def add_readers(self, readers: Iterable[Reader]) -> None:
        """Locked: sources are read from now on; those of the start come together, before them nothing is complete."""
        for reader in readers:
            self._names[reader], self._decoding[reader] = "", 0
        self._is_read_from = True

    def read(self, reader: Reader, chunk: Chunk | None) -> None:
        """Locked: a source was asked; it brought a chunk, which comes to `place`, or nothing."""
        if chunk is None:
            self._empty_s.setdefault(reader, self._monotonic_s())
            return
        self._empty_s.pop(reader, None)
        self._names[reader] = chunk.source
        self._decoding[reader] += 1

    def place(self, reader: Reader | None, chunk: Chunk, decoded: Decoded, items: list[Item]) -> None:
        """Locked: give the rows of a chunk their log times, and let them wait for their turn; `reader`: see `read`."""
        log_ms = stamp_items(self._clocks, chunk.source, decoded, items)
        if reader is not None:
            self._decoding[reader] -= 1
        if self._queues.stopping and self._gated:
            return
        self._placed_s = self._monotonic_s()
        begun = self._clocks.begun(chunk.source)
        self._merge.add(chunk.source, items, log_ms, begun=begun, pushed=reader is None)
        self._queues.waiting_rows += decoded.batch.n

    def ready(self, number: int) -> bool:
        """Locked: tell whether a partition has rows, or deadlines, that may be folded."""
        limit_ms = self._gate.limit_ms(number)
        due_ms = self._due_ms(number)
        return self._merge.ready(number, limit_ms) or (due_ms <= limit_ms and due_ms < FOREVER_MS)

    def take(self, number: int) -> tuple[list[Item], list[Item]]:
        """Return the deadlines, or else the rows, that a partition folds next; the caller has the partition.

        A deadline goes before the rows that are later than its place, and after all others.
        """
        partition = self._partitions[number]
        with self._queues.changed:
            limit_ms = self._gate.limit_ms(number)
            first_ms = self._merge.first_ms(number, limit_ms)
            passed_ms = min(
                limit_ms, max(self._passed_ms(), first_ms - 1) if first_ms < FOREVER_MS else self._passed_ms()
            )
        step_ms = step_end(first_ms) if first_ms < FOREVER_MS else 0
        due_ms = partition.look(min(limit_ms, max(passed_ms, step_ms)))
        if due_ms <= passed_ms and due_ms < first_ms:
            return partition.due(min(passed_ms, first_ms - 1, step_end(due_ms)), DUE_ROWS_MAX), []
        with self._queues.changed:
            return [], [part.cut() for part in self._merge.take(number, min(limit_ms, due_ms))]

    def _due_ms(self, number: int) -> int:
        """Locked: return when the next deadline of a partition comes, which may be said too early.

        `FOREVER_MS` where the time for it has not passed.
        """
        next_ms = self._partitions[number].deadlines.next_ms
        return next_ms if next_ms < FOREVER_MS and next_ms <= self._passed_ms() else FOREVER_MS

    def _passed_ms(self) -> int:
        """Locked: return up to which log time no more rows come: all sources are past it, or time goes on without."""
        if self._queues.stopping or not self._is_read_from:
            return 0
        complete_ms = self._merge.complete_ms()
        return complete_ms if complete_ms < FOREVER_MS - 1 else max(self._merge.newest_ms - 1, self._idle_ms)

    @property
    def due(self) -> bool:
        """Locked: whether some deadline has come that is not folded."""
        return any(self._due_ms(number) < FOREVER_MS for number in range(len(self._partitions)))

    def folded(self, number: int, frame: Appended) -> None:
        """Note a frame before the partition is folded on."""
        with self._queues.changed:
            self._gate.folded(number, frame)

    def lagging(self) -> set[Reader]:
        """Locked: return the sources that all others wait for: they are read however much waits."""
        partitions = range(len(self._low_ms))
        wanted_ms = min(self._gate.held_ms, *map(self._gate.limit_ms, partitions))
        if any(map(self.ready, partitions)) or self._merge.complete_ms() >= wanted_ms:
            return set()
        return self._merge.lagging()

    @property
    def empty(self) -> bool:
        """Locked: whether no row waits."""
        return self._merge.empty

    def stop(self) -> None:
        """Locked: forget what waits for dispatch; it comes again after a restart, and the clock stays before it."""
        if self._gated:
            self._merge.clear()

    def _reads(self) -> dict[Reader, str]:
        if self._queues.stopping:
            return {}
        return {reader: name for reader, name in self._names.items() if self._is_read(reader)}

    def _is_read(self, reader: Any) -> bool:
        if self._decoding[reader]:
            return True
        if self._quiet_s is None:
            return not reader.exhausted
        empty_s = self._empty_s.get(reader)
        if empty_s is None:
            return True
        return self._names[reader] != "" and self._monotonic_s() - empty_s < self._quiet_s

    # ---- what dispatch does

    @property
    def drained(self) -> bool:
        """Whether the run ends when no more events come."""
        return self._quiet_s is None

    def committed(self, number: int, frame: Appended) -> None:
        """Note a frame that is durable: what lies before its step is, too."""
        with self._queues.changed:
            self._low_ms[number] = max(self._low_ms[number], frame.append_ms - STEP_MS)

    def low_ms(self) -> int:
        """Return up to when all rows are folded and durable; `FOREVER_MS` where there are no more, for now."""
        queues = self._queues
        with queues.changed:
            if self._gated and (queues.stopping or not self._is_read_from):
                return min(self._low_ms)  # no source is read now, but more rows would come
            complete_ms = self._complete_ms()
            return min(self._reached_ms(number, complete_ms) for number in range(len(self._low_ms)))

    def _reached_ms(self, number: int, complete_ms: int) -> int:
        """Return `low_ms` of one partition; kept is what holds whatever comes, so never that no more rows do."""
        head_ms = min(self._merge.head_ms(number), self._due_ms(number))
        low_ms = min(head_ms - 1, complete_ms) if self._queues.resting(number) else 0
        if low_ms >= FOREVER_MS - 1:
            return FOREVER_MS
        self._low_ms[number] = max(self._low_ms[number], low_ms)
        return self._low_ms[number]

    def _complete_ms(self) -> int:
        complete_ms = self._merge.complete_ms()
        open_ended = complete_ms == FOREVER_MS - 1
        quiet = self._quiet_s is None or self._monotonic_s() - self._placed_s >= self._quiet_s
        if open_ended and not (quiet and self._queues.all_decoded):
            return self._merge.newest_ms - 1
        return complete_ms

    @property
    def held_ms(self) -> int:
        """The earliest time at which a decision is due that dispatch has not taken over."""
        with self._queues.changed:
            return self._gate.held_ms

    @property
    def idles(self) -> bool:
        """Whether no source has anything, for now."""
        with self._queues.changed:
            return self._complete_ms() == FOREVER_MS - 1

    def go_on(self, at_ms: int) -> None:
        """Say that no events came up to a time: deadlines come all the same."""
        with self._queues.changed:
            self._idle_ms = max(self._idle_ms, at_ms)
            if self.due:
                self._queues.changed.notify_all()

    def hold(self, number: int, at_ms: int, position: int) -> None:
        """Stop a partition at a time: dispatch has not taken over what the frame at a position of its log decided."""
        with self._queues.changed:
            self._gate.hold(number, at_ms, position)

    def passed(self, taken: Sequence[int], due_ms: int) -> None:
        """Let partitions go on: dispatch has done what it took over, and has more to do at `due_ms`.

        `taken`: by partition, the position of the log up to which it has taken over what was decided; -1: nothing.
        """
        with self._queues.changed:
            self._gate.passed(taken, due_ms)
            self._queues.changed.notify_all()


def stamp_items(clocks: SourceClocks, source: str, decoded: Decoded, items: Sequence[Item]) -> NDArray[np.int64]:
    """Give the rows of a chunk their log times, and each item its source's clock; return the log times."""
    batch = decoded.batch
    log_ms = np.empty(batch.n, np.int64)
    before = clocks.stamp(source, batch.subscriber, batch.at_ms, log_ms)
    for item in items:
        assert item.batch is not None
        item.batch.log_ms[:] = log_ms[item.rows]
        item.clock = ChunkClock(source, before.copy(), batch.subscriber, batch.at_ms, decoded.offsets)
    return log_ms
