"""Append-only records with dense positions, kept in files of a bounded size.

A segment file is named after its first position and has its size from the start, its blocks preallocated
(`state.preallocated`), so that a sync has no metadata to carry. The first file is small, each next one twice as long, up to
`segment_bytes`: so all of them are preallocated, and a log that hardly grows takes little room. A record is

    length u32 | crc32 u32 | position i64 | durable i64 | at_ms i64 | payload, padded to eight bytes

where the checksum covers everything behind it and `durable` is the highest position known to be on disk when the record
was written. Opening reads the last segment: its records end at the first one that does not check. What follows is a
torn tail and is cut, unless a later record that does check says that the broken one was durable: then bytes rotted, and
`DamagedError` says where instead of forgetting what was promised.

`append` and `sync` are apart so that one thread can fold and another commit: a call of `sync` covers every append that
returned before it. After a failed sync nothing is known about the file any more, so every later call fails too.

Payloads are opaque here: see `state.log` and `state.journal`.
"""

import itertools
import struct
import threading
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from state.disk import Buffer, DamagedError, Disk, DiskError, File, GoneError, Lock, RealDisk
from state.preallocated import HURRIED_BYTES, PreallocatedFile

SEGMENT_BYTES = 64 << 20
RECORD_BYTES_MAX = 1 << 30

_HEADER = struct.Struct("<IIqqq")
_CHECKED = struct.Struct("<qqq")
_SUFFIX = ".seg"
_NEXT_FILE = "next.draft"
_WINDOW_BYTES = 4 << 20
_INDEX_EVERY = 64


@dataclass(slots=True)
class _Segment:
    """One file: its first position, and where its records stand."""

    first: int
    path: Path
    count: int = 0  # records known to stand in the file
    end: int = 0  # offset behind the last of them
    first_at_ms: int = 0
    offsets: list[int] = field(default_factory=list)  # of every 64th record

    def add(self, offset: int, end: int, at_ms: int) -> None:
        """Note one more record."""
        if self.count % _INDEX_EVERY == 0:
            self.offsets.append(offset)
        if self.count == 0:
            self.first_at_ms = at_ms
        self.count += 1
        self.end = end


@dataclass(frozen=True, slots=True)
class Record:
    """One record as read."""

    position: int
    at_ms: int
    payload: memoryview
    offset: int
    end: int


class Segments:
    """Records 0, 1, 2 ... of one folder: one appender, one syncing thread, any number of readers.

    Args:
        folder: where the files stand; created when missing.
        disk: the file system.
        segment_bytes: size of a file once the log has grown; a record larger than that has a file of its own.
        read_only: take no lock, cut nothing: for a reader beside the process that appends.

    Raises:
        LockedError: another process appends here.
        DamagedError: durable records do not check.
    """

    def __init__(
        self, folder: Path, disk: Disk | None = None, *, segment_bytes: int = SEGMENT_BYTES, read_only: bool = False
    ) -> None:
        self.folder = folder
        self.disk = disk if disk is not None else RealDisk()
        self.segment_bytes = segment_bytes
        self.read_only = read_only
        self.durable = -1
        self._segments: list[_Segment] = []
        self._file: File | None = None
        self._room = 0
        self._clean = True  # nothing but zeros behind the last record
        self._retired: list[File] = []
        self._next_file = PreallocatedFile(self.disk, folder / _NEXT_FILE)
        self._failed: str | None = None
        self._guard = threading.Lock()
        self._lock: Lock | None = None
        if not read_only:
            self.disk.make_folder(folder)
            self._lock = self.disk.lock(folder / "lock")
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def next_position(self) -> int:
        """Position that the next record will have."""
        segments = self._segments
        return segments[-1].first + segments[-1].count if segments else 0

    @property
    def first_position(self) -> int:
        """Oldest position kept; equal to `next_position` when there is none."""
        segments = self._segments
        return segments[0].first if segments else 0

    @property
    def kept_bytes(self) -> int:
        """Bytes of all records kept."""
        return sum(segment.end for segment in self._segments)

    def append(self, parts: Sequence[Buffer], at_ms: int) -> int:
        """Write one record, without sync, and return its position.

        Raises:
            DiskFullError: no room; nothing changed, the call may be repeated.
            DiskError: the file system refused, now or in an earlier sync.
        """
        self._check_writable()
        length = sum(memoryview(part).nbytes for part in parts)
        if not 0 <= length <= RECORD_BYTES_MAX:
            raise ValueError(f"record length={length} must be <= {RECORD_BYTES_MAX}")
        size = _padded(_HEADER.size + length)
        file = self._file_with_room(size)
        segment = self._segments[-1]
        position = segment.first + segment.count
        checked = _CHECKED.pack(position, self.durable, at_ms)
        crc = zlib.crc32(checked)
        for part in parts:
            crc = zlib.crc32(part, crc)
        padding = bytes(size - _HEADER.size - length)
        self._clean = False
        file.write([struct.pack("<II", length, crc) + checked, *parts, padding], segment.end)
        self._clean = True
        segment.add(segment.end, segment.end + size, at_ms)
        self._next_file.prepare(min(2 * self._room, self.segment_bytes), segment.end / self._room)
        return position

    def sync(self) -> int:
        """Make every record appended before the call durable; return the highest durable position."""
        self._check_writable()
        with self._guard:
            target = self.next_position - 1
            file = self._file
            retired, self._retired = self._retired, []
        try:
            if file is not None and target > self.durable:
                self._sync(file)
        finally:
            for old in retired:
                old.close()
        with self._guard:
            self.durable = max(self.durable, target)
            return self.durable

    def read(self, start: int) -> Iterator[Record]:
        """Yield the records from `start` to the present end.

        Raises:
            GoneError: `start` is older than what is kept.
            DamagedError: a record before the end does not check.
        """
        if self.read_only:
            self._open()
        if start < self.first_position:
            raise GoneError(f"{self.folder}: position={start} must be >= {self.first_position}, the oldest kept")
        position, end = start, self.next_position
        while position < end:
            segment = self._segment_of(position)
            count = segment.count
            for record in self._read_segment(segment, position):
                yield record
                position = record.position + 1
                if position == segment.first + count:
                    break
            if position < segment.first + count:
                raise DamagedError(f"{segment.path}: position={position} does not read back as it was written")

    def position_at(self, at_ms: int) -> int:
        """Return the first position appended at or after `at_ms`; `next_position` when there is none."""
        if self.read_only:
            self._open()
        segments = [segment for segment in self._segments if segment.count]
        after = bisect_right(segments, at_ms - 1, key=lambda segment: segment.first_at_ms)
        for segment in segments[max(0, after - 1) : after]:
            for record in self._read_segment(segment, segment.first):
                if record.at_ms >= at_ms:
                    return record.position
        return segments[after].first if after < len(segments) else self.next_position

    def retain(
        self,
        keep_from: int,
        *,
        keep_ms: int | None = None,
        bytes_max: int | None = None,
        older_than_ms: int | None = None,
    ) -> int:
        """Remove old files; return how many.

        A file goes when all files together exceed `bytes_max` or when all its records were appended before
        `older_than_ms`, but never while it holds a position >= `keep_from` or may hold a record appended at `keep_ms`
        or later, and never the last record of all.
        """
        self._check_writable()
        kept = self.kept_bytes
        removed = 0
        while len(self._segments) > 1:
            oldest, following = self._segments[0], self._segments[1]
            too_old = older_than_ms is not None and following.first_at_ms < older_than_ms
            too_much = bytes_max is not None and kept > bytes_max
            needed = following.first > keep_from or (keep_ms is not None and following.first_at_ms >= keep_ms)
            if needed or following.count == 0 or not (too_old or too_much):
                break
            self.disk.remove(oldest.path)
            kept -= oldest.end
            with self._guard:
                self._segments = self._segments[1:]  # a new list: readers keep the one they have
            removed += 1
        if removed:
            self.disk.sync_folder(self.folder)
        return removed

    def cut(self, next_position: int) -> None:
        """Forget the records from `next_position` on, durably: for the start, when they were never acknowledged."""
        self._check_writable()
        if next_position < self.first_position:
            raise GoneError(f"{self.folder}: next position={next_position} must be >= {self.first_position}")
        if next_position >= self.next_position:
            return
        while self._segments[-1].first > next_position or (len(self._segments) > 1 and not self._segments[-1].count):
            self.disk.remove(self._segments.pop().path)
            self.disk.sync_folder(self.folder)
        if self._file is not None:
            self._file.close()
            self._file = None
        self._next_file.close()
        last = self._segments[-1]
        end = next((r.offset for r in self._read_segment(last, last.first) if r.position == next_position), last.end)
        file = self.disk.open(last.path, writable=True)
        file.truncate(end)
        self._sync(file)
        file.close()
        self._segments[-1] = _Segment(last.first, last.path)
        self._open()

    def close(self) -> None:
        """Close files and release the lock; nothing is synced."""
        for file in (*self._retired, *([self._file] if self._file else [])):
            file.close()
        self._retired, self._file = [], None
        self._next_file.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    # ---- opening

    def _open(self) -> None:
        """Learn what stands in the folder; as appender, cut the torn tail."""
        known = {segment.first: segment for segment in self._segments}
        names = self.disk.names(self.folder)
        if _NEXT_FILE in names and not self.read_only:
            self.disk.remove(self.folder / _NEXT_FILE)
        found = sorted(int(name[: -len(_SUFFIX)]) for name in names if name.endswith(_SUFFIX))
        segments = [known.get(first) or _Segment(first, self._path(first)) for first in found]
        for segment, following in itertools.pairwise(segments):
            self._open_sealed(segment, following.first)
        if segments:
            self._open_last(segments[-1])
        self._segments = segments
        if not self.read_only:
            self.durable = self.next_position - 1

    def _open_sealed(self, segment: _Segment, next_first: int) -> None:
        """Take over a file that has a successor: its count is known without reading it through."""
        if segment.count == next_first - segment.first:
            return
        file = self.disk.open(segment.path, writable=False)
        try:
            head = file.read(0, _HEADER.size)
            segment.end = file.size()
        finally:
            file.close()
        _, _, position, _, at_ms = _HEADER.unpack(head.ljust(_HEADER.size, b"\xff"))
        if position != segment.first:
            raise DamagedError(f"{segment.path}: position={segment.first} does not read back as it was written")
        segment.first_at_ms = at_ms
        segment.count = next_first - segment.first
        segment.offsets = segment.offsets or [0]

    def _open_last(self, segment: _Segment) -> None:
        """Read the last file through and, as appender, cut what does not belong to a whole record."""
        file = self.disk.open(segment.path, writable=not self.read_only)
        try:
            for record in _records(file, segment.end, segment.first + segment.count):
                segment.add(record.offset, record.end, record.at_ms)
            if not self.read_only:
                self._cut_tail(file, segment)
                self._room = file.size()
                self._file = file
        finally:
            if self._file is not file:
                file.close()

    def _cut_tail(self, file: File, segment: _Segment) -> None:
        """Make everything behind the last whole record zero again, and the records before it durable."""
        size = file.size()
        torn = list(_spans_with_content(file, segment.end, size))
        if torn:
            self._refuse_rot(file, segment, size)
        for start, end in torn:
            file.write([bytes(end - start)], start)
        self._sync(file)
        self.disk.sync_folder(self.folder)

    def _refuse_rot(self, file: File, segment: _Segment, size: int) -> None:
        """Raise when a whole record behind the broken one proves that the broken one was durable."""
        broken = segment.first + segment.count
        proof = _proof_of_durability(file.read(segment.end, size - segment.end), broken)
        if proof is not None:
            raise DamagedError(
                f"{segment.path}: position={broken} at offset={segment.end} was durable (so says position={proof}) "
                "but does not read back as it was written"
            )

    # ---- appending

    def _file_with_room(self, size: int) -> File:
        """Return the file that the next record of `size` bytes goes to, beginning another one where needed."""
        if self._file is None:
            return self._begin_segment(size)
        end = self._segments[-1].end
        if not self._clean:
            self._file.truncate(end)
            self._room = end
            self._clean = True
        if end + size <= self._room:
            return self._file
        if end == 0:  # it has the name that the next one would have
            self._file.allocate(max(size, self._hurried_bytes))
            self._room = self._file.size()
            return self._file
        return self._begin_segment(size)

    @property
    def _hurried_bytes(self) -> int:
        return min(HURRIED_BYTES, self.segment_bytes)

    def _begin_segment(self, size: int) -> File:
        """Seal the present file and begin the next.

        The next one is preallocated under another name and gets its own only when every record before it is durable, so
        that only the last file can be torn. Without room for it nothing has changed.
        """
        first = self.next_position
        file = self._next_file.take(size, self._hurried_bytes)
        try:
            if self._file is not None:
                self._file.truncate(self._segments[-1].end)
                self._room = self._segments[-1].end
                self._sync(self._file)
            self.disk.rename(self._next_file.path, self._path(first))
            self.disk.sync_folder(self.folder)
        except DiskError:
            file.close()
            raise
        with self._guard:
            if self._file is not None:
                self._retired.append(self._file)
            self.durable = max(self.durable, first - 1)
            self._file = file
            self._room = file.size()
            self._segments = [*self._segments, _Segment(first, self._path(first))]
        return file

    def _sync(self, file: File) -> None:
        """Sync, and never trust the file again when that fails."""
        try:
            file.sync()
        except DiskError as error:
            self._failed = str(error)
            raise

    def _check_writable(self) -> None:
        if self.read_only:
            raise DiskError(f"{self.folder} is open for reading only")
        if self._failed is not None:
            raise DiskError(f"{self.folder} takes no more records after: {self._failed}")

    # ---- reading

    def _segment_of(self, position: int) -> _Segment:
        """Return the segment that holds `position`."""
        segments = self._segments
        at = bisect_right(segments, position, key=lambda segment: segment.first) - 1
        if at < 0:
            raise GoneError(f"{self.folder}: position={position} must be >= {self.first_position}, the oldest kept")
        return segments[at]

    def _read_segment(self, segment: _Segment, start: int) -> Iterator[Record]:
        """Yield the records of one file from `start`."""
        try:
            file = self.disk.open(segment.path, writable=False)
        except DiskError as error:
            if segment.path.name in self.disk.names(self.folder):
                raise
            raise GoneError(f"{self.folder}: position={start} was removed by retention meanwhile") from error
        try:
            skip = min((start - segment.first) // _INDEX_EVERY, len(segment.offsets) - 1)
            if skip < 0:
                return
            for record in _records(file, segment.offsets[skip], segment.first + skip * _INDEX_EVERY):
                if record.position >= start:
                    yield record
        finally:
            file.close()

    def _path(self, first: int) -> Path:
        return self.folder / f"{first:020d}{_SUFFIX}"


class Kept:
    """What a log and a journal say of their segments, and do with them, alike."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments

    @property
    def next_position(self) -> int:
        """Position that the next one will have."""
        return self._segments.next_position

    @property
    def first_position(self) -> int:
        """Oldest one kept."""
        return self._segments.first_position

    @property
    def kept_bytes(self) -> int:
        """Bytes of all that is kept."""
        return self._segments.kept_bytes

    def position_at(self, at_ms: int) -> int:
        """Return the first position appended at or after `at_ms`; `next_position` when there is none."""
        return self._segments.position_at(at_ms)

    def retain(
        self,
        keep_from: int,
        *,
        keep_ms: int | None = None,
        bytes_max: int | None = None,
        older_than_ms: int | None = None,
    ) -> int:
        """Remove old files as `Segments.retain` does; `keep_from` is a position here, a frame's or an entry's."""
        return self._segments.retain(keep_from, keep_ms=keep_ms, bytes_max=bytes_max, older_than_ms=older_than_ms)

    def close(self) -> None:
        """Close; nothing is synced."""
        self._segments.close()


def _padded(length: int) -> int:
    return (length + 7) & ~7


def _parse(window: bytes, base: int, at: int, position: int) -> Record | None:
    """Return the whole, checked record that begins at `window[at]`, or None."""
    if at + _HEADER.size > len(window):
        return None
    length, crc, written, _, at_ms = _HEADER.unpack_from(window, at)
    end = at + _HEADER.size + length
    if written != position or end > len(window):
        return None
    view = memoryview(window)
    if zlib.crc32(view[at + 8 : end]) != crc:
        return None
    return Record(position, at_ms, view[at + _HEADER.size : end], base + at, base + at + _padded(end - at))


def _records(file: File, offset: int, position: int) -> Iterator[Record]:
    """Yield checked records from `offset` until one does not check."""
    window, base = b"", offset
    while True:
        record = _parse(window, base, offset - base, position)
        if record is None:
            window, base = _window(file, offset), offset
            record = _parse(window, base, 0, position)
            if record is None:
                return
        yield record
        offset, position = record.end, position + 1


def _window(file: File, offset: int) -> bytes:
    """Read ahead from `offset`, at least the whole record that seems to begin there."""
    window = file.read(offset, _WINDOW_BYTES)
    if len(window) == _WINDOW_BYTES:
        need = _HEADER.size + _HEADER.unpack_from(window)[0]
        if _WINDOW_BYTES < need <= _HEADER.size + RECORD_BYTES_MAX:
            return file.read(offset, need)
    return window


def _spans_with_content(file: File, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of the span that are not all zeros."""
    for offset in range(start, end, _WINDOW_BYTES):
        data = file.read(offset, min(_WINDOW_BYTES, end - offset))
        if data.count(0) != len(data):
            yield offset, offset + len(data)


def _proof_of_durability(data: bytes, broken: int) -> int | None:
    """Return the position of a whole record in `data` that was written when `broken` was durable, if there is one.

    Records are aligned, so their positions stand at words; those that could be one are checked.
    """
    words = np.frombuffer(data, np.int64, len(data) // 8)
    position, durable = words[1:-1], words[2:]
    likely = np.flatnonzero((position > broken) & (durable >= broken) & (durable < position))
    for word in likely.tolist():
        if _parse(data, 0, word * 8, int(position[word])) is not None:
            return int(position[word])
    return None
