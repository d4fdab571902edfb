"""The log of one partition: frames with dense positions. (Surface first; bodies follow.)"""

from collections.abc import Iterator
from pathlib import Path

from state.disk import Disk
from state.frame import Frame


class Log:
    """Frames of one partition; their schemas are kept beside them, written before the first frame that uses them."""

    def __init__(self, folder: Path, disk: Disk | None = None, *, segment_bytes: int = 64 << 20, read_only: bool = False) -> None: ...

    next_position: int
    first_position: int
    durable: int

    def append(self, frame: Frame) -> int:
        """Encode and write a frame, no sync; return its position."""
        ...

    def sync(self) -> int:
        """Return the highest durable position (may run in another thread than append)."""
        ...

    def read(self, start: int) -> Iterator[tuple[int, Frame]]: ...

    def position_at(self, at_ms: int) -> int: ...

    def retain(self, keep_from: int, *, bytes_max: int | None = None, older_than_ms: int | None = None) -> int: ...

    def close(self) -> None: ...
