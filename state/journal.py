"""The journal of one partition: decisions and the log position they reach. (Surface first; bodies follow.)"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from state.disk import Disk
from state.segments import Buffer


@dataclass(frozen=True, slots=True)
class Entry:
    position: int  # the entry's own dense number
    at_ms: int
    reached: int  # log position whose decisions, and all before, are in the journal
    payload: memoryview  # DecisionBatch bytes


class Journal:
    def __init__(self, folder: Path, disk: Disk | None = None, *, segment_bytes: int = 64 << 20, read_only: bool = False) -> None: ...

    next_position: int
    first_position: int
    reached: int  # log position of the last entry appended; -1: none
    durable: int  # log position of the last entry on disk; -1: none

    def append(self, reached: int, payload: list[Buffer], at_ms: int) -> int:
        """Write an entry, no sync; `reached` must grow."""
        ...

    def sync(self) -> int:
        """fdatasync; return the durable log position reached."""
        ...

    def read(self, start: int = 0) -> Iterator[Entry]: ...

    def position_of(self, reached: int) -> int:
        """Return the position of the first entry whose `reached` is >= the given log position."""
        ...

    def position_at(self, at_ms: int) -> int: ...

    def retain(self, keep_from: int, *, bytes_max: int | None = None, older_than_ms: int | None = None) -> int:
        """As Segments.retain; `keep_from` is an entry position (e.g. where dispatch stands)."""
        ...

    def close(self) -> None: ...
