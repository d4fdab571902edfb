"""What is said to subscribers of the decisions in a record: books and texts, as a worker that sends knows them.

A record may name a book, or a text, that is on its way: both are read up to their ends again before anything is worded.
"""

from engine.books import BookShelf
from engine.dispatch.model import Decided
from engine.runtimes.cluster.commons import Commons
from engine.runtimes.cluster.texts import TopicTexts
from engine.wording import decided_of
from rules.model import Book
from state.decisions import decode


class Wording:
    """Books and texts for sending; everything is called on the loop.

    Args:
        shelf: books by version.
        commons: where books come from.
        texts: the worker's.
    """

    def __init__(self, shelf: BookShelf, commons: Commons, texts: TopicTexts) -> None:
        self._shelf = shelf
        self._commons = commons
        self._texts = texts

    async def decided(self, number: int, value: bytes) -> list[Decided]:
        """Return what is to be sent of one partition's record."""
        batch = decode(value)
        book = await self._book(batch.book)
        return await self._texts.complete(lambda: list(decided_of(number, batch, book, self._texts)))

    async def _book(self, version: str) -> Book:
        if not self._commons.knows(version):
            await self._commons.catch_up()
        return self._shelf.get(version).book
