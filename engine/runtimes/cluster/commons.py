"""What every worker knows: the books that were ever active, the active one, the schemas they imply, and the switches.

The control topic is read to its end at the start and followed from there. A book is published in this order: the book
itself, an activation frame into every partition of the log, then its name as the active one. A publisher that dies on
the way leaves a beginning; whoever publishes next writes it again, and activating twice changes nothing.

A switch (pause, resume, kill) stands here under the name of what it switches, for those who send, and as a record in
every partition of the log, for those who decide. It is written here first: what is killed stops at once.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from connectors.kafka.client import producer, started
from connectors.kafka.tail import Tail
from engine.compiled import Compile, CompiledBook, compile_texts
from engine.config import Config
from engine.runtimes.cluster.topics import Names
from rules.model import Book
from state import formats
from state.disk import DamagedError
from state.formats import NewerFormatError
from state.frame import Frame, FrameKind, encode
from state.schema import Schema

log = logging.getLogger("opportune.cluster")

ACTIVE = b"active"
BOOK = b"book/"
SWITCH = b"switch/"
FORMAT = b"format"

Listener = Callable[[Book], None]
Switch = Mapping[str, str]
"""`action` (pause, resume or kill), `kind` (rule, campaign or channel) and `name`."""


class Commons:
    """The control topic as this process knows it; everything is called on the loop, but for `schema`.

    Args:
        config: checked settings.
        compile_: makes books of their texts; called in a thread.
        keep: called there with every book that was ever published, oldest first.
    """

    def __init__(
        self,
        config: Config,
        compile_: Compile = compile_texts,
        keep: Callable[[CompiledBook], object] = lambda _: None,
    ) -> None:
        self._config = config
        self._compile = compile_
        self._names = Names(config.cluster.prefix)
        self._keep_book = keep
        self._tail = Tail(config.cluster, self._names.control, 0)
        self._reading = asyncio.Lock()
        self._schemas: dict[str, Schema] = {}
        self._books: dict[str, Book] = {}
        self.listeners: list[Listener] = []
        self.obeying: list[Callable[[Switch], None]] = []
        self.switches: dict[bytes, Switch] = {}
        self.active: Book | None = None
        self._format = 0

    async def start(self) -> None:
        """Read the control topic to its end; NewerFormatError when a newer release writes in this cluster."""
        await self._tail.start()
        await self.catch_up()

    async def follow(self) -> None:
        """Take in what is written from now on; runs until cancelled."""
        while True:
            async with self._reading:
                await self._take(await self._tail.poll())

    async def catch_up(self) -> None:
        """Take in what stands in the topic now."""
        async with self._reading:
            async for records in self._tail.to_end():
                await self._take(records)

    async def stop(self) -> None:
        """Close the connection."""
        await self._tail.stop()

    def knows(self, version: str) -> bool:
        """Tell whether a book was ever published, as far as we have read."""
        return version in self._books

    @property
    def books(self) -> Iterable[Book]:
        """Every book that was published, as far as we have read."""
        return self._books.values()

    def book(self, version: str) -> Book:
        """Return a book that was published; KeyError when it was not, as far as we have read."""
        return self._books[version]

    def schema(self, fingerprint: str) -> Schema:
        """Return the schema that a frame names; DamagedError when no book that we have read has it."""
        if fingerprint not in self._schemas:
            raise DamagedError(f"schema={fingerprint} belongs to no book of {self._names.control}")
        return self._schemas[fingerprint]

    async def publish(self, book: Book) -> None:
        """Make a book the active one in every partition of the log, then in name."""
        names = self._names
        record = orjson.dumps({"version": book.version, "sources": dict(book.sources)})
        writer = await started(producer(self._config.cluster), self._config.cluster)
        try:
            await writer.send_and_wait(names.control, record, key=BOOK + book.version.encode(), partition=0)
            await self._broadcast(writer, FrameKind.ACTIVATION, {"version": book.version})
            await writer.send_and_wait(names.control, book.version.encode(), key=ACTIVE, partition=0)
        finally:
            await writer.stop()
        log.info("book %s with %d rules is published", book.version, len(book.rules))

    async def activate_again(self, partition: int) -> None:
        """Write the active book's activation into one partition: the frames that had it may be deleted."""
        assert self.active is not None
        writer = await started(producer(self._config.cluster), self._config.cluster)
        try:
            await self._write(writer, partition, FrameKind.ACTIVATION, {"version": self.active.version})
        finally:
            await writer.stop()

    async def announce(self) -> None:
        """Say in which format this release writes, before it writes anything: older ones then leave the cluster."""
        if self._format >= formats.FORMAT:
            return
        writer = await started(producer(self._config.cluster), self._config.cluster)
        try:
            text = str(formats.FORMAT).encode()
            await writer.send_and_wait(self._names.control, text, key=FORMAT, partition=0)
        finally:
            await writer.stop()

    async def control(self, record: dict[str, str]) -> None:
        """Throw a switch, here and in every partition of the log; returns when it stands there."""
        writer = await started(producer(self._config.cluster), self._config.cluster)
        key = SWITCH + f"{record['kind']}/{record['name']}".encode()
        try:
            await writer.send_and_wait(self._names.control, orjson.dumps(record), key=key, partition=0)
            await self._broadcast(writer, FrameKind.CONTROL, record)
        finally:
            await writer.stop()

    async def _broadcast(self, writer: Any, kind: FrameKind, payload: dict[str, str]) -> None:
        for partition in range(self._config.data.partitions):
            await self._write(writer, partition, kind, payload)

    async def _write(self, writer: Any, partition: int, kind: FrameKind, payload: dict[str, str]) -> None:
        now_ms = time.time_ns() // 1_000_000
        frame = encode(Frame(kind, now_ms, payload=orjson.dumps(payload)))
        await writer.send_and_wait(self._names.log, frame, partition=partition, timestamp_ms=now_ms)

    async def _take(self, records: list[Any]) -> None:
        for record in records:
            if record.value is None:
                continue
            if record.key == FORMAT:
                self._format = int(record.value)
                if self._format > formats.FORMAT:
                    raise NewerFormatError(f"what is written under {self._names.prefix or 'no prefix'}", self._format)
            elif record.key == ACTIVE:
                self._activate(self._books[record.value.decode()])
            elif record.key.startswith(BOOK):
                book = await asyncio.to_thread(self._make, orjson.loads(record.value)["sources"])
                self._books[book.version] = book
                self._schemas[book.schema.fingerprint] = book.schema
            elif record.key.startswith(SWITCH):
                self._obey(record.key, orjson.loads(record.value))

    def _obey(self, key: bytes, switch: Switch) -> None:
        if switch["action"] == "resume":
            self.switches.pop(key, None)
        else:
            self.switches[key] = switch
        for obey in self.obeying:
            obey(switch)

    def _make(self, sources: dict[str, str]) -> Book:
        """Return the book of these texts, kept; for a thread, while the loop goes on."""
        compiled = self._compile(sources, None)
        self._keep_book(compiled)
        return compiled.book

    def _activate(self, book: Book) -> None:
        self.active = book
        for listener in self.listeners:
            listener(book)
