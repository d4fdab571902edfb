"""From the journals to dispatch: reads what is durable and not yet dispatched, in order, as fast as dispatch has room.

The position in each journal is dispatch's own durable cursor, so a restart continues where the outbox stands, and a
decision that is read twice is known by its id. Nothing is pushed: what does not fit into dispatch's memory waits in the
journal. The partitions are read in the order of time, the earliest entry first.

What the fold takes back (a list, a profile, an answer) and the book that became active are read to the journal's end
first, whatever room there is: a decision that waits anywhere must not go once its withdrawal is durable, and what waits
is judged by the active book. Partitions are told of a book one by one; the newest is it.

This is the feeder on the wall's clock; that on the events' own is `engine.dispatch.events_feeder`.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Protocol

from engine.book.shelf import BookShelf
from engine.dispatch.model import Decided, Withdrawn
from engine.dispatch.wording import decided_of, withdrawn_of, withdraws
from engine.flow.partition import Partition
from rules.model import Book
from state.decisions import DecisionBatch, decode
from state.journal import Entry
from state.texts import Lookup

ENTRIES_MAX = 64
WAIT_S = 0.25
STEP_WAIT_S = 0.002


class Taker(Protocol):
    """Dispatch, as the feeder sees it."""

    def room(self) -> int:
        """Return how many decisions may be offered."""

    def offer(self, decided: Sequence[Decided], cursors: Mapping[str, int]) -> None:
        """Take decisions over; the cursors come back after a restart."""

    def withdraw(self, withdrawn: Sequence[Withdrawn]) -> None:
        """End decisions that the fold has taken back, also those that are offered later."""


class Reading:
    """One journal: what was read of it, and the entry that comes next."""

    def __init__(self, partition: Partition, start: int) -> None:
        self.partition = partition
        self.next = start
        self.ahead = start
        """The entry that is looked at next for what was taken back."""
        self.activated = (-1, -1, "")
        """When a book became active last, as far as was looked: time, position in the log, version."""
        self._reached = -1
        self._entries: Iterator[Entry] = iter(())
        self._peeked: Entry | None = None

    def peek(self) -> Entry | None:
        """Return the next durable entry, None when there is none yet."""
        journal = self.partition.journal
        while self._peeked is None:
            entry = next(self._entries, None)
            if entry is None:
                start = max(self.next, journal.first_position)
                if start >= journal.next_position:
                    return None
                self._entries = journal.read(start)
                entry = next(self._entries, None)
                if entry is None:
                    return None
            self._peeked = entry
        return self._peeked if self._peeked.reached <= journal.durable else None

    @property
    def reached(self) -> int:
        """Position of the log up to which entries were taken since the start; -1: none was."""
        return self._reached

    def rest(self) -> Iterator[Entry]:
        """Yield the durable entries that were not taken."""
        return self._durable(self.next)

    def rest_ahead(self) -> Iterator[Entry]:
        """Yield the durable entries that were not looked at for what was taken back."""
        return self._durable(self.ahead)

    def _durable(self, start: int) -> Iterator[Entry]:
        journal = self.partition.journal
        start = max(start, journal.first_position)
        if start < journal.next_position:
            yield from takewhile(lambda entry: entry.reached <= journal.durable, journal.read(start))

    def look_ahead(self, shelf: BookShelf) -> list[Withdrawn] | None:
        """Return what the next durable entries take back; None when there are none."""
        partition, start = self.partition, self.ahead
        withdrawn: list[Withdrawn] = []
        for entry in islice(self.rest_ahead(), ENTRIES_MAX):
            self.ahead = entry.position + 1
            batch = decode(entry.payload)
            self.note(batch)
            if withdraws(batch):
                withdrawn += withdrawn_of(partition.number, batch, shelf.get(batch.book).book)
        return withdrawn if self.ahead > start else None

    def note(self, batch: DecisionBatch) -> None:
        """Remember the book that became active with a batch, if one did."""
        if batch.activates:
            self.activated = max(self.activated, (batch.append_ms, batch.position, batch.book))

    def take(self) -> bool:
        """Move past the next entry; return whether it reaches further in the log than every entry before it."""
        assert self._peeked is not None
        new = self._peeked.reached > self._reached
        self._reached = max(self._reached, self._peeked.reached)
        self.next = self._peeked.position + 1
        self._peeked = None
        return new


class Feeder:
    """Feeds dispatch from the journals of the partitions.

    Args:
        partitions: whose journals.
        shelf, texts: for names of the records, and the texts of those of format 1.
        taker: dispatch.
        follow: called with the book that became active.
        cursors: the journal entry to read next, by partition number as text.
        before: called with (partition, position) before the decisions of that frame are offered.
    """

    def __init__(
        self,
        partitions: Sequence[Partition],
        shelf: BookShelf,
        texts: Lookup,
        taker: Taker,
        follow: Callable[[Book], object],
        cursors: Mapping[str, int],
        before: Callable[[Partition, int], "asyncio.Future[None] | None"],
    ) -> None:
        self._readings = [Reading(one, cursors.get(str(one.number), 0)) for one in partitions]
        self._shelf = shelf
        self._texts = texts
        self._taker = taker
        self._follow = follow
        self._followed = (-1, -1, "")
        self._before = before
        self._more = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def wake(self) -> None:
        """Say that a journal has more; from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._more.set)

    @property
    def idle(self) -> bool:
        """Whether everything durable has been handed over."""
        return all(reading.next >= reading.partition.journal.next_position for reading in self._readings)

    async def passed(self, stopped: Callable[[], bool]) -> None:
        """Return when dispatch knows what the journals take back, as far as they are durable now."""
        journals = [(reading, reading.partition.journal) for reading in self._readings]
        wanted = [(reading, journal, journal.next_position) for reading, journal in journals]

        def is_behind() -> bool:
            return any(max(reading.ahead, journal.first_position) < end for reading, journal, end in wanted)

        while is_behind() and not stopped():  # noqa: ASYNC110 a few milliseconds, and rare
            await asyncio.sleep(STEP_WAIT_S)

    async def run(self, stopped: Callable[[], bool]) -> None:
        """Feed until `stopped` says so."""
        while not stopped():
            self._more.clear()
            await self.look_to_the_end()
            if self._taker.room() > 0 and await self._feed():
                await asyncio.sleep(0)
                continue
            try:
                await asyncio.wait_for(self._more.wait(), WAIT_S)
            except TimeoutError:
                continue

    def look_ahead(self) -> bool:
        """Pass on some of what the journals take back, however little room dispatch has; return whether there was more.

        It begins where the decisions do: what an entry before them took back was ended when they were taken over.
        """
        found = [reading.look_ahead(self._shelf) for reading in self._readings]
        withdrawn = [one for some in found for one in some or ()]
        if withdrawn:
            self._taker.withdraw(withdrawn)
        more = any(some is not None for some in found)
        if not more:
            self._follow_newest()
        return more

    def _follow_newest(self) -> None:
        """Let dispatch judge by the book that became active last."""
        newest = max(reading.activated for reading in self._readings)
        if newest > self._followed:
            self._followed = newest
            self._follow(self._shelf.get(newest[2]).book)

    async def look_to_the_end(self) -> None:
        """Pass on all that the journals take back."""
        while self.look_ahead():  # noqa: ASYNC110 the loop's other tasks get their turn between two pieces
            await asyncio.sleep(0)

    async def _feed(self) -> bool:
        """Offer the earliest entries; return whether there were any."""
        decided: list[Decided] = []
        cursors: dict[str, int] = {}
        for _ in range(ENTRIES_MAX):
            reading = self._earliest()
            entry = reading.peek() if reading is not None else None
            if reading is None or entry is None or len(decided) >= self._taker.room():
                break
            if reading.next >= reading.ahead:
                break  # it came since the journals were looked at, and may take back what is read now
            partition = reading.partition
            ready = self._before(partition, entry.reached)
            if ready is not None:
                await ready
            activates = False
            if reading.take():
                batch = decode(entry.payload)
                reading.note(batch)
                decided += decided_of(partition.number, batch, self._shelf.get(batch.book).book, self._texts)
                activates = batch.activates
            cursors[str(partition.number)] = reading.next
            if activates:
                break  # what comes after it is judged by its book, which dispatch follows first
        if cursors:
            self._taker.offer(decided, cursors)
        return bool(cursors)

    def _earliest(self) -> Reading | None:
        """Return the journal whose next entry is the oldest."""
        waiting = [(entry.append_ms, index) for index, one in enumerate(self._readings) if (entry := one.peek())]
        return self._readings[min(waiting)[1]] if waiting else None
