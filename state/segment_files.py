"""One file of a series of records: what stands in it, reading it, and what opening does to the last one.

A file that has a successor is sealed: its name and its successor's say how many records it has, and only its head is
read. The last one is read through. What follows its last whole record is a torn tail and is made zero again
(`cut_tail`), unless a later whole record proves that bytes rotted.

How files follow each other is not known here: see `state.segments`.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from state.disk import DamagedError, Disk, DiskError, File, GoneError
from state.records import HEADER_BYTES, Record, first_of, proof_of_durability, records, spans_with_content

_INDEX_EVERY = 64

log = logging.getLogger("opportune.disk")


@dataclass(slots=True)
class Segment:
    """One file: its first position, and where its records stand."""

    first: int
    path: Path
    count: int = 0  # records known to stand in the file
    end: int = 0  # offset after the last of them
    first_append_ms: int = 0
    offsets: list[int] = field(default_factory=list)  # of every 64th record
    _after: tuple[int, int] = (-1, 0)  # the record after the last one read, and where it stands

    @property
    def next_position(self) -> int:
        """Position after the last record known to stand in the file."""
        return self.first + self.count

    def add(self, offset: int, end: int, append_ms: int) -> None:
        """Count one more record, which stands at `offset` up to `end`."""
        if self.count % _INDEX_EVERY == 0:
            self.offsets.append(offset)
        if self.count == 0:
            self.first_append_ms = append_ms
        self.end = end  # before the count: a reader that sees the record reads up to here
        self.count += 1

    def read_through(self, file: File) -> None:
        """Count the whole records that follow those known."""
        for record in records(file, self.end, self.next_position):
            self.add(record.offset, record.end, record.append_ms)

    def read_head(self, disk: Disk, next_first: int) -> None:
        """Learn about a sealed file, whose successor begins at `next_first`, from its head; DamagedError."""
        if self.count == next_first - self.first:
            return
        file = disk.open(self.path, writable=False)
        try:
            position, append_ms = first_of(file.read(0, HEADER_BYTES))
            self.end = file.size()
        finally:
            file.close()
        if position != self.first:
            raise DamagedError(f"{self.path}: position={self.first} does not read back as it was written")
        self.first_append_ms = append_ms
        self.count = next_first - self.first
        self.offsets = self.offsets or [0]

    def read(self, disk: Disk, start: int) -> Iterator[Record]:
        """Yield the records from position `start`; GoneError when the file was removed meanwhile."""
        try:
            file = disk.open(self.path, writable=False)
        except DiskError as error:
            if self.path.name in disk.names(self.path.parent):
                raise
            raise GoneError(f"{self.path.parent}: position={start} was removed by retention meanwhile") from error
        try:
            if not self.offsets:
                return
            for record in records(file, *self._place(start), self.end):
                if record.position >= start:
                    self._after = (record.position + 1, record.end)
                    yield record
        finally:
            file.close()

    def _place(self, start: int) -> tuple[int, int]:
        """Return the offset and the position of a record at or before `start`."""
        position, offset = self._after
        if position == start:  # who follows the file comes back for the next
            return offset, position
        skip = min((start - self.first) // _INDEX_EVERY, len(self.offsets) - 1)
        return self.offsets[skip], self.first + skip * _INDEX_EVERY

    def unread_bytes(self, disk: Disk) -> int:
        """Return how many bytes stand after the last whole record, as far as they are not zeros."""
        file = disk.open(self.path, writable=False)
        try:
            spans = spans_with_content(file, self.end, file.size())
            return sum(len(file.read(start, end - start).rstrip(b"\0")) for start, end in spans)
        finally:
            file.close()

    def cut_tail(self, file: File) -> None:
        """Make everything after the last whole record zero again, without sync.

        Raises DamagedError when a later record says that one which does not check was durable.
        """
        size = file.size()
        torn = list(spans_with_content(file, self.end, size))
        if torn:
            self._refuse_rot(file, size)
        for start, end in torn:
            file.write([bytes(end - start)], start)
        if torn:
            log.warning("%s: what followed record %d was not whole, and is cut off", self.path, self.next_position - 1)

    def _refuse_rot(self, file: File, size: int) -> None:
        """Raise when a whole record after the broken one proves that the broken one was durable."""
        broken = self.next_position
        proof = proof_of_durability(file.read(self.end, size - self.end), broken)
        if proof is not None:
            raise DamagedError(
                f"{self.path}: position={broken} at offset={self.end} was durable (so says position={proof}) "
                "but does not read back as it was written"
            )
