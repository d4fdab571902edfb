"""The flow, in the order in which an event takes it.

    1. sources     push chunks of whole lines (`offer`), or are asked for their next one (`PullSource`)
    2. decode      a worker turns a chunk into columns; what is no event becomes a dead letter
    3. split       rows go to their subscribers' partitions, in the order of the chunks
    4. log         a worker appends a partition's waiting rows as one frame
    5. decide      and folds them: features, conditions, gates (`engine.flow.decider`)
    6. commit      one thread has logs synced, then journals written and synced: now it is durable
    7. acknowledge the source; hand the decisions to dispatch; let the flusher write pages up to here

N worker threads share stages 2 to 5. Chunks are decoded by several workers at once and released in the order in which
they were taken; a partition is folded by one worker at a time. Kernels run without the interpreter lock, so two workers
use two cores. The intake is bounded in bytes: `room` says no before memory does, and sources slow down. A disk that is
slow to sync bounds the flow by that, so partitions are synced side by side and not one after the other.

A fault in any stage stops the pipeline: tickets and answers carry it to whoever waits, `failure` to the runtime.
Nothing is retried here, because whatever was not acknowledged comes again after a restart. What is asked or appended
after the end fails at once, so nobody waits for ever.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, Generic, Protocol, TypeVar

from connectors.sources.contract import Chunk, Decoded
from connectors.sources.dead_letter import DeadLetter
from engine.flow.partition import Appended, Item, Partition
from engine.flow.tickets import Ticket
from state.batch import Batch, select
from state.frame import FrameKind
from state.hashing import partition_of, rows_by_partition

log = logging.getLogger("opportune.pipeline")

T = TypeVar("T")

IDLE_WAIT_S = 0.05
CHUNK_BYTES_A_PARTITION = 2 << 20
CHUNK_BYTES_MAX = 8 << 20
UNFOLDED_ROWS_MAX = 400_000
UNCOMMITTED_FRAMES_MAX = 64
SYNCS_MAX = 8
"""Partitions that are synced at once, beside the first."""


class StoppedError(Exception):
    """The pipeline has ended well and takes nothing more."""


class PullSource(Protocol):
    """A source that is asked: files."""

    def next_chunk(self, bytes_max: int) -> Chunk | None:
        """Return the next chunk; None when there is none just now."""

    def recycle(self, chunk: Chunk) -> None:
        """Take back a chunk whose bytes nobody reads any more."""

    @property
    def exhausted(self) -> bool:
        """Whether everything that was there has been returned."""


class Observer(Protocol):
    """Who is told what happened: metrics, dead letters, dispatch. Called from the pipeline's threads."""

    def decoded(self, chunk: Chunk, decoded: Decoded) -> None:
        """A chunk was decoded."""

    def dead(self, letters: Sequence[DeadLetter]) -> None:
        """Lines were given up; returns when they are safe."""

    def committed(self, partition: Partition, appended: Sequence[Appended], now_ns: int) -> None:
        """Frames of a partition are durable, with their decisions."""


Decode = Callable[[Chunk], Decoded]
"""Decodes a chunk under the schema of the book now active; called by several threads at once."""


class Pipeline:
    """Threads and queues between sources and journals.

    Args:
        partitions: recovered partitions.
        decode: turns chunks into columns.
        observer: who is told.
        threads: workers, >= 1.
        queue_bytes_max: bytes of chunks taken and not yet durable.
        chunk_bytes: size of the chunks that pull sources are asked for; by default so many that a partition's part is
            a frame of its own, which is never copied.
        wall_ns: wall clock, epoch nanoseconds.
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
    ) -> None:
        self.partitions = partitions
        self.failure: BaseException | None = None
        self._decode = decode
        self._observer = observer
        self._queue_bytes_max = queue_bytes_max
        self._chunk_bytes = chunk_bytes or min(
            CHUNK_BYTES_A_PARTITION * len(partitions), CHUNK_BYTES_MAX, queue_bytes_max // 4
        )
        self._wall_ns = wall_ns
        guard = threading.RLock()
        self._changed = threading.Condition(guard)
        self._folded = threading.Condition(guard)
        self._pushed: deque[tuple[Chunk, Ticket]] = deque()
        self._pulled: list[PullSource] = []
        self._reading: set[PullSource] = set()
        self._resting: dict[PullSource, float] = {}
        self._queued_bytes = 0
        self._sequence = 0
        self._released = 0
        self._decoded: dict[int, list[list[Item]]] = {}
        self._waiting: list[deque[Item]] = [deque() for _ in partitions]
        self._waiting_rows = 0
        self._questions: list[deque[_Question[Any]]] = [deque() for _ in partitions]
        self._folding = [False] * len(partitions)
        self._owed: set[Ticket] = set()
        self._uncommitted: list[list[Appended]] = [[] for _ in partitions]
        self._committing = False
        self._syncing = ThreadPoolExecutor(min(len(partitions), SYNCS_MAX), "sync")
        self._stopping = False
        self._ended: BaseException | None = None
        self._last_frame_s = [time.monotonic()] * len(partitions)
        self._threads = [
            threading.Thread(target=self._guarded, args=(self._work,), name=f"worker-{i}", daemon=True)
            for i in range(threads)
        ]
        self._threads.append(
            threading.Thread(target=self._guarded, args=(self._commit_forever,), name="commit", daemon=True)
        )

    # ---- the surface

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what was taken in, make it durable, end the threads."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            self._folded.notify()
        for thread in self._threads:
            thread.join()
        self._syncing.shutdown()
        self._end(StoppedError("the pipeline has stopped"))

    def add_source(self, source: PullSource) -> None:
        """Ask `source` for chunks from now on."""
        with self._changed:
            self._pulled.append(source)
            self._changed.notify_all()

    def room(self, length: int, reading: int = 0) -> bool:
        """Tell whether `length` more bytes may be offered now, while a source holds `reading` bytes not offered yet.

        Where nothing is queued any length may, so that none waits for ever. After a fault too: the future tells it.
        """
        queued = self._queued_bytes + reading
        return queued == 0 or queued + length <= self._queue_bytes_max or self.failure is not None

    def offer(self, chunk: Chunk) -> "Future[None]":
        """Take a chunk; the future is done when its events are durable. Thread-safe."""
        ticket = Ticket(chunk.length, chunk.received_ns)
        with self._changed:
            if not self._owe(ticket):
                return ticket.future
            self._queued_bytes += chunk.length
            self._pushed.append((chunk, ticket))
            self._changed.notify()
        return ticket.future

    def append(self, batch: Batch) -> "Future[None]":
        """Append rows that the engine itself makes (outcomes, visits, answers, lists). Thread-safe, never refused."""
        ticket = Ticket()
        parts = rows_by_partition(batch.subscriber, len(self.partitions))
        items = [Item(ticket, select(batch, rows)) for rows in parts]
        with self._changed:
            if not self._owe(ticket):
                return ticket.future
            ticket.expect(sum(item.batch is not None and item.batch.n > 0 for item in items))
            if ticket.future.done():
                self._owed.discard(ticket)
            for waiting, item in zip(self._waiting, items, strict=True):
                if item.batch is not None and item.batch.n:
                    waiting.append(item)
                    self._waiting_rows += item.batch.n
            self._changed.notify_all()
        return ticket.future

    def broadcast(self, kind: FrameKind, payload: bytes) -> "Future[None]":
        """Append a frame to every partition: a book's activation, a pause. Thread-safe."""
        ticket = Ticket()
        ticket.expect(len(self.partitions))
        with self._changed:
            if not self._owe(ticket):
                return ticket.future
            for waiting in self._waiting:
                waiting.append(Item(ticket, kind=kind, payload=payload))
            self._changed.notify_all()
        return ticket.future

    def _owe(self, ticket: Ticket) -> bool:
        """Remember that somebody waits for a ticket; one that comes after the end fails, and the answer is False."""
        if self._ended is not None:
            ticket.fail(self._ended)
            return False
        self._owed.add(ticket)
        return True

    def ask(self, subscriber: int, read: Callable[[Partition], T]) -> "Future[T]":
        """Ask the state of a subscriber's partition between two frames. Thread-safe; `read` must change nothing."""
        question = _Question(read)
        number = partition_of(subscriber, len(self.partitions))
        with self._changed:
            if self._ended is not None:
                question.answer.set_exception(self._ended)
            else:
                self._questions[number].append(question)
                self._changed.notify_all()
        return question.answer

    @property
    def idle(self) -> bool:
        """Whether every pull source is exhausted and all that was taken is durable."""
        with self._changed:
            return (
                all(source.exhausted for source in self._pulled)
                and not self._pushed
                and not self._reading
                and self._released == self._sequence
                and not any(self._waiting)
                and not any(self._folding)
                and not any(self._uncommitted)
                and not self._committing
            )

    @property
    def queued_bytes(self) -> int:
        """Bytes taken and not yet durable."""
        return self._queued_bytes

    # ---- workers

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as fault:  # noqa: BLE001 every fault must stop the flow and reach the runtime
            self.fail(fault)

    def fail(self, fault: BaseException) -> None:
        """Stop the flow because of a fault; whoever waits for a ticket or an answer gets the first one."""
        with self._changed:
            if self.failure is None:
                self.failure = fault
            self._stopping = True
        self._end(self.failure)

    def _end(self, reason: BaseException) -> None:
        """Let nobody wait for what will not come any more."""
        with self._changed:
            self._ended = self._ended or reason
            owed, self._owed = self._owed, set()
            asked, self._questions = self._questions, [deque() for _ in self.partitions]
            self._changed.notify_all()
            self._folded.notify()
        for ticket in owed:
            ticket.fail(self._ended)
        for question in chain.from_iterable(asked):
            question.answer.set_exception(self._ended)

    def _work(self) -> None:
        while True:
            task = self._next_task()
            if task is None:
                return
            task()

    def _next_task(self) -> Callable[[], None] | None:
        """Wait for something to do: fold first, then decode what was pushed, then read a pull source."""
        with self._changed:
            while self.failure is None:
                task = self._fold_task() or self._decode_task() or self._read_task() or self._tick_task()
                if task is not None:
                    return task
                if self._stopping and self._drained():
                    return None
                self._changed.wait(IDLE_WAIT_S)
        return None

    def _drained(self) -> bool:
        return not self._pushed and not any(self._waiting) and self._released == self._sequence

    def _fold_task(self) -> Callable[[], None] | None:
        for number, waiting in enumerate(self._waiting):
            if self._folding[number]:
                continue
            if self._questions[number]:
                self._folding[number] = True
                return lambda: self._answer(number)
            if waiting and len(self._uncommitted[number]) < UNCOMMITTED_FRAMES_MAX:
                self._folding[number] = True
                return lambda: self._fold(number)
        return None

    def _decode_task(self) -> Callable[[], None] | None:
        if not self._pushed or self._waiting_rows > UNFOLDED_ROWS_MAX:
            return None
        chunk, ticket = self._pushed.popleft()
        sequence = self._take_sequence()
        return lambda: self._decode_and_release(sequence, chunk, ticket)

    def _read_task(self) -> Callable[[], None] | None:
        if self._stopping or self._waiting_rows > UNFOLDED_ROWS_MAX or not self.room(self._chunk_bytes):
            return None
        now = time.monotonic()
        for source in self._pulled:
            if source in self._reading or self._resting.get(source, 0.0) > now:
                continue
            self._reading.add(source)
            self._pulled.remove(source)
            self._pulled.append(source)
            sequence = self._take_sequence()
            return lambda: self._read(sequence, source)
        return None

    def _tick_task(self) -> Callable[[], None] | None:
        """Move the clock of a partition that had no frame for a second."""
        if self._stopping:
            return None
        now = time.monotonic()
        for number, last in enumerate(self._last_frame_s):
            if now - last > 1.0 and not self._folding[number]:
                self._last_frame_s[number] = now
                ticket = Ticket()
                ticket.expect(1)
                self._waiting[number].append(Item(ticket, kind=FrameKind.TICK))
                return self._fold_task()
        return None

    def _take_sequence(self) -> int:
        self._sequence += 1
        return self._sequence - 1

    def _read(self, sequence: int, source: PullSource) -> None:
        chunk = source.next_chunk(self._chunk_bytes)
        with self._changed:
            self._reading.discard(source)
            if chunk is None:
                self._resting[source] = time.monotonic() + IDLE_WAIT_S
            else:
                self._queued_bytes += chunk.length
            self._changed.notify()
        if chunk is None:
            self._release(sequence, [])
            return
        self._decode_and_release(sequence, chunk, Ticket(chunk.length, chunk.received_ns))
        source.recycle(chunk)

    def _decode_and_release(self, sequence: int, chunk: Chunk, ticket: Ticket) -> None:
        decoded = self._decode(chunk)
        self._observer.decoded(chunk, decoded)
        if decoded.dead:
            self._observer.dead(decoded.dead)
        count = len(self.partitions)
        ticket.expect(count)
        self._release(sequence, items_of(chunk, decoded, ticket, count))

    def _release(self, sequence: int, items: list[Item]) -> None:
        """Give decoded chunks to the partitions in the order in which they were taken."""
        with self._changed:
            self._decoded[sequence] = [items]
            while self._released in self._decoded:
                (ready,) = self._decoded.pop(self._released)
                for waiting, item in zip(self._waiting, ready, strict=False):
                    waiting.append(item)
                    self._waiting_rows += item.batch.n if item.batch is not None else 0
                self._released += 1
            self._call_others()

    def _fold(self, number: int) -> None:
        partition = self.partitions[number]
        with self._changed:
            items = self._take_items(number, partition.batch_rows_max)
        for appended in partition.process(items, self._wall_ns() // 1_000_000):
            with self._changed:
                self._uncommitted[number].append(appended)
                self._folded.notify()
        with self._changed:
            self._folding[number] = False
            self._last_frame_s[number] = time.monotonic()
            self._waiting_rows -= sum(item.batch.n for item in items if item.batch is not None)
            self._call_others()

    def _answer(self, number: int) -> None:
        """Answer what was asked of a partition's state."""
        with self._changed:
            questions, self._questions[number] = self._questions[number], deque()
        for question in questions:
            question.put_to(self.partitions[number])
        with self._changed:
            self._folding[number] = False
            self._call_others()

    def _call_others(self) -> None:
        """Wake workers for what there is to do now, beside what the calling one takes up itself."""
        ready = sum(map(bool, self._waiting)) + sum(map(bool, self._questions)) + len(self._pushed)
        ready += sum(source not in self._reading for source in self._pulled)
        if ready > 1:
            self._changed.notify(ready - 1)
        if self._stopping:
            self._folded.notify()

    def _take_items(self, number: int, rows_max: int) -> list[Item]:
        waiting = self._waiting[number]
        items = [waiting.popleft()]
        rows = items[0].batch.n if items[0].batch is not None else 0
        while waiting:
            size = waiting[0].batch.n if waiting[0].batch is not None else 0
            if rows + size > rows_max:
                break
            items.append(waiting.popleft())
            rows += size
        return items

    # ---- commit

    def _commit_forever(self) -> None:
        while True:
            with self._changed:
                while not any(self._uncommitted):
                    if self._stopping and (self.failure is not None or self._all_folded()):
                        return
                    self._folded.wait(IDLE_WAIT_S)
                taken = self._uncommitted
                self._uncommitted = [[] for _ in self.partitions]
                self._committing = True
                if any(len(frames) >= UNCOMMITTED_FRAMES_MAX for frames in taken):
                    self._changed.notify_all()
            self._commit([one for one in zip(self.partitions, taken, strict=True) if one[1]])
            with self._changed:
                self._committing = False

    def _all_folded(self) -> bool:
        return self._drained() and not any(self._folding)

    def _commit(self, taken: Sequence[tuple[Partition, list[Appended]]]) -> None:
        """Make frames and decisions durable, in this order, all partitions side by side, and tell everybody.

        The first fault ends the pipeline; those of other partitions are logged, whenever they come.
        """
        others = [self._syncing.submit(commit, *one) for one in taken[1:]]
        try:
            commit(*taken[0])
            self._tell(*taken[0])
            for one, done in zip(taken[1:], others, strict=True):
                done.result()
                self._tell(*one)
        except BaseException as first:
            for (partition, _), done in zip(taken[1:], others, strict=True):
                done.add_done_callback(partial(_log_other, partition.number, first))
            raise

    def _tell(self, partition: Partition, appended: list[Appended]) -> None:
        """Tell whoever waits for it that frames are durable."""
        now_ns = self._wall_ns()
        self._observer.committed(partition, appended, now_ns)
        done = [ticket for frame in appended for ticket in frame.tickets if ticket.done()]
        if done:
            with self._changed:
                self._owed.difference_update(done)
                self._queued_bytes -= sum(ticket.length for ticket in done)
                if self._pulled:
                    self._changed.notify()


class _Question(Generic[T]):
    """Something to read from a partition's state, and the promise of an answer; who asks cannot take it back."""

    def __init__(self, read: Callable[[Partition], T]) -> None:
        self.answer: Future[T] = Future()
        self.answer.set_running_or_notify_cancel()
        self._read = read

    def put_to(self, partition: Partition) -> None:
        """Answer; whoever asked gets the fault."""
        try:
            found = self._read(partition)
        except Exception as fault:  # noqa: BLE001 it is theirs
            self.answer.set_exception(fault)
        else:
            self.answer.set_result(found)


def _log_other(number: int, first: BaseException, done: "Future[None]") -> None:
    """Log why a partition could not be committed, where that is not the fault that ended the pipeline."""
    fault = done.exception()
    if fault is not None and fault is not first:
        log.error("partition %d could not be committed either: %s", number, fault, exc_info=fault)


def commit(partition: Partition, appended: Sequence[Appended]) -> None:
    """Sync the log, write and sync the journal, let the flusher know.

    The journal is written after the log is durable, so it never speaks of a frame that a crash can take away.
    """
    durable = partition.log.sync()
    journaled = False
    for frame in appended:
        if frame.decisions is not None:
            partition.journal.append(frame.position, [frame.decisions.encode()], frame.append_ms)
            journaled = True
    if journaled:
        partition.journal.sync()
    partition.flusher.durable(min(durable, appended[-1].position))


def items_of(chunk: Chunk, decoded: Decoded, ticket: Ticket, partitions: int) -> list[Item]:
    """Split a decoded chunk into one item a partition; also the empty ones, because they carry the position."""
    batch, offsets = decoded.batch, decoded.offsets
    if partitions == 1:
        parts = [(batch, offsets)]
    else:
        parts = [(select(batch, rows), offsets[rows]) for rows in rows_by_partition(batch.subscriber, partitions)]
    return [Item(ticket, part, where, chunk.key, chunk.start, chunk.end, chunk.dedupe) for part, where in parts]
