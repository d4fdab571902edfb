"""Log and journal as the fold sees them, be they files or topics."""

from collections.abc import Iterator
from typing import Protocol

from state.frame import Frame


class FrameLog(Protocol):
    """The log, as the fold reads it; positions rise, and may have gaps."""

    @property
    def first_position(self) -> int:
        """Oldest frame kept."""

    def read(self, start: int) -> Iterator[tuple[int, Frame]]:
        """Yield (position, frame) from `start` to the present end."""

    def position_at(self, appended_ms: int) -> int:
        """Return the first position appended at or after `appended_ms`."""


class JournalPosition(Protocol):
    """The journal, as the fold knows it."""

    @property
    def reached(self) -> int:
        """The log position up to which decisions are written."""
