"""Files as the durable parts see them, and the operating system's.

    DiskError             a file operation failed; the message names operation, path and the system's reason
    ├── DiskFullError     no room; nothing was changed that the caller can see
    ├── LockedError       another process holds the folder
    ├── DamagedError      bytes that were durable do not read back as written
    └── GoneError         the position asked for was removed by retention

`RealDisk` is a thin coat over the operating system. Other disks keep the same promises: `tests.fakes.disk` forgets at a
crash what was not synced. Record formats are not known here: see `state.segments`.
"""

import contextlib
import errno
import fcntl
import itertools
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

Buffer = bytes | bytearray | memoryview

PARTS_MAX = 1024
"""Buffers one vectored write may carry (IOV_MAX on Linux)."""


class DiskError(Exception):
    """A file operation failed."""


class DiskFullError(DiskError):
    """The file system has no room for what was asked."""


class LockedError(DiskError):
    """Another process holds the lock."""


class DamagedError(DiskError):
    """Durable bytes do not read back as they were written."""


class GoneError(DiskError):
    """The position asked for is not kept any more."""


class File(Protocol):
    """An open file; offsets are explicit, so one handle may serve an appender and a syncing thread."""

    def write(self, parts: Sequence[Buffer], offset: int) -> None:
        """Write all parts, one after the other, from `offset`."""

    def read(self, offset: int, length: int) -> bytes:
        """Read up to `length` bytes; fewer at the end of the file."""

    def sync(self) -> None:
        """Return when what was written before the call survives a crash."""

    def allocate(self, length: int) -> None:
        """Reserve room for `length` bytes from the start; new bytes read as zero."""

    def truncate(self, length: int) -> None:
        """Cut or extend the file to `length` bytes."""

    def size(self) -> int:
        """Return the file's length in bytes."""

    def close(self) -> None:
        """Let go of the handle."""


class Lock(Protocol):
    """A held lock."""

    def release(self) -> None:
        """Let others have it."""


class Disk(Protocol):
    """A file system."""

    def make_folder(self, folder: Path) -> None:
        """Create the folder and its parents where missing; the names made survive a crash."""

    def names(self, folder: Path) -> list[str]:
        """Return the names in the folder, sorted; none when it does not exist."""

    def open(self, path: Path, *, writable: bool) -> File:
        """Open a file, created empty when it is missing and `writable`; DiskError when it cannot be."""

    def remove(self, path: Path) -> None:
        """Remove a file."""

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name in the same folder, replacing what had it."""

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in the folder survive a crash."""

    def lock(self, path: Path) -> Lock:
        """Take the exclusive lock named by `path`; LockedError when another holds it."""

    def later(self, task: Callable[[], None]) -> None:
        """Have work done on files that nobody waits for; a task that raises is a fault of the program."""


def write_whole(disk: Disk, path: Path, data: bytes) -> None:
    """Create or replace a small file so that a crash leaves the old content or the new, never a part."""
    draft = path.with_name(path.name + ".draft")
    file = disk.open(draft, writable=True)
    try:
        file.truncate(0)
        file.write([data], 0)
        file.sync()
    finally:
        file.close()
    disk.rename(draft, path)
    disk.sync_folder(path.parent)


def read_whole(disk: Disk, path: Path) -> bytes:
    """Return a file's content."""
    file = disk.open(path, writable=False)
    try:
        return file.read(0, file.size())
    finally:
        file.close()


# ---- the real one


@contextlib.contextmanager
def _errors_of(operation: str, path: Path) -> Iterator[None]:
    """Turn the system's errors into ours, with the operation and the path."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        kind = DiskFullError if full else DiskError
        reason = "no room left on the disk" if full else (error.strerror or str(error))
        raise kind(f"{operation} {path}: {reason}") from error


class RealFile:
    """A file of the operating system."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle

    def write(self, parts: Sequence[Buffer], offset: int) -> None:
        """Write all parts from `offset`."""
        with _errors_of("write", self.path):
            written = os.pwritev(self._handle, parts[:PARTS_MAX], offset)
            if written == sum(memoryview(part).nbytes for part in parts):
                return
            rest = memoryview(b"".join(parts))
            while written < len(rest):
                written += os.pwrite(self._handle, rest[written:], offset + written)

    def read(self, offset: int, length: int) -> bytes:
        """Read up to `length` bytes."""
        with _errors_of("read", self.path):
            data = os.pread(self._handle, length, offset)
            while 0 < len(data) < length:
                more = os.pread(self._handle, length - len(data), offset + len(data))
                if not more:
                    break
                data += more
            return data

    def sync(self) -> None:
        """fdatasync."""
        with _errors_of("fdatasync", self.path):
            os.fdatasync(self._handle)

    def allocate(self, length: int) -> None:
        """posix_fallocate, so that appending changes no file size and a full disk is met here."""
        with _errors_of("allocate", self.path):
            os.posix_fallocate(self._handle, 0, length)

    def truncate(self, length: int) -> None:
        """Set the file's length."""
        with _errors_of("truncate", self.path):
            os.ftruncate(self._handle, length)

    def size(self) -> int:
        """Return the file's length in bytes."""
        with _errors_of("stat", self.path):
            return os.fstat(self._handle).st_size

    def close(self) -> None:
        """Close the descriptor; a second call does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class RealLock:
    """An flock on a file that names the holder."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def release(self) -> None:
        """Unlock by closing; a second call does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class _Background:
    """One thread for the work that nobody waits for, begun with the first task."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, task: Callable[[], None]) -> None:
        """Do a task after those before it."""
        self._tasks.put(task)
        with self._guard:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="preallocate", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._tasks.get()()


_BACKGROUND = _Background()


class RealDisk:
    """The operating system's files."""

    def make_folder(self, folder: Path) -> None:
        """Create the folder and its parents, and sync the folders that got a new name."""
        with _errors_of("create folder", folder):
            missing = list(itertools.takewhile(lambda one: not one.exists(), (folder, *folder.parents)))
            folder.mkdir(parents=True, exist_ok=True)
        for made in missing:
            self.sync_folder(made.parent)

    def names(self, folder: Path) -> list[str]:
        """Return the names in the folder, sorted."""
        with _errors_of("list", folder):
            try:
                return sorted(path.name for path in folder.iterdir())
            except FileNotFoundError:
                return []

    def open(self, path: Path, *, writable: bool) -> RealFile:
        """Open a file without truncating it."""
        flags = os.O_RDWR | os.O_CREAT if writable else os.O_RDONLY
        with _errors_of("open", path):
            return RealFile(path, os.open(path, flags | os.O_CLOEXEC, 0o640))

    def remove(self, path: Path) -> None:
        """Remove a file."""
        with _errors_of("remove", path):
            path.unlink()

    def rename(self, source: Path, target: Path) -> None:
        """Rename atomically."""
        with _errors_of("rename", source):
            source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Fsync of the directory itself."""
        with _errors_of("sync folder", folder):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def lock(self, path: Path) -> RealLock:
        """Flock the file and write our process id into it."""
        with _errors_of("open", path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise LockedError(f"{path.parent} is held by process {holder}") from error
        try:
            with _errors_of("write", path):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except DiskError:
            os.close(handle)
            raise
        return RealLock(handle)

    def later(self, task: Callable[[], None]) -> None:
        """Hand the task to a thread that all disks of the process share."""
        _BACKGROUND.add(task)
