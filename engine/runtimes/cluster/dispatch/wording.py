"""The decisions of a record with their texts filled in, from the books that a sending worker has.

A record may name a book that is still on its way: the control topic is then read up to its end first.
"""

from engine.book.shelf import BookShelf
from engine.dispatch.model import Decided, Withdrawn
from engine.dispatch.wording import decided_of, withdrawn_of, withdraws
from engine.runtimes.cluster.shared.control_topic import ControlTopic
from rules.model import Book
from state.decisions import DecisionBatch
from state.texts import Lookup


class Wording:
    """Books for sending; everything is called on the loop.

    Args:
        shelf: books by version.
        control_topic: where books come from.
        texts: those of records of format 1.
    """

    def __init__(self, shelf: BookShelf, control_topic: ControlTopic, texts: Lookup) -> None:
        self._shelf = shelf
        self._control_topic = control_topic
        self._texts = texts

    async def decided(self, number: int, batch: DecisionBatch) -> list[Decided]:
        """Return the decisions of one partition's record."""
        book = await self._book(batch.book)
        decided = list(decided_of(number, batch, book, self._texts))
        # A book that partitions have activated before we heard of it: ours is the older one, and judges nothing of it.
        return [one._replace(book="") for one in decided] if self._control_topic.is_ahead(batch.book) else decided

    async def withdrawn(self, number: int, batch: DecisionBatch) -> list[Withdrawn]:
        """Return what one partition's record takes back."""
        return list(withdrawn_of(number, batch, await self._book(batch.book))) if withdraws(batch) else []

    async def activated(self, batch: DecisionBatch) -> Book | None:
        """Return the book that became active with one partition's record, where we knew of none that came later."""
        if not batch.activates:
            return None
        if not self._control_topic.knows(batch.book):
            await self._control_topic.catch_up()
        ahead = self._control_topic.is_ahead(batch.book)
        return self._shelf.get(batch.book).book if ahead else None

    async def _book(self, version: str) -> Book:
        if not self._control_topic.knows(version):
            await self._control_topic.catch_up()
        return self._shelf.get(version).book
