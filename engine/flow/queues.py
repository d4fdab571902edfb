"""What waits between the stages of the flow, under one lock.

    pushed ─► (decode) ─► released in order ─► waiting, a queue a partition ─► (fold) ─► uncommitted ─► (commit)

Two conditions share the lock, so that each thread is woken for its own business:

    changed   workers: something may be decoded, read, folded or answered
    folded    the commit thread: a frame was folded, or the end has come

Lock order: this lock, then a ticket's. A ticket is completed or failed outside this lock, because its future calls back
into code that is not ours; the only exceptions are futures that nobody has yet, which have no callbacks.

A count in `notify(n)` is the number of workers that can find something to do now. Waking all of them for one chunk
would make them queue for the lock, and each other's interpreter, in vain. A worker that is not woken looks for itself
after `IDLE_WAIT_S`, so a lost wake-up costs that time and never stops the flow.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Protocol

from connectors.sources.contract import Chunk
from engine.flow.fold import Appended
from engine.flow.partition import Item
from engine.flow.questions import Question
from engine.flow.tickets import Ticket

IDLE_WAIT_S = 0.05
FEW_ROWS = 1_000
"""That wait for folds, or are in one, below which a worker folds partition after partition before another is awake."""
TOGETHER_FRAMES_MAX = 8
"""Frames of a partition that wait for others to be committed with them."""
UNCOMMITTED_FRAMES_MAX = 64
"""Frames of a partition that wait for the commit thread, at which it is not folded on."""


class Held(Protocol):
    """Rows that wait beside the queues (`engine.flow.event_time`); locked."""

    @property
    def empty(self) -> bool:
        """Whether no row waits."""

    def stop(self) -> None:
        """Forget what will not be folded any more."""


class Queues:
    """The queues of one pipeline.

    Methods whose docstring says "locked" are called with the lock held; all others take it.

    Args:
        partitions: their number.
        bytes_max: bytes of chunks taken and not yet durable.
    """

    def __init__(self, partitions: int, bytes_max: int) -> None:
        lock = threading.RLock()
        self.changed = threading.Condition(lock)
        self.folded = threading.Condition(lock)
        self.pushed: deque[tuple[Chunk, Ticket]] = deque()
        self.waiting: list[deque[Item]] = [deque() for _ in range(partitions)]
        self.waiting_rows = 0
        self.questions: list[deque[Question[Any]]] = [deque() for _ in range(partitions)]
        self.folding = [False] * partitions
        """Whether a worker has the partition now: it is folded by one at a time."""
        self.uncommitted: list[list[Appended]] = [[] for _ in range(partitions)]
        self.committing = [False] * partitions
        """Whether the commit thread has frames of the partition now."""
        self.held: Held | None = None
        """Rows that wait for their turn on the events' own clock."""
        self.queued_bytes = 0
        self.stopping = False
        self.failure: BaseException | None = None
        self._bytes_max = bytes_max
        self._taken = 0
        self._released = 0
        self._decoded: dict[int, Callable[[], None] | Sequence[Item]] = {}
        self._promised: set[Ticket] = set()
        self._ended: BaseException | None = None

    # ---- in

    def room(self, length: int, reading: int = 0) -> bool:
        """Tell whether `length` more bytes may be offered now, while a source holds `reading` bytes not offered yet.

        An empty queue accepts any length, so a large chunk cannot wait forever. After a fault too: the returned future
        carries it.
        """
        queued = self.queued_bytes + reading
        return queued == 0 or queued + length <= self._bytes_max or self.failure is not None

    def push(self, chunk: Chunk, ticket: Ticket) -> None:
        """Let a chunk wait for a decoder."""
        with self.changed:
            if self._promise(ticket):
                self.queued_bytes += chunk.length
                self.pushed.append((chunk, ticket))
                self.changed.notify()

    def put(self, ticket: Ticket, items: Sequence[Item | None]) -> None:
        """Let one item a partition wait for the fold; None for a partition that gets nothing."""
        with self.changed:
            if not self._promise(ticket):
                return
            ticket.expect(sum(item is not None for item in items))
            if ticket.future.done():
                self._promised.discard(ticket)
            for waiting, item in zip(self.waiting, items, strict=True):
                if item is not None:
                    waiting.append(item)
                    self.waiting_rows += rows_of(item)
            self.changed.notify_all()  # every partition may have got something

    def ask(self, number: int, question: Question[Any]) -> None:
        """Let a question wait for a partition."""
        with self.changed:
            if self._ended is not None:
                question.answer.set_exception(self._ended)
            else:
                self.questions[number].append(question)
                self.changed.notify_all()

    def _promise(self, ticket: Ticket) -> bool:
        """Locked: remember that somebody waits for a ticket; after the end it fails, and the answer is False."""
        if self._ended is not None:
            ticket.fail(self._ended)
            return False
        self._promised.add(ticket)
        return True

    # ---- between decode and fold

    def take_sequence(self) -> int:
        """Locked: return the place of a chunk in the order in which chunks are taken."""
        self._taken += 1
        return self._taken - 1

    def release(self, sequence: int, items: Callable[[], None] | Sequence[Item]) -> None:
        """Locked: give decoded chunks to the partitions in the order in which they were taken.

        What is to be called in place of that is called when the chunk's turn has come.
        """
        self._decoded[sequence] = items
        while self._released in self._decoded:
            ready = self._decoded.pop(self._released)
            if callable(ready):
                ready()
            else:
                # A source that had nothing releases an empty list instead of one item a partition: not strict.
                for waiting, item in zip(self.waiting, ready, strict=False):
                    waiting.append(item)
                    self.waiting_rows += rows_of(item)
            self._released += 1

    def take_items(self, number: int, rows_max: int) -> list[Item]:
        """Return what waits for a partition: the first item, and those after it that fit into `rows_max` with it."""
        with self.changed:
            waiting = self.waiting[number]
            if not waiting:
                return []
            items = [waiting.popleft()]
            rows = rows_of(items[0])
            while waiting and rows + rows_of(waiting[0]) <= rows_max:
                rows += rows_of(waiting[0])
                items.append(waiting.popleft())
            return items

    def take_questions(self, number: int) -> Sequence[Question[Any]]:
        """Return what was asked of a partition."""
        with self.changed:
            questions, self.questions[number] = self.questions[number], deque()
            return questions

    # ---- between fold and commit

    def put_uncommitted(self, number: int, appended: Appended) -> None:
        """Let a folded frame wait for the commit thread; it alone waits for `folded`, so one wake-up is enough.

        Where little is left to fold, `fold_done` wakes it, behind the last partition: they are committed together.
        """
        with self.changed:
            self.uncommitted[number].append(appended)
            if not self.few:
                self.folded.notify()

    def fold_done(self, number: int, rows: int) -> None:
        """Locked: take note that no worker has the partition any more, and that so many rows wait no longer."""
        self.folding[number] = False
        self.waiting_rows -= rows
        last = not self.few or not any(self.waiting) or len(self.uncommitted[number]) >= TOGETHER_FRAMES_MAX
        if last or self.stopping:
            self.folded.notify()

    @property
    def few(self) -> bool:
        """Locked: whether so little waits that no other worker is worth waking."""
        return self.waiting_rows < FEW_ROWS and not self.pushed

    def take_uncommitted(self) -> list[list[Appended]] | None:
        """Return the folded frames, a list a partition; None when there are none now.

        A partition with `UNCOMMITTED_FRAMES_MAX` of them was not folded on, so workers are woken for it.
        """
        with self.changed:
            taken = self.uncommitted
            if not any(taken):
                return None
            self.uncommitted = [[] for _ in taken]
            self.committing = [bool(frames) for frames in taken]
            if any(len(frames) >= UNCOMMITTED_FRAMES_MAX for frames in taken):
                self.changed.notify_all()
            return taken

    def settle(self, done: Sequence[Ticket], *, wake: bool) -> None:
        """Take completed tickets off the budget; `wake` a worker, for a source may be read on."""
        with self.changed:
            self._promised.difference_update(done)
            self.queued_bytes -= sum(ticket.length for ticket in done)
            if wake:
                self.changed.notify()

    # ---- the end

    @property
    def drained(self) -> bool:
        """Locked: whether all that was taken has been given to a fold."""
        held = self.held is not None and not self.held.empty
        return not any(self.waiting) and self.all_decoded and not held

    @property
    def all_decoded(self) -> bool:
        """Locked: whether no chunk waits for a decoder, or is with one."""
        return not self.pushed and self._released == self._taken

    def resting(self, number: int) -> bool:
        """Locked: whether all that was given to a partition is durable."""
        busy = self.waiting[number] or self.folding[number] or self.uncommitted[number] or self.committing[number]
        return not busy

    @property
    def all_folded(self) -> bool:
        """Locked: whether the end has come and nothing more will be folded."""
        return self.stopping and (self.failure is not None or (self.drained and not any(self.folding)))

    @property
    def empty(self) -> bool:
        """Locked: whether all that was taken is durable."""
        return self.drained and not any(self.folding) and not any(self.uncommitted) and not any(self.committing)

    def stop(self) -> None:
        """Let every thread end once it finds nothing to do."""
        with self.changed:
            self.stopping = True
            if self.held is not None:
                self.held.stop()
            self.changed.notify_all()
            self.folded.notify()

    def fail(self, fault: BaseException) -> None:
        """Stop because of a fault; only the first one counts, and all that is promised fails with it."""
        with self.changed:
            if self.failure is None:
                self.failure = fault
            self.stopping = True
        self.end(self.failure)

    def end(self, reason: BaseException) -> None:
        """Fail every promise that will not be kept any more, now and from now on, with the first reason given."""
        with self.changed:
            self._ended = self._ended or reason
            promised, self._promised = self._promised, set()
            asked, self.questions = self.questions, [deque() for _ in self.questions]
            self.changed.notify_all()
            self.folded.notify()
        for ticket in promised:
            ticket.fail(self._ended)
        for question in chain.from_iterable(asked):
            question.answer.set_exception(self._ended)


def rows_of(item: Item) -> int:
    """Return how many rows an item brings."""
    return item.batch.n if item.batch is not None else 0
