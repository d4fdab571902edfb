"""The memory of dispatch: records appended and made durable, and which of them may be removed.

`put` collects records; `flush` appends all that were collected as one JSON array; `commit` makes them durable.
Everything put before a `flush` is durable when the `commit` after it returns, so many attempts cost one write.

Positions are those of the arrays, so several records share one. What is still needed lies at or above the position
that `retain` is given; older arrays may go. What the records mean is `records`, how they are read back is `recovery`.

`LocalOutbox` keeps them in files of a data directory; a cluster's `TopicOutbox` in a topic.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import orjson

from engine.dispatch.records import Record
from state.disk import Disk
from state.segments import Segments

SEGMENT_BYTES = 16 << 20


class Outbox(Protocol):
    """Where dispatch keeps its records."""

    @property
    def position(self) -> int:
        """Position that the next record put will have, as long as it is not flushed."""

    @property
    def dirty(self) -> bool:
        """Whether something was put that is not durable yet."""

    @property
    def durable(self) -> int:
        """Highest position that is durable, -1 when none is."""

    @property
    def kept_bytes(self) -> int:
        """Bytes that are kept."""

    @property
    def segment_bytes(self) -> int:
        """The unit in which bytes are let go: fewer are not worth writing living records again."""

    def put(self, record: Record) -> int:
        """Collect a record; return its position."""

    def flush(self, now_ms: int) -> None:
        """Append what was collected; DiskFullError leaves everything as it was."""

    async def commit(self) -> None:
        """Make what was flushed durable."""

    def read(self) -> Iterator[tuple[int, Record]]:
        """Yield every record with its position, oldest first."""

    def retain(self, keep_from: int) -> int:
        """Let go of what lies before `keep_from`, as far as that is worth it; return how many pieces."""

    async def close(self) -> None:
        """Let go of it; nothing is written."""


class LocalOutbox:
    """The records of one data directory, in files of `state.segments`.

    Args:
        folder: where the files stand.
        disk: the file system.
        segment_bytes: size of one file.
    """

    def __init__(self, folder: Path, disk: Disk | None = None, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._segments = Segments(folder, disk, segment_bytes=segment_bytes)
        self._waiting: list[Record] = []
        self._next = self._segments.next_position  # kept here: each text asks for it some three times
        self._unsynced = False

    @property
    def position(self) -> int:
        """Position that the next record put will have, as long as it is not flushed."""
        return self._next

    @property
    def dirty(self) -> bool:
        """Whether something was put that is not durable yet."""
        return bool(self._waiting) or self._unsynced

    @property
    def durable(self) -> int:
        """Highest position that is durable, -1 when none is."""
        return self._segments.durable

    @property
    def kept_bytes(self) -> int:
        """Bytes on disk."""
        return self._segments.kept_bytes

    @property
    def segment_bytes(self) -> int:
        """Size of one file."""
        return self._segments.segment_bytes

    @property
    def flushed_ms(self) -> int:
        """Dispatch's clock when the last records were flushed; 0 when there are none."""
        last = self._segments.next_position - 1
        return next(self._segments.read(last)).append_ms if last >= self._segments.first_position else 0

    def put(self, record: Record) -> int:
        """Collect a record; return its position."""
        self._waiting.append(record)
        return self._next

    def flush(self, now_ms: int) -> None:
        """Append what was collected; DiskFullError leaves everything as it was."""
        if self._waiting:
            self._segments.append([orjson.dumps(self._waiting)], now_ms)
            self._next = self._segments.next_position
            self._waiting = []
            self._unsynced = True

    def sync(self) -> None:
        """Make what was flushed durable; for any one thread."""
        self._unsynced = False  # before the sync: a flush that comes while the disk writes is not covered by it
        self._segments.sync()

    async def commit(self) -> None:
        """Make what was flushed durable, in another thread."""
        await asyncio.get_running_loop().run_in_executor(None, self.sync)

    def read(self) -> Iterator[tuple[int, Record]]:
        """Yield every record with its position, oldest first."""
        for stored in self._segments.read(self._segments.first_position):
            for record in orjson.loads(stored.payload):
                yield stored.position, record

    def retain(self, keep_from: int) -> int:
        """Remove files that hold nothing from `keep_from` on; return how many."""
        return self._segments.retain(keep_from, bytes_max=0)

    async def close(self) -> None:
        """Release the files; nothing is written."""
        self._segments.close()
