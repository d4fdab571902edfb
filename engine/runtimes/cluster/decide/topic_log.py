"""A partition's log, read again for redo.

The fold reads synchronously, in a thread, while the loop fetches: each batch of frames is asked for across.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from connectors.kafka.config import KafkaConfig
from connectors.kafka.tail import Tail
from connectors.sources.dead_letter import Code
from engine.runtimes.cluster.decide.missing import Missing
from engine.runtimes.cluster.shared.log_records import read_frame
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from state.formats import NewerFormatError
from state.frame import Frame
from state.schema import Schema

_T = TypeVar("_T")


class TopicLog:
    """The frames of one partition of `log`, up to where it ended when `open` returned.

    Args:
        loop: the loop that fetches.
        config: where the brokers are.
        topic, partition: the log.
        schema: finds a schema by its fingerprint.
        book: finds a book by its version.
        missing: records where frames were deleted while they were read.
        guard: what reads records.
        stamped: whether Kafka's times of records are those of their frames, as they are on the wall's clock.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        config: KafkaConfig,
        topic: str,
        partition: int,
        schema: Callable[[str], Schema],
        book: Callable[[str], object],
        missing: Missing,
        guard: RecordGuard,
        *,
        stamped: bool = True,
    ) -> None:
        self._stamped = stamped
        self._place = Place(topic, partition)
        self._book = book
        self._guard = guard
        self._loop = loop
        self._tail = Tail(config, topic, partition)
        self._schema = schema
        self._missing = missing
        self.first_position = 0
        self.next_position = 0

    async def connect(self) -> None:
        """Connect."""
        await self._tail.start()

    async def open(self) -> None:
        """Read where the log begins and ends now."""
        self.first_position = await self._tail.first()
        self.next_position = await self._tail.end()

    async def close(self) -> None:
        """Close the connection."""
        await self._tail.stop()

    async def end(self) -> int:
        """Return the offset that the next record will have."""
        return await self._tail.end()

    def read(self, start: int) -> Iterator[tuple[int, Frame]]:
        """Yield frames from `start` on; called in another thread than the loop's. What is no frame is left out.

        MissingError when frames are deleted while they are read, unless that is accepted.
        """
        if start >= self.next_position:
            return
        expected = max(start, self.first_position)
        self._tail.seek(expected)
        while self._across(self._tail.position()) < self.next_position:
            for record in self._across(self._tail.poll()):
                if record.offset > expected:
                    self._missing.between(expected, min(record.offset, self._across(self._tail.first())))
                expected = record.offset + 1
                if record.offset >= self.next_position:
                    return
                frame = self._read(record)
                if frame is not None:
                    yield record.offset, frame

    def _read(self, record: Any) -> Frame | None:
        try:
            return self._guard.read(self._place, record, self._frame, Code.NOT_A_FRAME)
        except NewerFormatError:
            return self._across(self._guard.judge(self._place, record, self._frame, self._tail.end, Code.NOT_A_FRAME))

    def _frame(self, record: Any) -> Frame:
        return read_frame(record, self._schema, self._book)

    def position_at(self, appended_ms: int) -> int:
        """Return the first position appended at or after `appended_ms`, or one before it."""
        if not self._stamped:
            return self.first_position
        found = self._across(self._tail.offset_at(appended_ms))
        return self.next_position if found is None else found

    def _across(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
