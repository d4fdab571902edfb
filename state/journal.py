"""The journal of one partition: what was decided, and up to which log position.

An entry is a log position (`reached`) and the decisions of the frames since the entry before. An entry without
decisions is written too: pages may reach the store only up to the journal's durable position, and a replay emits
nothing at or below it.

The journal must never know more than the log. The runtime syncs the log first; and because bytes that were not synced
may survive a crash all the same, it calls `forget_after` with the log's last position at every start.

What a decision is made of is not known here: see `state.decisions`.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from state.disk import Buffer, DamagedError, Disk
from state.records import Record
from state.segments import SEGMENT_BYTES, Segmented, Segments

_REACHED = struct.Struct("<q")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its own dense position, when it was written, the log position reached, the decisions' bytes."""

    position: int
    append_ms: int
    reached: int
    payload: memoryview


class Journal(Segmented):
    """Entries of one partition; one appender, one syncing thread, any number of readers.

    Raises:
        LockedError: another process appends here.
        DamagedError: durable entries do not check.
    """

    def __init__(
        self, folder: Path, disk: Disk | None = None, *, segment_bytes: int = SEGMENT_BYTES, read_only: bool = False
    ) -> None:
        super().__init__(Segments(folder, disk, segment_bytes=segment_bytes, read_only=read_only))
        try:
            self.reached = self._last_reached()
        except BaseException:
            self.close()
            raise
        self.durable = -1 if read_only else self.reached

    def append(self, reached: int, payload: Sequence[Buffer], append_ms: int) -> int:
        """Write an entry, without sync, and return its position; `reached` must be above the entry before."""
        if reached <= self.reached:
            raise ValueError(f"reached={reached} must be > {self.reached}")
        position = self._segments.append([_REACHED.pack(reached), *payload], append_ms)
        self.reached = reached
        return position

    def sync(self) -> int:
        """Make every entry appended before the call durable; return the log position that is safe."""
        reached = self.reached
        self._segments.sync()
        self.durable = max(self.durable, reached)
        return self.durable

    def read(self, start: int = 0) -> Iterator[Entry]:
        """Yield the entries from position `start` to the present end; GoneError when `start` is not kept."""
        for record in self._segments.read(start):
            yield _entry(record)

    def position_of(self, log_position: int) -> int:
        """Return the first entry that reaches `log_position`; `next_position` when there is none."""
        low, high = self.first_position, self.next_position
        while low < high:
            middle = (low + high) // 2
            if next(self.read(middle)).reached >= log_position:
                high = middle
            else:
                low = middle + 1
        return low

    def forget_after(self, log_position: int) -> int:
        """Forget, durably, the entries that reach beyond `log_position`; return how many."""
        if self.reached <= log_position:
            return 0
        keep = self.position_of(log_position + 1)
        forgotten = self.next_position - keep
        self._segments.cut(keep)
        self.reached = self.durable = self._last_reached()
        return forgotten

    def _last_reached(self) -> int:
        last = self.next_position - 1
        return next((entry.reached for entry in self.read(last)), -1) if last >= self.first_position else -1


def _entry(record: Record) -> Entry:
    if len(record.payload) < _REACHED.size:
        size = len(record.payload)
        raise DamagedError(f"journal: position={record.position} of {size} bytes must have >= {_REACHED.size}")
    (reached,) = _REACHED.unpack_from(record.payload)
    return Entry(record.position, record.append_ms, reached, record.payload[_REACHED.size :])
