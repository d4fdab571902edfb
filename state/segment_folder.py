"""The segment files of one folder, oldest first: finding them, and reading records across them.

Positions are dense, so a file's name, its first position, says where any record is. The list of files is replaced as a
whole, never changed in place while readers may have it: a reader in another thread goes on with the one it holds, and
meets `GoneError` where retention has removed a file of it.

Appending and durability are not known here: see `state.segments`.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from state.disk import DamagedError, Disk, GoneError
from state.records import Record
from state.segment_files import Segment

_SUFFIX = ".seg"


class SegmentFolder:
    """What is known of the files of `path`; nothing until `refresh`, or until the appender sets `segments`."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self.segments: list[Segment] = []
        self._disk = disk

    @property
    def next_position(self) -> int:
        """Position that the next record will have."""
        segments = self.segments
        return segments[-1].next_position if segments else 0

    @property
    def first_position(self) -> int:
        """Oldest position kept; equal to `next_position` when there is none."""
        segments = self.segments
        return segments[0].first if segments else 0

    @property
    def kept_bytes(self) -> int:
        """Bytes of all records kept."""
        return sum(segment.end for segment in self.segments)

    def path_of(self, first: int) -> Path:
        """Return the path of the file that begins with position `first`."""
        return self.path / f"{first:020d}{_SUFFIX}"

    def find(self) -> list[Segment]:
        """Return the files that are there, all but the last one with their count; `segments` stays as it is.

        Raises DamagedError when a file does not begin with the record that its name says.
        """
        known = {segment.first: segment for segment in self.segments}
        names = self._disk.names(self.path)
        firsts = sorted(int(name[: -len(_SUFFIX)]) for name in names if name.endswith(_SUFFIX))
        found = [known.get(first) or Segment(first, self.path_of(first)) for first in firsts]
        for segment, following in itertools.pairwise(found):
            segment.read_head(self._disk, following.first)
        return found

    def refresh(self) -> None:
        """See what was appended and removed since the last call: for a reader beside the process that appends."""
        found = self.find()
        if found:
            file = self._disk.open(found[-1].path, writable=False)
            try:
                found[-1].read_through(file)
            finally:
                file.close()
        self.segments = found

    def read(self, start: int) -> Iterator[Record]:
        """Yield the records from `start` to the present end.

        Raises:
            GoneError: `start` is older than what is kept.
            DamagedError: a record before the end does not check.
        """
        if start < self.first_position:
            raise GoneError(f"{self.path}: position={start} must be >= {self.first_position}, the oldest kept")
        position, end = start, self.next_position
        while position < end:
            segment = self._segment_of(position)
            after = segment.next_position  # of now: an appender may be adding records
            for record in segment.read(self._disk, position):
                yield record
                position = record.position + 1
                if position == after:
                    break
            if position < after:
                raise DamagedError(f"{segment.path}: position={position} does not read back as it was written")

    def position_at(self, append_ms: int) -> int:
        """Return the first position appended at or after `append_ms`; `next_position` when there is none."""
        segments = [segment for segment in self.segments if segment.count]
        after = bisect_right(segments, append_ms - 1, key=lambda segment: segment.first_append_ms)
        for segment in segments[max(0, after - 1) : after]:
            for record in segment.read(self._disk, segment.first):
                if record.append_ms >= append_ms:
                    return record.position
        return segments[after].first if after < len(segments) else self.next_position

    def oldest_may_go(
        self, keep_from: int, keep_ms: int | None, bytes_max: int | None, older_than_ms: int | None
    ) -> bool:
        """Tell whether retention may remove the oldest file: see `state.segments.Segments.retain`."""
        if len(self.segments) < 2 or self.segments[1].count == 0:
            return False
        following = self.segments[1]
        too_old = older_than_ms is not None and following.first_append_ms < older_than_ms
        too_much = bytes_max is not None and self.kept_bytes > bytes_max
        needed = following.first > keep_from or (keep_ms is not None and following.first_append_ms >= keep_ms)
        return (too_old or too_much) and not needed

    def _segment_of(self, position: int) -> Segment:
        """Return the segment that holds `position`."""
        segments = self.segments
        at = bisect_right(segments, position, key=lambda segment: segment.first) - 1
        if at < 0:
            raise GoneError(f"{self.path}: position={position} must be >= {self.first_position}, the oldest kept")
        return segments[at]
