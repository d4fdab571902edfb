"""Writes batches of pages and rows to the store, in their order, each once log and journal are durable at its position.

The fold thread enqueues; `pump` writes, called by the writer thread (`start`) or, in simulations, by the caller.

`_changed` guards the queue. It is the innermost lock: nothing else is locked, and the store is not touched, while it is
held, so the fold thread waits for a few dictionary operations at most. One thread alone waits on it, the writer.

What is in a batch is not known here: see `state.flusher` and `state.sleepers`.
"""

import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from state.disk import DiskError
from state.store import Store, Write

LENGTHS = struct.Struct(">QQ")
"""Frames of the log and entries of the journal."""
_WAIT_S_MIN, _WAIT_S_MAX = 0.002, 0.1


T = TypeVar("T")


class Patient(Protocol):
    """Calls a write again until the disk has room."""

    def __call__(self, write: Callable[[], T]) -> T:
        """Return what `write` returns."""


def once(write: Callable[[], T]) -> T:
    """Call a write; a full disk is the caller's fault to see."""
    return write()


@dataclass(frozen=True, slots=True)
class RedoPoint:
    """Where redo begins after a crash, and the record in the store that says so; no record before the first sweep."""

    position: int
    record: bytes | None


@dataclass(slots=True)
class Job:
    """One atomic batch that may be written once `position` is durable.

    `rows` are the sleeping rows in it, by subscriber, `marks` the keys of their marks.
    `redo` is set where it ends a sweep: then the store is flushed
    after it.
    """

    position: int
    writes: list[Write]
    size: int = 0
    rows: dict[int, bytes] = field(default_factory=dict)
    redo: RedoPoint | None = None
    marks: list[bytes] = field(default_factory=list)


class PageWriter:
    """The queue of one partition's batches, and the thread that empties it.

    `enqueue`, `waiting_row`, `waiting_marks` and `check`
    belong to the fold thread, `durable` to any, `pump` to one writer.

    Args:
        store: where batches go; may be shared between partitions.
        lengths_key: where the store keeps how long log and journal were, durably, before pages were written.
        patient: calls what it is given until the disk has room for it; by default it is called once.
    """

    def __init__(self, store: Store, lengths_key: bytes, patient: Patient = once) -> None:
        self.redo = RedoPoint(0, None)
        self.sweeps = 0
        self.queued_bytes = 0
        self._store = store
        self._patient = patient
        self._jobs: deque[Job] = deque()
        self._rows: dict[int, bytes] = {}  # sleeping rows in jobs not yet written
        self._marks: dict[bytes, Job] = {}  # their marks
        self._durable = -1
        self._lengths_key = lengths_key
        self._journaled = 0
        self._changed = threading.Condition()
        self._failure: DiskError | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    def enqueue(self, job: Job) -> None:
        """Add a batch after those before it."""
        with self._changed:
            job.size += sum(map(len, job.rows.values()))
            self._rows |= job.rows
            self._marks |= dict.fromkeys(job.marks, job)
            self._jobs.append(job)
            self.queued_bytes += job.size
            if self._ready():
                self._changed.notify_all()

    def waiting_row(self, subscriber: int) -> bytes | None:
        """Return a sleeping row that is not yet written.

        Ask here first and the store afterwards: the writer puts a row into the store before it forgets it here, so one
        of the two has it. That is also why no lock is needed.
        """
        return self._rows.get(subscriber)

    def waiting_marks(self, prefix: bytes) -> list[bytes]:
        """Return the marks with a prefix that are not yet written; ask here first, as for rows."""
        with self._changed:
            return [key for key in self._marks if key.startswith(prefix)]

    def check(self) -> None:
        """Raise DiskError when the writer has failed."""
        if self._failure is not None:
            raise self._failure

    def durable(self, position: int, journaled: int = 0) -> None:
        """Say that log and journal are durable up to `position`, the journal with so many entries."""
        with self._changed:
            self._journaled = max(self._journaled, journaled)
            self._durable = max(self._durable, position)
            if self._ready():
                self._changed.notify_all()

    def pump(self, batches_max: int = 1 << 30) -> int:
        """Write the batches that may be written; return how many. Stops where the store asks to come back later."""
        written = 0
        while written < batches_max and self._ready():
            if not self._write(self._jobs[0]):
                break
            written += 1
        return written

    def start(self) -> None:
        """Run the writer in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="flusher", daemon=True)
        self._thread.start()

    def close(self, *, drain: bool = False) -> None:
        """Stop the writer; with `drain` after it has written what is durable. Raises DiskError when it failed."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if drain and self._failure is None:
            while self._ready():
                if self.pump() == 0:
                    threading.Event().wait(_WAIT_S_MIN)
        self.check()

    def _ready(self) -> bool:
        return bool(self._jobs) and self._jobs[0].position <= self._durable

    def _write(self, job: Job) -> bool:
        """Write the oldest job; False when the store asks to come back later."""
        if not self._patient(lambda: self._store.write([*job.writes, *self._lengths()])):
            return False
        if job.redo is not None:
            # Only when the record is durable may the log before it be removed: `redo` says what retention must keep.
            self._patient(self._store.flush)
            self.redo = job.redo
            self.sweeps += 1
        with self._changed:
            self._jobs.popleft()
            self.queued_bytes -= job.size
            for subscriber, row in job.rows.items():
                if self._rows.get(subscriber) is row:  # not the row of another sleep that a later job holds
                    del self._rows[subscriber]
            for key in job.marks:
                if self._marks.get(key) is job:
                    del self._marks[key]
        return True

    def _lengths(self) -> list[Write]:
        """Return what to write beside pages, where somebody says how long the journal is.

        A log or journal that reads back shorter has lost what these pages hide from redo.
        """
        if not self._journaled:
            return []
        return [(self._lengths_key, LENGTHS.pack(self._durable + 1, self._journaled))]

    def _run(self) -> None:
        """Write what may be written until closed."""
        wait_s = _WAIT_S_MIN
        while True:
            with self._changed:
                while not self._closing and not self._ready():
                    self._changed.wait()
                if self._closing:
                    return
            try:
                written = self.pump(batches_max=1)
            except DiskError as error:
                self._failure = error
                return
            except BaseException as error:
                self._failure = DiskError(f"the writer of pages stopped: {error!r}")
                raise
            if written:
                wait_s = _WAIT_S_MIN
            else:
                threading.Event().wait(wait_s)
                wait_s = min(2 * wait_s, _WAIT_S_MAX)
