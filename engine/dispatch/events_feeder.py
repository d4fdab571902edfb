"""From the journals to dispatch on the events' own clock: each moment at which something is due, one after the other.

One moment:

    1. it is reached     every partition has folded, and made durable, all rows up to it (`EventTime.low_ms`)
    2. take over         what rows up to it took back; what was decided by then, in the order of log time, subscriber,
                         rule
    3. rest              dispatch lets go what can go, until all is answered and every outcome is in the log
    4. pass              the fold goes on, to the next moment at which something is due (`EventTime.passed`)

So what is sent, and when, follows from the log and from the gateways' answers; neither speed nor a restart changes it.
After a restart the moment at which the outbox ends is done first: its attempts may not all have been made.

The clock goes on without events where none come any more: in a drained run from turn to turn of what only a rate holds
back, at once; else at the wall's pace. A window, a quota and a shelf life wait for events in a drained run.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from engine.book.shelf import BookShelf
from engine.dispatch.due import Due
from engine.dispatch.feeder import Reading, Taker
from engine.dispatch.model import Decided, Withdrawn
from engine.dispatch.wording import decided_of, withdrawn_of, withdraws
from engine.flow.clock import EventsClock
from engine.flow.event_time import EventTime
from engine.flow.gate import holds
from engine.flow.partition import Partition
from engine.flow.steps import FOREVER_MS
from rules.model import Book
from state.decisions import DecisionBatch, Outcome, RecordKind, decode
from state.texts import Lookup

WAIT_S = 0.1
REST_S = 0.25


class MomentTaker(Taker, Protocol):
    """Dispatch, as this feeder sees it."""

    async def rest(self, wait_s: float) -> Due | None:
        """Wait until nothing more can go at the present time and the log has every outcome; None after `wait_s`.

        Returns when there is something to do next.
        """


Order = tuple[int, int, int, int]
"""Log time, subscriber, rule and partition."""


class EventsFeeder:
    """Feeds dispatch from the journals of the partitions, and moves the events' clock.

    Args:
        partitions: whose journals.
        shelf, texts: for names of the records, and the texts of those of format 1.
        taker: dispatch.
        follow: called with the book that became active.
        cursors: the journal entry to read next, by partition number as text.
        clock: at the time at which the outbox ends.
        events: how far the fold has come.
        before: called with (partition, position) before the decisions of that frame are offered.
    """

    def __init__(
        self,
        partitions: Sequence[Partition],
        shelf: BookShelf,
        texts: Lookup,
        taker: MomentTaker,
        follow: Callable[[Book], object],
        cursors: Mapping[str, int],
        clock: EventsClock,
        events: EventTime,
        before: Callable[[Partition, int], "asyncio.Future[None] | None"],
    ) -> None:
        self._readings = [Reading(one, cursors.get(str(one.number), 0)) for one in partitions]
        self._shelf = shelf
        self._texts = texts
        self._taker = taker
        self._follow = follow
        self._followed = (-1, -1, "")
        self._clock = clock
        self._events = events
        self._before = before
        self._stopped: Callable[[], bool] = lambda: False
        self._more = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._due = Due(FOREVER_MS, FOREVER_MS, FOREVER_MS)
        self._idle_since: tuple[int, float] | None = None
        """Time of the events and of the machine when the last event had come."""
        self._passing = False

    def wake(self) -> None:
        """Say that partitions have come further; from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._more.set)

    @property
    def idle(self) -> bool:
        """Whether everything durable has been handed over, and no moment is being done."""
        read = all(reading.next >= reading.partition.journal.next_position for reading in self._readings)
        return read and not self._passing and self._events.held_ms == FOREVER_MS

    async def look_to_the_end(self) -> None:
        """Pass on what rows up to the present time took back: before the first send after a start."""
        self._withdraw(self._clock.now_ms())

    async def run(self, stopped: Callable[[], bool]) -> None:
        """Feed until `stopped` says so."""
        self._stopped = stopped
        self._events.moved = self.wake
        self._hold_unread()
        await self._pass(self._clock.now_ms())
        while not stopped():
            self._more.clear()
            at_ms = self._next_ms()
            if at_ms is not None:
                await self._pass(at_ms)
                continue
            try:
                await asyncio.wait_for(self._more.wait(), WAIT_S)
            except TimeoutError:
                continue

    # ---- which moment

    def _next_ms(self) -> int | None:
        """Return the next moment to be done; None where it has not come."""
        low_ms, held_ms = self._events.low_ms(), self._events.held_ms
        first_ms = min(held_ms, *self._due)
        if low_ms < FOREVER_MS:
            if not self._events.idles:  # else it is a deadline that comes without events
                self._idle_since = None
            if first_ms <= low_ms:
                return max(first_ms, self._clock.now_ms()) if self._readable(first_ms) else None
            self._clock.reach(low_ms)
            return None
        held_ms = min(held_ms, self._unread_ms())
        if held_ms < FOREVER_MS and held_ms <= min(self._due):
            return max(held_ms, self._clock.now_ms()) if self._readable(held_ms) else None
        return self._next_idle_ms(held_ms)

    def _readable(self, first_ms: int) -> bool:
        """Tell whether what is to be done first is durable, where it was decided just now."""
        return first_ms in self._due or self._unread_ms() <= first_ms

    def _unread_ms(self) -> int:
        """Return the time of the first entry that was not taken, be it one without decisions."""
        waiting = (reading.peek() for reading in self._readings)
        return min((entry.append_ms for entry in waiting if entry is not None), default=FOREVER_MS)

    def _next_idle_ms(self, held_ms: int) -> int | None:
        """Return the next moment where no events come."""
        now_ms = self._clock.now_ms()
        if self._idle_since is None:
            newest_ms = max(reading.partition.clock_ms for reading in self._readings)
            self._idle_since = max(newest_ms, now_ms), time.monotonic()
        began_ms, began_s = self._idle_since
        paced_ms = began_ms + int((time.monotonic() - began_s) * 1000)
        if began_ms and not self._events.drained:
            self._events.go_on(paced_ms)
        first_ms = min(self._due)
        if first_ms <= min(held_ms, paced_ms) or (held_ms < FOREVER_MS and first_ms <= held_ms):
            return first_ms
        if self._events.drained and self._due.turn_ms == first_ms < FOREVER_MS:
            return first_ms
        if held_ms == FOREVER_MS and began_ms and not self._events.drained:
            self._clock.reach(min(paced_ms, first_ms - 1))
        return None

    # ---- doing it

    def _hold_unread(self) -> None:
        """Stop partitions whose journals have decisions that nobody had taken over, at each of them."""
        for reading in self._readings:
            for entry in reading.rest():
                if holds(decode(entry.payload)):
                    self._events.hold(reading.partition.number, entry.append_ms, entry.reached)

    async def _pass(self, at_ms: int) -> None:
        """Do all that is due up to a time, and let the fold go on."""
        self._passing = True
        self._clock.reach(at_ms)
        self._withdraw(at_ms)
        await self._offer(at_ms)
        while (due := await self._taker.rest(REST_S)) is None:
            if self._stopped():
                return
        self._due = due
        self._events.passed([reading.reached for reading in self._readings], min(self._due))
        self._passing = False

    def _withdraw(self, at_ms: int) -> None:
        """Pass on what rows up to a time took back, and the book that became active by then."""
        withdrawn: list[Withdrawn] = []
        for reading in self._readings:
            number = reading.partition.number
            for entry in reading.rest_ahead():
                batch = decode(entry.payload)
                if entry.append_ms > at_ms and not (batch.log_ms <= at_ms).any():
                    break
                if withdraws(batch):
                    withdrawn += withdrawn_of(number, batch, self._shelf.get(batch.book).book, at_ms)
                if entry.append_ms <= at_ms:
                    reading.note(batch)
                    reading.ahead = entry.position + 1
        if withdrawn:
            self._taker.withdraw(withdrawn)
        newest = max(reading.activated for reading in self._readings)
        if newest > self._followed:
            self._followed = newest
            self._follow(self._shelf.get(newest[2]).book)

    async def _offer(self, at_ms: int) -> None:
        """Hand over what was decided up to a time, in order; however much: nothing goes on before it is done."""
        found: list[tuple[Order, Decided]] = []
        cursors: dict[str, int] = {}
        for reading in self._readings:
            partition = reading.partition
            while (entry := reading.peek()) is not None and entry.append_ms <= at_ms:
                ready = self._before(partition, entry.reached)
                if ready is not None:
                    await ready
                if reading.take():
                    batch = decode(entry.payload)
                    book = self._shelf.get(batch.book).book
                    decided = decided_of(partition.number, batch, book, self._texts)
                    found += zip(orders(partition.number, batch), decided, strict=True)
                cursors[str(partition.number)] = reading.next
        if cursors:
            found.sort(key=lambda one: one[0])
            self._taker.offer([decided for _, decided in found], cursors)


def orders(partition: int, batch: DecisionBatch) -> list[Order]:
    """Return the place of each decision of a frame among all; `decided_of` yields them in this order."""
    rows = ((batch.outcome == Outcome.DECIDED) & (batch.kind == RecordKind.DECISION)).nonzero()[0]
    columns = (batch.log_ms[rows].tolist(), batch.subscriber[rows].tolist(), batch.rule[rows].tolist())
    return [(at_ms, who, rule, partition) for at_ms, who, rule in zip(*columns, strict=True)]
