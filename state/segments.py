"""Append-only records with dense positions, kept in files of a bounded size.

A segment file is named after its first position and has its size from the start, its blocks preallocated
(`state.preallocated`), so that a sync has no metadata to carry. The first file is small, each next one twice as long,
up to `segment_bytes`: so all of them are preallocated, and a log that hardly grows takes little room.

Opening reads the last file: its records end at the first one that does not check. What follows is a torn tail and is
cut, unless a later record that does check says that the broken one was durable: then bytes rotted, and `DamagedError`
says where instead of forgetting what was promised.

`append` and `sync` are apart so that one thread can fold and another commit: a call of `sync` covers every append that
returned before it. After a failed sync nothing is known about the file any more, so every later call fails too.

This module is the appender's side. Reading is in `state.segment_folder`, what stands in one file in
`state.segment_files`, what a record looks like in `state.records`. Payloads are opaque here: see `state.log` and
`state.journal`.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from state.disk import Buffer, Disk, DiskError, File, GoneError, Lock, RealDisk
from state.preallocated import HURRIED_BYTES, PreallocatedFile
from state.records import Record, encode_record, payload_length, record_bytes
from state.segment_files import Segment
from state.segment_folder import SegmentFolder

SEGMENT_BYTES = 64 << 20

_NEXT_FILE = "next.draft"


class Segments:
    """Records 0, 1, 2 ... of one folder: one appender, one syncing thread, any number of readers.

    Args:
        folder, disk: where the files stand; created when missing.
        segment_bytes: size of a file once the log has grown; a record larger than that has a file of its own.
        read_only: take no lock, cut nothing: for a reader beside the process that appends.

    Raises LockedError when another process appends here, DamagedError when durable records do not check.
    """

    def __init__(
        self, folder: Path, disk: Disk | None = None, *, segment_bytes: int = SEGMENT_BYTES, read_only: bool = False
    ) -> None:
        self.folder = folder
        self.disk = disk if disk is not None else RealDisk()
        self.segment_bytes = segment_bytes
        self.read_only = read_only
        self.durable = -1
        self._files = SegmentFolder(folder, self.disk)
        self._file: File | None = None
        self._room = 0
        self._clean = True  # nothing but zeros after the last record
        self._retired: list[File] = []
        self._next_file = PreallocatedFile(self.disk, folder / _NEXT_FILE)
        self._failed: str | None = None
        self._guard = threading.Lock()  # around what `append` and `sync` share; no file is written or synced under it
        self._lock: Lock | None = None
        try:
            if read_only:
                self._files.refresh()
            else:
                self.disk.make_folder(folder)
                self._lock = self.disk.lock(folder / "lock")
                self._open()
        except BaseException:
            self.close()
            raise

    @property
    def next_position(self) -> int:
        """Position that the next record will have."""
        return self._files.next_position

    @property
    def first_position(self) -> int:
        """Oldest position kept; equal to `next_position` when there is none."""
        return self._files.first_position

    @property
    def kept_bytes(self) -> int:
        """Bytes of all records kept."""
        return self._files.kept_bytes

    def append(self, parts: Sequence[Buffer], append_ms: int) -> int:
        """Write one record, without sync, and return its position.

        Raises DiskFullError (nothing changed, the call may be repeated), or DiskError, also for an earlier sync.
        """
        self._check_writable()
        length = payload_length(parts)
        size = record_bytes(length)
        file = self._file_with_room(size)
        segment = self._files.segments[-1]
        position = segment.next_position
        self._clean = False
        file.write(encode_record(parts, length, position, self.durable, append_ms), segment.end)
        self._clean = True
        segment.add(segment.end, segment.end + size, append_ms)
        self._next_file.prepare(min(2 * self._room, self.segment_bytes), segment.end / self._room)
        return position

    def sync(self) -> int:
        """Make every record appended before the call durable; return the highest durable position."""
        self._check_writable()
        with self._guard:
            # Position and file as of one moment: a record appended from now on may be in a later file.
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
        """Yield the records from `start` to the present end; raises as `SegmentFolder.read` does."""
        if self.read_only:
            self._files.refresh()
        yield from self._files.read(start)

    def unread_bytes(self) -> int:
        """Return how many bytes stand after the last whole record: of one being written, torn, or damaged."""
        if self.read_only:
            self._files.refresh()
        segments = self._files.segments
        return segments[-1].unread_bytes(self.disk) if segments else 0

    def position_at(self, append_ms: int) -> int:
        """Return the first position appended at or after `append_ms`; `next_position` when there is none."""
        if self.read_only:
            self._files.refresh()
        return self._files.position_at(append_ms)

    def retain(
        self,
        keep_from: int,
        *,
        keep_ms: int | None = None,
        bytes_max: int | None = None,
        older_than_ms: int | None = None,
    ) -> int:
        """Remove old files; return how many.

        A file goes when all together exceed `bytes_max` or all its records are older than `older_than_ms`, but never
        while it holds a position >= `keep_from` or may hold a record of `keep_ms` or later; the last record stays.
        """
        self._check_writable()
        removed = 0
        while self._files.oldest_may_go(keep_from, keep_ms, bytes_max, older_than_ms):
            self.disk.remove(self._files.segments[0].path)
            with self._guard:
                self._files.segments = self._files.segments[1:]
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
        segments = self._files.segments
        while segments[-1].first > next_position or (len(segments) > 1 and not segments[-1].count):
            self.disk.remove(segments.pop().path)
            self.disk.sync_folder(self.folder)  # one by one from the end, so that a crash leaves no hole
        if self._file is not None:
            self._file.close()
            self._file = None
        self._next_file.close()
        last = segments[-1]
        end = next((r.offset for r in last.read(self.disk, last.first) if r.position == next_position), last.end)
        file = self.disk.open(last.path, writable=True)
        file.truncate(end)
        self._sync(file)
        file.close()
        segments[-1] = Segment(last.first, last.path)
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

    def _open(self) -> None:
        """Learn what stands in the folder, cut the torn tail, and make durable what is left."""
        if _NEXT_FILE in self.disk.names(self.folder):
            self.disk.remove(self.folder / _NEXT_FILE)
        segments = self._files.find()
        if segments:
            self._open_last(segments[-1])
        self._files.segments = segments
        self.durable = self.next_position - 1

    def _open_last(self, segment: Segment) -> None:
        """Read the last file through and cut what does not belong to a whole record."""
        file = self.disk.open(segment.path, writable=True)
        try:
            segment.read_through(file)
            segment.cut_tail(file)
            # A process that was killed may have written records, and named a file, that it had not synced. They count
            # from now on, so they must be durable: the bytes first, then the name that leads to them.
            self._sync(file)
            self.disk.sync_folder(self.folder)
            self._room = file.size()
            self._file = file
        finally:
            if self._file is not file:
                file.close()

    def _file_with_room(self, size: int) -> File:
        """Return the file that the next record of `size` bytes goes to, beginning another one where needed."""
        if self._file is None:
            return self._begin_segment(size)
        end = self._files.segments[-1].end
        if not self._clean:
            self._file.truncate(end)
            self._room = end
            self._clean = True
        if end + size <= self._room:
            return self._file
        if end == 0:  # it has the name that the next one would have
            self._file.allocate(max(size, min(HURRIED_BYTES, self.segment_bytes)))
            self._room = self._file.size()
            return self._file
        return self._begin_segment(size)

    def _begin_segment(self, size: int) -> File:
        """Seal the present file and begin the next.

        The next one is preallocated under another name and gets its own only when every record before it is durable, so
        that only the last file can be torn. Without room for it nothing has changed.
        """
        first = self.next_position
        file = self._next_file.take(size, min(HURRIED_BYTES, self.segment_bytes))
        try:
            if self._file is not None:
                self._file.truncate(self._files.segments[-1].end)
                self._room = self._files.segments[-1].end
                self._sync(self._file)
            self.disk.rename(self._next_file.path, self._files.path_of(first))
            self.disk.sync_folder(self.folder)
        except DiskError:
            file.close()
            raise
        with self._guard:
            if self._file is not None:
                self._retired.append(self._file)  # closed by the next `sync`: one may be running on it now
            self.durable = max(self.durable, first - 1)
            self._file = file
            self._room = file.size()
            self._files.segments = [*self._files.segments, Segment(first, self._files.path_of(first))]
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


class Segmented:
    """A series that is stored in segments: what a log and a journal say of them, and do with them, alike."""

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

    def position_at(self, append_ms: int) -> int:
        """Return the first position appended at or after `append_ms`; `next_position` when there is none."""
        return self._segments.position_at(append_ms)

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

    def unread_bytes(self) -> int:
        """Return how many bytes stand after the last one that reads back; see `Segments.unread_bytes`."""
        return self._segments.unread_bytes()

    def close(self) -> None:
        """Close; nothing is synced."""
        self._segments.close()
