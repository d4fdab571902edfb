"""What the worker threads do: read, decode, split, fold, answer.

A worker asks for its next task under the lock of the queues and does it without. It folds first, because that frees the
queues; then it decodes what was pushed; then it reads a source. So the flow slows down at its source and never fills
memory.

`next_task` never waits, and a task is done step by step (`engine.flow.tasks`); only `work` waits, for a thread.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from connectors.sources.contract import Chunk, Decoded
from engine.flow.deadlines import NONE_MS
from engine.flow.event_time import DUE_ROWS_MAX, EventTime
from engine.flow.observer import Observer
from engine.flow.partition import Item, Partition
from engine.flow.queues import IDLE_WAIT_S, UNCOMMITTED_FRAMES_MAX, Queues, rows_of
from engine.flow.tasks import Task, finish
from engine.flow.tickets import Ticket
from state.batch import select
from state.frame import FrameKind
from state.hashing import rows_by_partition

UNFOLDED_ROWS_MAX = 400_000
"""Rows that wait for a fold, above which nothing more is decoded."""
TICK_S = 1.0
"""A partition without a frame for so long gets an empty one, which moves its clock."""

Decode = Callable[[Chunk], Decoded]
"""Decodes a chunk under the schema of the book now active; called by several threads at once."""


class PullSource(Protocol):
    """A source that is asked: files."""

    def next_chunk(self, bytes_max: int) -> Chunk | None:
        """Return the next chunk; None when there is none just now."""

    def recycle(self, chunk: Chunk) -> None:
        """Take back a chunk whose bytes nobody reads any more."""

    @property
    def exhausted(self) -> bool:
        """Whether everything that was there has been returned."""


class Stages:
    """The tasks of the workers; `work` is the loop of each of them.

    Args:
        partitions: recovered partitions.
        queues: between the stages.
        decode: turns chunks into columns.
        observer: gets chunks and dead letters.
        chunk_bytes: size of the chunks that pull sources are asked for.
        wall_ns: wall clock, epoch nanoseconds.
        monotonic_s: a clock that never goes back, seconds.
        events: the events' own clock; None on the wall's.
    """

    def __init__(
        self,
        partitions: Sequence[Partition],
        queues: Queues,
        decode: Decode,
        observer: Observer,
        chunk_bytes: int,
        wall_ns: Callable[[], int],
        monotonic_s: Callable[[], float],
        events: EventTime | None = None,
    ) -> None:
        self._partitions = partitions
        self._queues = queues
        self._decode = decode
        self._observer = observer
        self._chunk_bytes = chunk_bytes
        self._wall_ns = wall_ns
        self._monotonic_s = monotonic_s
        self._pulled: list[PullSource] = []
        self._reading: set[PullSource] = set()
        self._resting: dict[PullSource, float] = {}
        self._events = events
        self._last_frame_s = [monotonic_s()] * len(partitions)

    def add_sources(self, sources: Sequence[PullSource]) -> None:
        """Ask sources for chunks from now on; none of them is read before all are known."""
        with self._queues.changed:
            self._pulled += sources
            if self._events is not None:
                self._events.add_readers(sources)
            self._queues.changed.notify_all()

    @property
    def pulls(self) -> bool:
        """Whether there is a source that is asked."""
        return bool(self._pulled)

    @property
    def due(self) -> bool:
        """Locked: whether some deadline has come that is not folded."""
        if self._events is not None:
            return self._events.due
        now_ms = self._now_ms()
        return any(partition.deadlines.next_ms <= now_ms for partition in self._partitions)

    @property
    def exhausted(self) -> bool:
        """Locked: whether every source has returned all it has, and none is being read."""
        return all(source.exhausted for source in self._pulled) and not self._reading

    def work(self) -> None:
        """Do task after task until the end: the loop of a worker thread."""
        while (task := self._wait_for_task()) is not None:
            finish(task)

    def next_task(self) -> Task | None:
        """Return something to do, which is the caller's alone from now on; None where there is nothing just now."""
        with self._queues.changed:
            return self._fold_task() or self._decode_task() or self._read_task() or self._tick_task()

    def _wait_for_task(self) -> Task | None:
        """Wait for something to do and return it; None at the end."""
        queues = self._queues
        with queues.changed:
            while queues.failure is None:
                task = self.next_task()
                if task is not None:
                    return task
                if queues.stopping and queues.drained:
                    return None
                queues.changed.wait(IDLE_WAIT_S)
        return None

    # ---- finding a task; all of these are locked

    def _fold_task(self) -> Task | None:
        queues = self._queues
        for number, waiting in enumerate(queues.waiting):
            if queues.folding[number]:
                continue
            if queues.questions[number]:
                queues.folding[number] = True
                return self._answer(number)
            wanted = waiting or self._held(number) or self._due(number)
            if len(queues.uncommitted[number]) < UNCOMMITTED_FRAMES_MAX and wanted:
                queues.folding[number] = True
                return self._fold(number)
        return None

    def _held(self, number: int) -> bool:
        """Tell whether a partition has rows whose turn has come on the events' own clock."""
        return self._events is not None and self._events.ready(number)

    def _due(self, number: int) -> bool:
        """Tell whether a deadline of a partition has come by the wall clock."""
        next_ms = self._partitions[number].deadlines.next_ms
        return next_ms < NONE_MS and self._events is None and not self._queues.stopping and next_ms <= self._now_ms()

    def _now_ms(self) -> int:
        return self._wall_ns() // 1_000_000

    def _decode_task(self) -> Task | None:
        queues = self._queues
        if not queues.pushed or queues.waiting_rows > UNFOLDED_ROWS_MAX:
            return None
        chunk, ticket = queues.pushed.popleft()
        sequence = queues.take_sequence()
        return self._decode_and_release(sequence, chunk, ticket)

    def _read_task(self) -> Task | None:
        queues = self._queues
        if queues.stopping:
            return None
        full = queues.waiting_rows > UNFOLDED_ROWS_MAX or not queues.room(self._chunk_bytes)
        if full and self._events is None:
            return None
        wanted = self._events.lagging() if full and self._events is not None else self._pulled
        now_s = self._monotonic_s()
        for source in self._pulled:
            if source not in wanted or source in self._reading or self._resting.get(source, 0.0) > now_s:
                continue
            self._reading.add(source)
            self._pulled.remove(source)  # to the end, so that sources are read by turns
            self._pulled.append(source)
            sequence = queues.take_sequence()
            return self._read(sequence, source)
        return None

    def _tick_task(self) -> Task | None:
        """Move the clock of a partition that had no frame for `TICK_S`."""
        queues = self._queues
        if queues.stopping:
            return None
        now_s = self._monotonic_s()
        for number, last_s in enumerate(self._last_frame_s):
            if now_s - last_s > TICK_S and not queues.folding[number]:
                self._last_frame_s[number] = now_s
                ticket = Ticket()
                ticket.expect(1)
                queues.waiting[number].append(Item(ticket, kind=FrameKind.TICK))
                return self._fold_task()
        return None

    # ---- doing it; none of these is locked

    def _read(self, sequence: int, source: PullSource) -> Task:
        queues = self._queues
        chunk = source.next_chunk(self._chunk_bytes)
        with queues.changed:
            self._reading.discard(source)
            if chunk is None:
                self._resting[source] = self._monotonic_s() + IDLE_WAIT_S
            else:
                queues.queued_bytes += chunk.length
            if self._events is not None:
                self._events.read(source, chunk)
            queues.changed.notify()  # another worker may read this source on while we decode
        if chunk is None:
            self._release(sequence, [])
            return
        yield
        yield from self._decode_and_release(sequence, chunk, Ticket(chunk.length, chunk.received_ns), source)
        source.recycle(chunk)

    def _decode_and_release(
        self, sequence: int, chunk: Chunk, ticket: Ticket, source: PullSource | None = None
    ) -> Task:
        decoded = self._decode(chunk)
        yield
        self._observer.decoded(chunk, decoded)
        if decoded.dead:
            yield
            self._observer.dead(decoded.dead)
        count = len(self._partitions)
        ticket.expect(count)
        items = items_of(chunk, decoded, ticket, count)
        events = self._events
        yield
        self._release(sequence, items if events is None else lambda: events.place(source, chunk, decoded, items))

    def _release(self, sequence: int, items: Callable[[], None] | Sequence[Item]) -> None:
        with self._queues.changed:
            self._queues.release(sequence, items)
            self._wake_others()

    def _fold(self, number: int) -> Task:
        queues, partition, events = self._queues, self._partitions[number], self._events
        items = queues.take_items(number, partition.batch_rows_max)
        due: list[Item] = []
        if self._due(number):
            due = partition.due(self._now_ms(), DUE_ROWS_MAX)
        if not items and events is not None:
            due, items = events.take(number)
        for appended in partition.process([*due, *items], self._now_ms()):
            if events is not None:
                events.folded(number, appended)
            queues.put_uncommitted(number, appended)
            yield
        with queues.changed:
            queues.fold_done(number, sum(map(rows_of, items)))
            self._last_frame_s[number] = self._monotonic_s()
            self._wake_others()

    def _answer(self, number: int) -> Task:
        """Answer what was asked of a partition's state."""
        queues = self._queues
        for question in queues.take_questions(number):
            question.put_to(self._partitions[number])
            yield
        with queues.changed:
            queues.folding[number] = False
            self._wake_others()

    def _wake_others(self) -> None:
        """Locked: wake a worker for each thing there is to do now, but for the one that the caller does itself."""
        queues = self._queues
        if queues.few and not queues.stopping:
            return
        ready = sum(map(bool, queues.waiting)) + sum(map(bool, queues.questions)) + len(queues.pushed)
        if self._events is not None:
            ready += sum(map(self._events.ready, range(len(queues.waiting))))
        ready += sum(source not in self._reading for source in self._pulled)
        if ready > 1:
            queues.changed.notify(ready - 1)
        if queues.stopping:
            queues.folded.notify()  # the commit thread ends when nothing is folded any more


def items_of(chunk: Chunk, decoded: Decoded, ticket: Ticket, partitions: int) -> list[Item]:
    """Split a decoded chunk into one item a partition; also the empty ones, because they carry the position."""
    batch, offsets = decoded.batch, decoded.offsets
    every = rows_by_partition(batch.subscriber, partitions) if partitions > 1 else [np.arange(batch.n, dtype=np.int32)]
    parts = (
        [(batch, offsets, every[0])]
        if partitions == 1
        else [(select(batch, rows), offsets[rows], rows) for rows in every]
    )
    return [
        Item(ticket, part, where, chunk.key, chunk.start, chunk.end, chunk.dedupe, rows=rows)
        for part, where, rows in parts
    ]
