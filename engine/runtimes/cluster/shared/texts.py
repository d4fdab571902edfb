"""The texts of hashes, as a worker knows them: the topic `texts`, followed into a file of the data directory.

The writer of a frame writes its texts at the same time, so a text may be on its way when it is asked for: `complete`
reads the topic to its end again until nothing is missing, for `TEXT_WAIT_S` at the most. What is missing then reads as
unknown.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from connectors.kafka.tail import Tail
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from engine.runtimes.cluster.shared.topics import Names
from engine.settings.config import Config
from state.hashing import hash_text
from state.strings import TEXT_BYTES_MAX, Strings

TEXT_WAIT_S = 2.0
RETRY_S = 0.02

T = TypeVar("T")


class TopicTexts:
    """Texts by their hashes; everything is called on the loop.

    Args:
        config: checked settings.
        strings: where texts are kept; it stays the caller's.
        guard: what reads records.
    """

    def __init__(self, config: Config, strings: Strings, guard: RecordGuard | None = None) -> None:
        self._strings = strings
        self._guard = guard or RecordGuard()
        self._place = Place(Names(config.cluster.prefix).texts, 0)
        self._tail = Tail(config.cluster, *self._place)
        self._reading = asyncio.Lock()
        self._missed = False

    async def start(self) -> None:
        """Read the texts to their end."""
        await self._tail.start()
        await self._catch_up()

    async def follow(self) -> None:
        """Take in texts that are written from now on; runs until cancelled."""
        while True:
            async with self._reading:
                self._keep(await self._tail.poll())

    async def stop(self) -> None:
        """Close the connection."""
        await self._tail.stop()

    def text(self, hashed: int) -> bytes | None:
        """Return the text of a hash, None when it has not come."""
        found = self._strings.text(hashed)
        self._missed |= found is None
        return found

    async def complete(self, read: Callable[[], T]) -> T:
        """Return what `read` makes of the texts, read again while one that it asks for has not come."""
        deadline = time.monotonic() + TEXT_WAIT_S
        while True:
            self._missed = False
            made = read()
            if not self._missed or time.monotonic() > deadline:
                return made
            await self._catch_up()
            await asyncio.sleep(RETRY_S)

    async def _catch_up(self) -> None:
        async with self._reading:
            async for records in self._tail.to_end():
                self._keep(records)

    def _keep(self, records: list[Any]) -> None:
        read = (self._guard.read(self._place, one, text_of) for one in records)
        self._strings.add([pair for pair in read if pair is not None])


def text_key(hashed: int) -> bytes:
    """Return the key under which the topic has a text."""
    return hashed.to_bytes(8, "little", signed=True)


def text_of(record: Any) -> tuple[int, bytes]:
    """Return the hash and the text of a record of the topic; ValueError where they do not belong together."""
    key, value = record.key, record.value
    if key is None or value is None or len(value) > TEXT_BYTES_MAX or key != text_key(hash_text(value)):
        raise ValueError("the key must be the hash of the text")
    return int.from_bytes(key, "little", signed=True), value
