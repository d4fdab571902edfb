"""What every worker knows: the books that somebody may still need, the active one, and the switches.

The control topic is read to its end at the start and followed from there; `publisher` says how it is written, and when
a book goes. Its records, by key:

    book/VERSION    texts of a book, and the fingerprint of its schema, by which frames name it; no value: forgotten
    active          version of the active book
    ended           when books ceased to be the active one, by version: epoch milliseconds; also of forgotten ones
    switch/KIND/NAME    what is paused, killed or resumed
    format          the format that the newest release writes

A record that cannot be read, and a book that does not compile, is passed over (`record_guard`): the book before stays
the active one. NewerFormatError alone ends a worker, for what follows is another release's.

A start compiles the active book alone, however many others stand in the topic: their texts go to the shelf, and here
stay a version, a fingerprint and a time of each, under half a kilobyte. What is published later is compiled as it is
read, for its activation follows.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

from connectors.kafka.tail import Tail
from engine.book.shelf import Books
from engine.runtimes.cluster.shared.control_records import (
    BOOK,
    Active,
    Change,
    Ended,
    Forgotten,
    Format,
    Published,
    Switch,
    parse_control,
)
from engine.runtimes.cluster.shared.record_guard import FAULTS, Place, RecordGuard
from engine.runtimes.cluster.shared.topics import Names
from engine.settings.config import Config
from rules.features import renewed
from rules.model import Book
from state.disk import DamagedError
from state.schema import Schema, forms_of

log = logging.getLogger("opportune.cluster")

Listener = Callable[[Book], None]


class ControlTopic:
    """The control topic as this process knows it; everything is called on the loop, but for `schema`.

    Args:
        config: checked settings.
        shelf: where books go; it stays the caller's.
        guard: what reads records.
    """

    def __init__(self, config: Config, shelf: Books, guard: RecordGuard | None = None) -> None:
        self._shelf = shelf
        self._guard = guard or RecordGuard()
        self._names = Names(config.cluster.prefix)
        self._place = Place(self._names.control, 0)
        self._tail = Tail(config.cluster, *self._place)
        self._reading = asyncio.Lock()
        self._started = False
        self._schemas: dict[str, Schema] = {}
        self.versions: dict[str, str] = {}
        """Fingerprints of schemas by the versions of books, in the order in which they were published."""
        self.ended: dict[str, int] = {}
        self.listeners: list[Listener] = []
        self.switch_listeners: list[Callable[[Switch], None]] = []
        self.switches: dict[bytes, Switch] = {}
        self.active: Book | None = None
        self.renewed: tuple[str, ...] = ()
        """Features whose history started anew with the active book, as far as this process followed it."""
        self._named = ""
        self._broken: set[str] = set()
        self.format = 0

    async def start(self) -> None:
        """Read the control topic to its end; NewerFormatError when a newer release writes in this cluster."""
        await self._tail.start()
        async with self._reading:
            async for records in self._tail.to_end():
                await self._take(records)
            await self._activate()
        self._started = True

    async def follow(self) -> None:
        """Take in what is written from now on; runs until cancelled."""
        while True:
            async with self._reading:
                await self._take(await self._tail.poll())
                await self._activate()

    async def catch_up(self) -> None:
        """Take in what stands in the topic now."""
        async with self._reading:
            async for records in self._tail.to_end():
                await self._take(records)
            await self._activate()

    async def stop(self) -> None:
        """Close the connection."""
        await self._tail.stop()

    def knows(self, version: str) -> bool:
        """Tell whether a book was published and is not forgotten, as far as we have read."""
        return version in self.versions

    def is_ahead(self, version: str) -> bool:
        """Tell whether a book was published after the one that is active here."""
        published = list(self.versions)
        if self.active is None or version not in self.versions or self.active.version not in self.versions:
            return False
        return published.index(version) > published.index(self.active.version)

    def was_published(self, version: str) -> bool:
        """Tell whether a book was ever published, be it forgotten since, as far as we have read."""
        return version in self.versions or version in self.ended

    def books(self) -> Iterator[Book]:
        """Yield the books that are not forgotten, as far as we have read, the newest first."""
        return (self._shelf.get(version).book for version in reversed(list(self.versions)))

    def book(self, version: str) -> Book:
        """Return a book; KeyError when it was not published as far as we have read, or is forgotten."""
        return self._shelf.get(version).book

    def schema(self, fingerprint: str) -> Schema:
        """Return the schema that a frame names; DamagedError when no book that we have read has it.

        A book's schema has another fingerprint in each release that builds something in. So it is looked for in the
        forms of the books that were published with it, then of all others, the newest first.
        """
        found = self._schemas.get(fingerprint)
        if found is None:
            newest = list(reversed(self.versions.items()))
            named = [version for version, published in newest if published == fingerprint]
            others = [version for version, published in newest if published != fingerprint]
            forms = (form for version in (*named, *others) for form in self._forms(version))
            found = next((form for form in forms if form.fingerprint == fingerprint), None)
            if found is None:
                raise DamagedError(f"schema={fingerprint} belongs to no book of {self._names.control}")
            self._schemas[fingerprint] = found
        return found

    def _forms(self, version: str) -> tuple[Schema, ...]:
        """Return the schema of a book, as each release has it; none where it does not read."""
        try:
            schema = self.book(version).schema
        except FAULTS:
            return ()
        return forms_of(schema)

    async def _take(self, records: list[Any]) -> None:
        for record in records:
            change = self._guard.read(self._place, record, parse_control)
            if change is not None:
                await self._apply(record, change)

    async def _apply(self, record: Any, change: Change) -> None:
        match change:
            case Published():
                await self._shelve(record, change)
            case Forgotten(version):
                await self._forget(version)
            case Format(number):
                self.format = number
            case Active(version):
                self._named = version
            case Ended(at_ms):
                self.ended = at_ms
            case _:
                self._apply_switch(change.key, change.switch)

    async def _forget(self, version: str) -> None:
        fingerprint = self.versions.pop(version, "")
        if fingerprint not in self.versions.values():
            self._schemas.pop(fingerprint, None)
        await asyncio.to_thread(self._shelf.forget, version)

    async def _shelve(self, record: Any, book: Published) -> None:
        """Keep a book, in a thread, while the loop goes on; one that is published now is compiled, too."""
        await asyncio.to_thread(self._shelf.keep, book.version, book.sources)
        if self._started and not await self._compiles(book.version, record):
            return
        self.versions.pop(book.version, None)
        self.versions[book.version] = book.schema

    async def _compiles(self, version: str, record: Any | None = None) -> bool:
        """Compile a book; one that does not compile is passed over, whoever names it active."""
        if version in self._broken:
            return False
        try:
            await asyncio.to_thread(self._shelf.get, version)
        except FAULTS as fault:
            self._broken.add(version)
            offset = record.offset if record is not None else -1
            self._guard.bury(self._place, offset, BOOK + version.encode(), None, fault)
            return False
        return True

    def _apply_switch(self, key: bytes, switch: Switch) -> None:
        if switch["action"] == "resume":
            self.switches.pop(key, None)
        else:
            self.switches[key] = switch
        for listener in self.switch_listeners:
            listener(switch)

    async def _activate(self) -> None:
        """Follow the name of the active book, as soon as we have read its texts.

        Where it does not compile, the one before stays; at a start, the newest that does.
        """
        if self._named not in self.versions or (self.active is not None and self.active.version == self._named):
            return
        others = () if self.active is not None else reversed(list(self.versions))
        for version in (self._named, *others):
            if await self._compiles(version):
                book = (await asyncio.to_thread(self._shelf.get, version)).book
                self.renewed = renewed(self.active, book) if self.active is not None else ()
                for name in self.renewed:
                    log.warning("the history of feature %s starts anew: what it keeps means something else now", name)
                self.active = book
                for listener in self.listeners:
                    listener(self.active)
                return
