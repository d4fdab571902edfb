"""Append-only files of checked records with dense positions. (Surface first; bodies follow.)"""

from collections.abc import Iterator
from pathlib import Path

from state.disk import Disk, RealDisk

Buffer = bytes | bytearray | memoryview


class Segments:
    """Records numbered 0, 1, 2 ... over files in one folder; one appender, any number of readers."""

    def __init__(self, folder: Path, disk: Disk | None = None, *, segment_bytes: int = 64 << 20, read_only: bool = False) -> None:
        """Open or create `folder`, cut a torn tail, hold the lock (unless `read_only`)."""
        self.disk = disk or RealDisk()

    next_position: int  # position of the next record; 0 in a fresh folder
    first_position: int  # oldest record kept
    durable: int  # highest position on disk, -1: none

    def append(self, parts: list[Buffer], at_ms: int) -> int:
        """Write one record without sync and return its position. DiskFull leaves everything as it was."""
        ...

    def sync(self) -> int:
        """fdatasync what was appended before the call; return the durable position. May run in another thread."""
        ...

    def read(self, start: int) -> Iterator[tuple[int, int, memoryview]]:
        """Yield (position, at_ms, payload) from `start` to the present end. Gone when `start` is not kept any more."""
        ...

    def position_at(self, at_ms: int) -> int:
        """Return the first position whose record was appended at or after `at_ms`."""
        ...

    def retain(self, keep_from: int, *, bytes_max: int | None = None, older_than_ms: int | None = None) -> int:
        """Remove whole old files above `bytes_max` or older than `older_than_ms`, never a record >= `keep_from`."""
        ...

    def close(self) -> None: ...
