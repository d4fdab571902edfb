"""What every worker knows: the books that somebody may still need, the active one, and the switches.

The control topic is read to its end at the start and followed from there; `publisher` says how it is written, and when
a book goes. Its records, by key:

    book/VERSION    texts of a book, and the fingerprint of its schema, by which frames name it; no value: forgotten
    active          version of the active book
    ended           when books ceased to be the active one, by version: epoch milliseconds; also of forgotten ones
    switch/KIND/NAME    what is paused, killed or resumed
    format          the format that the newest release writes

A start compiles the active book alone, however many others stand in the topic: their texts go to the shelf, and here
stay a version, a fingerprint and a time of each, under half a kilobyte. What is published later is compiled as it is
read, for its activation follows.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from connectors.kafka.tail import Tail
from engine.book.shelf import Books
from engine.runtimes.cluster.shared.topics import Names
from engine.settings.config import Config
from rules.model import Book
from state import formats
from state.disk import DamagedError
from state.formats import NewerFormatError
from state.schema import Schema

log = logging.getLogger("opportune.cluster")

ACTIVE = b"active"
ENDED = b"ended"
BOOK = b"book/"
SWITCH = b"switch/"
FORMAT = b"format"

Listener = Callable[[Book], None]
Switch = Mapping[str, str]
"""`action` (pause, resume or kill), `kind` (rule, campaign or channel) and `name`."""


class ControlTopic:
    """The control topic as this process knows it; everything is called on the loop, but for `schema`.

    Args:
        config: checked settings.
        shelf: where books go; it stays the caller's.
    """

    def __init__(self, config: Config, shelf: Books) -> None:
        self._shelf = shelf
        self._names = Names(config.cluster.prefix)
        self._tail = Tail(config.cluster, self._names.control, 0)
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
        self._named = ""
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
        """Return the schema that a frame names; DamagedError when no book that we have read has it."""
        found = self._schemas.get(fingerprint)
        if found is None:
            named = (version for version, schema in reversed(list(self.versions.items())) if schema == fingerprint)
            version = next(named, None)
            if version is None:
                raise DamagedError(f"schema={fingerprint} belongs to no book of {self._names.control}")
            found = self._schemas[fingerprint] = self.book(version).schema
        return found

    async def _take(self, records: list[Any]) -> None:
        for record in records:
            if record.key.startswith(BOOK):
                await self._shelve(record.key.removeprefix(BOOK).decode(), record.value)
            elif record.key == FORMAT:
                self.format = int(record.value)
                if self.format > formats.FORMAT:
                    raise NewerFormatError(f"what is written under {self._names.prefix or 'no prefix'}", self.format)
            elif record.key == ACTIVE:
                self._named = record.value.decode()
            elif record.key == ENDED:
                self.ended = orjson.loads(record.value)
            elif record.key.startswith(SWITCH):
                self._apply_switch(record.key, orjson.loads(record.value))

    async def _shelve(self, version: str, value: bytes | None) -> None:
        """Keep a book, or let it go; in a thread, while the loop goes on."""
        if value is None:
            fingerprint = self.versions.pop(version, "")
            if fingerprint not in self.versions.values():
                self._schemas.pop(fingerprint, None)
            await asyncio.to_thread(self._shelf.forget, version)
            return
        fields = orjson.loads(value)
        await asyncio.to_thread(self._shelf.keep, version, fields["sources"])
        if self._started:
            await asyncio.to_thread(self._shelf.get, version)
        self.versions.pop(version, None)
        self.versions[version] = fields["schema"]

    def _apply_switch(self, key: bytes, switch: Switch) -> None:
        if switch["action"] == "resume":
            self.switches.pop(key, None)
        else:
            self.switches[key] = switch
        for listener in self.switch_listeners:
            listener(switch)

    async def _activate(self) -> None:
        """Follow the name of the active book, as soon as we have read its texts."""
        if self._named not in self.versions or (self.active is not None and self.active.version == self._named):
            return
        self.active = (await asyncio.to_thread(self._shelf.get, self._named)).book
        for listener in self.listeners:
            listener(self.active)
