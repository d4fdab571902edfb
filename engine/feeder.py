"""From the journals to dispatch: reads what is durable and not yet dispatched, in order, as fast as dispatch has room.

The position in each journal is dispatch's own durable cursor, so a restart continues where the outbox stands, and a
decision that is read twice is known by its id. Nothing is pushed: what does not fit into dispatch's memory waits in the
journal.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from engine.books import BookShelf
from engine.dispatch.model import Decided
from engine.partition import Partition
from engine.records import Texts
from engine.wording import decided_of
from state.decisions import decode

ENTRIES_MAX = 64
WAIT_S = 0.25


class Taker(Protocol):
    """Dispatch, as the feeder sees it."""

    def room(self) -> int:
        """Return how many decisions may be offered."""

    def offer(self, decided: Sequence[Decided], cursors: Mapping[str, int]) -> None:
        """Take decisions over; the cursors come back after a restart."""


class Feeder:
    """Feeds dispatch from the journals of the partitions.

    Args:
        partitions: whose journals.
        shelf, texts: for names and texts of the records.
        taker: dispatch.
        cursors: the journal entry to read next, by partition number as text.
    """

    def __init__(
        self,
        partitions: Sequence[Partition],
        shelf: BookShelf,
        texts: Texts,
        taker: Taker,
        cursors: Mapping[str, int],
    ) -> None:
        self._partitions = partitions
        self._shelf = shelf
        self._texts = texts
        self._taker = taker
        self._next = [cursors.get(str(partition.number), 0) for partition in partitions]
        self._reached = [-1] * len(partitions)
        self._more = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def wake(self) -> None:
        """Say that a journal has more; from any thread."""
        self._loop.call_soon_threadsafe(self._more.set)

    def entry(self, partition: Partition) -> int:
        """Return the journal entry that is still needed; older ones may go."""
        return self._next[partition.number]

    @property
    def idle(self) -> bool:
        """Whether everything durable has been handed over."""
        return all(
            at >= partition.journal.next_position for at, partition in zip(self._next, self._partitions, strict=True)
        )

    async def run(self, stopped: Callable[[], bool]) -> None:
        """Feed until told to stop."""
        while not stopped():
            if not self._feed_once():
                self._more.clear()
                try:
                    await asyncio.wait_for(self._more.wait(), WAIT_S)
                except TimeoutError:
                    continue
            await asyncio.sleep(0)

    def _feed_once(self) -> bool:
        """Hand over some entries of every partition that has any; return whether there were some."""
        fed = False
        for index, partition in enumerate(self._partitions):
            if self._taker.room() > 0 and self._next[index] < partition.journal.next_position:
                fed |= self._feed(index, partition)
        return fed

    def _feed(self, index: int, partition: Partition) -> bool:
        decided: list[Decided] = []
        start = max(self._next[index], partition.journal.first_position)
        end = start
        for entry in partition.journal.read(start):
            if entry.reached > partition.journal.durable or end - start >= ENTRIES_MAX:
                break
            end = entry.position + 1
            if entry.reached > self._reached[index]:
                self._reached[index] = entry.reached
                batch = decode(entry.payload)
                decided += decided_of(partition.number, batch, self._shelf.get(batch.book).book, self._texts)
            if len(decided) >= self._taker.room():
                break
        if end == start:
            return False
        self._taker.offer(decided, {str(partition.number): end})
        self._next[index] = end
        return True
