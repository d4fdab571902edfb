"""The flow, in the order in which an event takes it.

    1. sources     push chunks of whole lines (`offer`), or are asked for their next one (`PullSource`)
    2. decode      a worker turns a chunk into columns; what is no event becomes a dead letter
    3. split       rows go to their subscribers' partitions, in the order of the chunks
    4. log         a worker appends a partition's waiting rows as one frame
    5. decide      and folds them: features, conditions, gates (`engine.flow.decider`)
    6. commit      one thread has logs synced, then journals written and synced: now it is durable
    7. acknowledge the source; hand the decisions to dispatch; let the flusher write pages up to here

N worker threads share stages 2 to 5 (`engine.flow.stages`). Chunks are decoded by several workers at once and released
in the order in which they were taken; a partition is folded by one worker at a time. Kernels run without the
interpreter lock, so two workers use two cores. What waits between the stages, and the lock, is in
`engine.flow.queues`; the commit thread is `engine.flow.committer`. The intake is bounded in bytes: `room` says no
before memory does, and sources slow down. Without `start` there are no threads: then the caller takes the tasks of
`stages` and `committer` and does them, as the simulation does.

On the events' own clock rows wait between 3 and 4 until they are next in the order of log times over all sources
(`engine.flow.merge`), and until dispatch has done what is due before them (`engine.flow.gate`).

A fault in any stage stops the pipeline: tickets and answers carry it to their callers, `failure` to the runtime.
Nothing is retried here, because whatever was not acknowledged comes again after a restart. What is asked or appended
after the end fails at once, so nobody waits forever.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

from connectors.sources.contract import Chunk
from engine.flow.committer import Committer
from engine.flow.event_time import EventTime
from engine.flow.observer import Observer
from engine.flow.partition import Item, Partition
from engine.flow.questions import Question
from engine.flow.queues import Queues
from engine.flow.stages import Decode, PullSource, Stages
from engine.flow.tickets import Ticket
from state.batch import Batch, select
from state.frame import FrameKind
from state.hashing import partition_of, rows_by_partition

T = TypeVar("T")

CHUNK_BYTES_A_PARTITION = 2 << 20
CHUNK_BYTES_MAX = 8 << 20
SYNCS_MAX = 8
"""Partitions that are synced at once, beside the first."""


class StoppedError(Exception):
    """The pipeline has ended well and takes nothing more."""


class Pipeline:
    """Threads and queues between sources and journals; every method may be called from any thread.

    Args:
        partitions: recovered partitions.
        decode: turns chunks into columns.
        observer: gets what was decoded, given up and committed.
        threads: workers, >= 1.
        queue_bytes_max: bytes of chunks taken and not yet durable.
        chunk_bytes: size of the chunks that pull sources are asked for; by default so many that a partition's part is
            a frame of its own, which is never copied.
        wall_ns: wall clock, epoch nanoseconds.
        monotonic_s: a clock that never goes back, seconds.
        syncing: syncs the partitions beside the first, threads of its own by default; shut down by `stop`.
        gated, quiet_s: on the events' own clock, as of `EventTime`.
    """

    def __init__(
        self,
        partitions: Sequence[Partition],
        decode: Decode,
        observer: Observer,
        *,
        threads: int,
        queue_bytes_max: int,
        chunk_bytes: int | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_s: Callable[[], float] = time.monotonic,
        syncing: Executor | None = None,
        gated: bool = False,
        quiet_s: float | None = None,
    ) -> None:
        self.partitions = partitions
        size = chunk_bytes or min(CHUNK_BYTES_A_PARTITION * len(partitions), CHUNK_BYTES_MAX, queue_bytes_max // 4)
        self._queues = Queues(len(partitions), queue_bytes_max)
        self.events: EventTime | None = None
        """Time on the events' own clock; None on the wall's."""
        if partitions[0].events_clock:
            self.events = self._queues.held = EventTime(
                partitions, self._queues, gated=gated, quiet_s=quiet_s, monotonic_s=monotonic_s
            )
        self.stages = Stages(partitions, self._queues, decode, observer, size, wall_ns, monotonic_s, self.events)
        syncing = syncing or ThreadPoolExecutor(min(len(partitions), SYNCS_MAX), "sync")
        self.committer = Committer(
            partitions, self._queues, observer, lambda: self.stages.pulls, wall_ns, syncing, self._committed
        )
        runs = [(f"worker-{i}", self.stages.work) for i in range(threads)]
        self._threads = [
            threading.Thread(target=self._guarded, args=(run,), name=name, daemon=True)
            for name, run in [*runs, ("commit", self.committer.run)]
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what was taken in, make it durable, end the threads."""
        self._queues.stop()
        for thread in self._threads:
            thread.join()
        self.committer.close()
        self._queues.end(StoppedError("the pipeline has stopped"))

    def fail(self, fault: BaseException) -> None:
        """Stop the flow because of a fault; all tickets and answers that are promised carry the first one."""
        self._queues.fail(fault)

    def _committed(self) -> None:
        if self.events is not None:
            self.events.moved()

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as fault:  # noqa: BLE001 every fault must stop the flow and reach the runtime
            self.fail(fault)

    def add_source(self, source: PullSource) -> None:
        """Ask `source` for chunks from now on."""
        self.add_sources([source])

    def add_sources(self, sources: Sequence[PullSource]) -> None:
        """Read sources from now on, those of the start together: on the events' own clock they are one stream."""
        self.stages.add_sources(sources)

    def room(self, length: int, reading: int = 0) -> bool:
        """Tell whether `length` more bytes may be offered now; see `Queues.room`."""
        return self._queues.room(length, reading)

    def offer(self, chunk: Chunk) -> "Future[None]":
        """Take a chunk; the future is done when its events are durable."""
        ticket = Ticket(chunk.length, chunk.received_ns)
        self._queues.push(chunk, ticket)
        return ticket.future

    def append(self, batch: Batch) -> "Future[None]":
        """Append rows that the engine itself makes (outcomes, visits, answers, lists); never refused."""
        ticket = Ticket()
        parts = rows_by_partition(batch.subscriber, len(self.partitions))
        self._queues.put(ticket, [Item(ticket, select(batch, rows)) if rows.shape[0] else None for rows in parts])
        return ticket.future

    def broadcast(self, kind: FrameKind, payload: bytes) -> "Future[None]":
        """Append a frame to every partition: a book's activation, a pause."""
        ticket = Ticket()
        self._queues.put(ticket, [Item(ticket, kind=kind, payload=payload) for _ in self.partitions])
        return ticket.future

    def ask(self, subscriber: int, read: Callable[[Partition], T]) -> "Future[T]":
        """Ask the state of a subscriber's partition between two frames; `read` must change nothing."""
        question = Question(read)
        self._queues.ask(partition_of(subscriber, len(self.partitions)), question)
        return question.answer

    @property
    def failure(self) -> BaseException | None:
        """The fault that stopped the flow, if one did."""
        return self._queues.failure

    @property
    def exhausted(self) -> bool:
        """Whether every pull source is exhausted."""
        with self._queues.changed:
            return self.stages.exhausted

    @property
    def idle(self) -> bool:
        """Whether every pull source is exhausted and all that was taken is durable."""
        with self._queues.changed:
            return self.stages.exhausted and self._queues.empty and not self.stages.due

    @property
    def queued_bytes(self) -> int:
        """Bytes taken and not yet durable."""
        return self._queues.queued_bytes
