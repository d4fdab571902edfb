"""The next file of an append-only series, preallocated: its blocks are written with zeros before they are needed.

Blocks that are only reserved are marked so in the file system's own records, and the first write into them changes
those. A sync must then carry the change too, on most systems through a journal, where it waits for what other files
have in there: while a store writes out its tables, that took longer than the data themselves. Blocks that were written
before, in a file whose size stays, leave a sync nothing to carry but data.

Writing goes on in the background (`Disk.later`), in strides, in step with how full the present file is: done when that
is half full, and an idle series writes nothing. A file needed sooner is taken as it is, its rest only reserved. A file
that was never begun is made at once, and small. After a crash the file is still there; the next start removes it.

Records and positions are not known here: see `state.segments`.
"""

import threading
from pathlib import Path

from state.disk import Disk, DiskError, File

HURRIED_BYTES = 1 << 20
"""Length of a file that was needed before anybody had begun to preallocate it."""
STRIDE_BYTES = 1 << 20
_STRIDES_MIN = 8
_ZEROS = memoryview(bytes(STRIDE_BYTES))


class PreallocatedFile:
    """One file under a name of its own until it is taken; `prepare` and `take` belong to the appender.

    Args:
        disk: the file system.
        path: its name while nobody has taken it.
    """

    def __init__(self, disk: Disk, path: Path) -> None:
        self.path = path
        self._disk = disk
        self._guard = threading.Lock()
        self._file: File | None = None
        self._length = 0
        self._written = 0
        self._goal = 0
        self._busy = False
        self._refused = False

    def prepare(self, length: int, share: float) -> None:
        """Say that the present file is full to a `share` and the next should have `length` bytes; never waits.

        `_goal` and `_busy` are read here without the lock, because the background holds it while it writes a stride. A
        goal that comes too late for a stride is seen by the next call, and at the worst a file is taken unfinished.
        """
        goal = min(length, int(2 * share * length))
        if self._refused or goal - self._written < _stride(length):
            return
        self._goal = goal
        if self._busy:
            return
        if self._file is None:
            self._length = length
        self._busy = True
        self._disk.later(self._preallocate)

    def take(self, size: int, hurried_bytes: int) -> File:
        """Return a durable, empty file with room for `size` bytes, still named `path`; its owner renames it.

        Raises:
            DiskError: it cannot be made, DiskFullError where there is no room; nothing is left of it.
        """
        with self._guard:
            if self._file is not None and self._length < size:
                self._drop()
            if self._file is None:
                self._make(max(size, hurried_bytes), hurried_bytes)
            file, self._file = self._file, None
            assert file is not None
            self._written = self._goal = 0
            self._refused = False
            return file

    def close(self) -> None:
        """Let go of the file; what is written of it stays where it is until the next start."""
        with self._guard:
            self._written = self._goal = 0
            if self._file is not None:
                self._file.close()
                self._file = None

    def _preallocate(self) -> None:
        """Write strides up to the goal: in the background."""
        while self._stride():
            pass

    def _stride(self) -> bool:
        """Write one stride; False when there is none to write, or when it could not be written.

        A fault is not raised here: nobody is waiting. The appender, when it needs the file, makes another and meets the
        fault itself.
        """
        with self._guard:
            stride = _stride(self._length)
            if min(self._goal, self._length) - self._written < stride:
                self._busy = False
                return False
            try:
                if self._file is None:
                    self._make(self._length, 0)
                self._zero(self._written + stride)
            except DiskError:
                self._refused, self._busy = True, False
                if self._file is not None:
                    self._drop()
                return False
            return True

    def _make(self, length: int, zeros: int) -> None:
        """Make the file, `length` bytes reserved and the first `zeros` of them written, all durable."""
        self._file = self._disk.open(self.path, writable=True)
        self._length, self._written = length, 0
        try:
            self._file.truncate(0)
            self._file.allocate(length)
            self._zero(zeros)
        except DiskError:
            self._drop()
            raise

    def _zero(self, end: int) -> None:
        """Write zeros up to `end`, durably."""
        assert self._file is not None
        while self._written < end:
            part = _ZEROS[: end - self._written]
            self._file.write([part], self._written)
            self._written += part.nbytes
        self._file.sync()

    def _drop(self) -> None:
        """Take the file away."""
        assert self._file is not None
        self._file.close()
        self._file = None
        self._written = self._goal = 0
        self._disk.remove(self.path)


def _stride(length: int) -> int:
    """Return how much of a file of `length` bytes is written at a time."""
    return max(1, min(STRIDE_BYTES, length // _STRIDES_MIN))
