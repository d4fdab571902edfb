"""Carries what changed in memory to the store, without a stop, and back into memory at a start.

A *sweep* begins at a log position X: it remembers which pages are dirty and what belongs to the partition itself (the
snapshot). Between batches the fold thread packs a few of those pages as they are then (`step`); a writer thread puts
them into the store. When the last page of the sweep is in, the record "redo from X + 1, with this snapshot" follows and
the store is flushed. Changes behind X are the next sweep's; a page packed at Y > X carries Y as its stamp, and redo
skips for its subscribers what is at or below it.

What a crash may leave, and why it is right. The store holds the outcome of a prefix of our batches (`state.store`).
1. No batch is written before log and journal are durable at its position (`durable`), so no page knows an event whose
   decisions could be lost.
2. The record of a sweep stands behind all pages of the sweep, so redo begins at or before the oldest change that is
   missing.
3. A slot that redo fills anew has no stamp, whatever its page's is: `recover` returns stamps by slot, and a page packed
   while redo runs says slot by slot how far it is ahead.
4. A subscriber goes to sleep in one batch: its row, and a tombstone in the name of the page it left. The page itself is
   not written for that; its next flush, in one batch, removes its tombstones and the rows of those who woke up in it.
   So a subscriber that a page still holds beside a sleeping row has a tombstone, and `recover` takes it out there.
5. A column is known by its feature's fingerprint and the position it was born at. `recover` makes every column that any
   page has, and while redo runs so does `wake` for the rows; at the end the decider drops what its book does not use.

Keys begin with their kind and the partition; nothing outside this module knows them. What a page looks like is in
`state.pages`.
"""

import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from state.columns import PAGE_SLOTS, Table
from state.contacts import Contacts
from state.disk import DiskError
from state.pages import Layout, PageError, Pages, decode_layout, packed_layout
from state.store import Store, Write

Snapshot = dict[str, Any]
"""What belongs to the partition and not to a subscriber; values that JSON can carry."""

BATCH_BYTES = 128 << 10
QUEUE_BYTES_MAX = 64 << 20
STEP_PAGES_MAX = 256
EVENTS_A_SUBSCRIBER = 2
"""A sweep is spread over at least this many events a subscriber, so that sweeping stays a fraction of folding."""
ROWS_A_BATCH = 256
EVENTS_A_FRAME = 1000
"""What a frame counts for the pace where the caller does not count events."""

_PAGE, _ROW, _TOMB, _LAYOUT, _SWEEP, _COUNT = b"P", b"S", b"T", b"L", b"M", b"C"
_PLACE = struct.Struct(">IQ")
_WAIT_S_MIN, _WAIT_S_MAX = 0.002, 0.1


@dataclass(frozen=True, slots=True)
class Recovered:
    """What `Flusher.recover` found.

    `redo_from`: first log position to fold again. `snapshot`: the partition just before it; None in a fresh store.
    `slot_stamps`: int64[capacity], per slot the position up to which every event is in it; -1 for a free slot.
    """

    redo_from: int
    snapshot: Snapshot | None
    slot_stamps: NDArray[np.int64]


@dataclass(slots=True)
class _Sweep:
    """A sweep under way: begun at `start`, `taken` of its pages packed."""

    start: int
    events: int
    record: bytes
    pages: NDArray[np.int64]
    taken: int = 0


@dataclass(slots=True)
class _Job:
    """One atomic batch that may be written once `position` is durable.

    `rows` are the sleeping rows in it. `sweep` is set where it ends one: then the store is flushed behind it.
    """

    position: int
    writes: list[Write]
    size: int = 0
    rows: dict[int, bytes] = field(default_factory=dict)
    sweep: _Sweep | None = None


class Flusher:
    """Flushes, wakes and recovers one partition.

    `step`, `put_to_sleep`, `wake` and `pages_due` belong to the fold thread, `durable` to any, `pump` to one writer.

    Args:
        partition: its number, part of every key.
        table: the subscribers in memory.
        contacts: their contacts.
        store: where pages go; may be shared between partitions.
        snapshot: returns what belongs to the partition as of the last folded position.
        recovery_target_s: how long loading and redo may take after a crash.
        fold_events_s: events a second that redo folds; a core in no hurry does more than twice as many.
        load_subscribers_s: subscribers a second that loading takes in.
        before_redo_moves: called by the writer before a start may leave out frames that it redid until now.
    """

    def __init__(
        self,
        partition: int,
        table: Table,
        contacts: Contacts,
        store: Store,
        snapshot: Callable[[], Snapshot],
        *,
        recovery_target_s: float = 10.0,
        fold_events_s: float = 1_500_000,
        load_subscribers_s: float = 1_000_000,
        before_redo_moves: Callable[[], object] | None = None,
    ) -> None:
        self.redo_from = 0
        self._redo_record: bytes | None = None
        self.sweeps = 0
        self._table = table
        self._contacts = contacts
        self._store = store
        self._snapshot = snapshot
        self._pages = Pages(table, contacts)
        self._of_partition = partition.to_bytes(2, "big")
        self._target_s = recovery_target_s
        self._fold_events_s = fold_events_s
        self._load_subscribers_s = load_subscribers_s
        self._before_redo_moves = before_redo_moves
        self._layouts: dict[int, Layout] = {}
        self._stamps: NDArray[np.int64] | None = None
        self._sweep: _Sweep | None = None
        self._recovered_to = -1
        self._last_start = -1
        self._last_events = 0
        self._events = 0
        self._rows_stored = 0  # sleeping rows in the store once every job is written
        self._rows_waiting: dict[int, bytes] = {}  # sleeping rows in jobs not yet written
        self._woken: dict[int, set[int]] = {}  # page: subscribers that woke up in it, their rows still stored
        self._left: dict[int, set[int]] = {}  # page: subscribers that left it to sleep since it was flushed
        self._jobs: deque[_Job] = deque()
        self._queued_bytes = 0
        self._durable = -1
        self._changed = threading.Condition()
        self._failure: DiskError | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def dirty_pages(self) -> int:
        """Pages that changed since they were packed."""
        return int(np.count_nonzero(self._table.dirty))

    @property
    def sleeping(self) -> int:
        """Subscribers asleep."""
        return self._rows_stored - sum(map(len, self._woken.values()))

    @property
    def queued_bytes(self) -> int:
        """Bytes packed and not yet written."""
        return self._queued_bytes

    @property
    def redo_snapshot(self) -> Snapshot | None:
        """The partition just before `redo_from`; None before the first sweep."""
        return orjson.loads(self._redo_record)[1] if self._redo_record is not None else None

    @property
    def last_start(self) -> int:
        """Log position at which the latest sweep began; before the first one, that of the last before recovery."""
        return self._last_start

    @property
    def sweeping(self) -> bool:
        """Whether a sweep is under way."""
        return self._sweep is not None

    @property
    def sweep_events(self) -> int:
        """How many events lie between the begins of two sweeps."""
        load_s = self._table.count / self._load_subscribers_s
        redo_s = max(self._target_s - load_s, 0.1 * self._target_s)
        return max(1, int(redo_s * self._fold_events_s / 2), EVENTS_A_SUBSCRIBER * self._table.count)

    # ---- the fold thread

    def pages_due(self, position: int, events: int | None = None) -> int:
        """Return how many pages `step` should pack now so that a crash costs no more than the recovery target.

        `events` is the count of events folded since `recover`. Sweeps take half of the events that redo has time for,
        one after the other, so at the end of one the record is at most the whole behind. A target that many
        subscribers make impossible is not chased: see EVENTS_A_SUBSCRIBER.
        """
        counted = (position - self._recovered_to) * EVENTS_A_FRAME if events is None else events
        self._events = counted
        span = self.sweep_events
        sweep = self._sweep
        if self._queued_bytes > QUEUE_BYTES_MAX:
            return 0
        if sweep is None:
            return 1 if counted - self._last_events >= span and position > self._last_start else 0
        pages = sweep.pages.shape[0]
        wanted = -(-pages * (counted - sweep.events) // max(1, int(span * 0.9)))
        return max(0, min(STEP_PAGES_MAX, int(min(wanted, pages)) - sweep.taken))

    def step(self, position: int, pages_max: int) -> int:
        """Pack up to `pages_max` pages of the state as of `position`, the last folded; return how many.

        Begins a sweep when none is under way and `pages_max` > 0. Raises DiskError when the writer has failed.
        """
        if self._failure is not None:
            raise self._failure
        if pages_max <= 0:
            return 0
        if self._sweep is None:
            self._begin(position)
        sweep = self._sweep
        assert sweep is not None
        pages = sweep.pages[sweep.taken : sweep.taken + pages_max]
        count = int(pages.shape[0])
        sweep.taken += count
        self._pack(pages, position)
        if sweep.taken == sweep.pages.shape[0]:
            self._put(_Job(position, [(self._key(_SWEEP), sweep.record)], sweep=sweep))
            self._sweep = None
        return count

    def finish(self, position: int) -> None:
        """Pack all that is dirty, in sweeps that end at `position`: a start after this has nothing to redo."""
        while self._sweep is not None:
            self.step(position, STEP_PAGES_MAX)
        self.step(position, STEP_PAGES_MAX)
        while self._sweep is not None:
            self.step(position, STEP_PAGES_MAX)

    def put_to_sleep(self, slots: NDArray[np.int32], position: int) -> None:
        """Free `slots`, keeping their subscribers as rows in the store.

        Every event up to `position` is folded and none behind it: not a part of the frame that is being folded.
        """
        for start in range(0, slots.shape[0], ROWS_A_BATCH):
            self._put_to_sleep(slots[start : start + ROWS_A_BATCH], position)
        self._contacts.release(slots)
        self._table.remove(slots)

    def _put_to_sleep(self, slots: NDArray[np.int32], position: int) -> None:
        """Queue one batch of rows with their tombstones."""
        subscribers = self._table.subs[slots].tolist()
        packed = self._pages.pack_rows(slots, position, self._stamps)
        writes = self._layout_writes()
        for subscriber, page, row in zip(subscribers, (slots // PAGE_SLOTS).tolist(), packed, strict=True):
            writes.append((self._row_key(subscriber), row))
            writes.append((self._tomb_key(page, subscriber), b""))
            self._left.setdefault(page, set()).add(subscriber)
            woken = self._woken.get(page, set())
            if subscriber in woken:
                woken.remove(subscriber)
            else:
                self._rows_stored += 1
        writes.append(self._count_write())
        self._put(_Job(position, writes, rows=dict(zip(subscribers, packed, strict=True))))

    def wake(self, subscribers: NDArray[np.int64], slots: NDArray[np.int32], position: int) -> NDArray[np.int64]:
        """Fill the slots of those who were asleep; return each one's stamp, -1 for who is really new.

        `slots` were inserted for the `subscribers` by a lookup for `position` and are empty.
        """
        stamps = np.full(subscribers.shape[0], -1, np.int64)
        if self._rows_stored > 0:
            self._wake(subscribers, slots, stamps, position)
        if self._stamps is not None:
            self._stamps[slots] = stamps
        return stamps

    def _wake(
        self, subscribers: NDArray[np.int64], slots: NDArray[np.int32], stamps: NDArray[np.int64], position: int
    ) -> None:
        """Fill the slots of those who were asleep and write their stamps to `stamps`."""
        rows = self._find_rows(subscribers.tolist())
        by_layout: dict[int, list[int]] = {}
        for i, row in enumerate(rows):
            if row is not None:
                by_layout.setdefault(packed_layout(row), []).append(i)
        for layout_id, chosen in by_layout.items():
            layout = self._layout(layout_id)
            if self._stamps is not None:
                self._pages.adopt(layout)  # redo may not have come to the birth of a column that the row has
            self._pages.layout()
            packed = [row for row in (rows[i] for i in chosen) if row is not None]
            stamps[chosen] = self._pages.unpack_rows(slots[chosen], packed, layout)
        asleep = np.flatnonzero(stamps >= 0)
        if self._stamps is None and asleep.shape[0] and stamps.max() >= position:
            late = int(stamps.argmax())
            raise PageError(f"subscriber={subscribers[late]} woken at {position} was put to sleep at {stamps[late]}")
        for subscriber, page in zip(subscribers[asleep].tolist(), (slots[asleep] // PAGE_SLOTS).tolist(), strict=True):
            self._woken.setdefault(page, set()).add(subscriber)

    def redo_done(self) -> None:
        """Redo has reached the end of the log: no slot is ahead any more."""
        self._stamps = None

    # ---- durability and the writer

    def durable(self, position: int) -> None:
        """Say that log and journal are durable up to `position`."""
        with self._changed:
            self._durable = max(self._durable, position)
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
        if self._failure is not None:
            raise self._failure

    # ---- the start

    def recover(self) -> Recovered:
        """Load the partition's pages into the empty table.

        Raises PageError when pages do not read back, or hold more subscribers than the table has room for.
        """
        table = self._table
        stamps = np.zeros(table.capacity, np.int64)
        record = self._store.get(self._key(_SWEEP))
        self.redo_from, snapshot = orjson.loads(record) if record is not None else (0, None)
        self._redo_record = record
        self._last_start = self._recovered_to = self.redo_from - 1
        count = self._store.get(self._key(_COUNT))
        self._rows_stored = int.from_bytes(count or b"", "big")
        adopted: set[int] = set()
        self._pages.layout()
        for key, page in self._store.scan(self._key(_PAGE)):
            number = int.from_bytes(key[3:], "big")
            self._check_room(number)
            layout = self._layout(packed_layout(page))
            if layout.id not in adopted:
                adopted.add(layout.id)
                self._pages.adopt(layout)
                self._pages.layout()
            self._pages.unpack(number, page, layout, stamps)
        table.dirty[:] = 0
        self._apply_tombstones()
        stamps[table.subs == 0] = -1
        table.rebuild()
        self._stamps = stamps
        return Recovered(self.redo_from, snapshot, stamps)

    def _apply_tombstones(self) -> None:
        """Take those who went to sleep out of the pages that have not been flushed since."""
        keys = [key[3:] for key, _ in self._store.scan(self._key(_TOMB))]
        if not keys:
            return
        places = np.array([_PLACE.unpack(key) for key in keys], np.int64)
        self._check_room(int(places[:, 0].max()))
        for page, subscriber in places.tolist():
            self._left.setdefault(page, set()).add(subscriber)
        rows = self._table.subs.reshape(-1, PAGE_SLOTS)[places[:, 0]] == places[:, 1:]
        slots = (places[:, 0] * PAGE_SLOTS + rows.argmax(axis=1))[rows.any(axis=1)].astype(np.int32)
        self._table.dirty[places[:, 0]] = 1
        self._contacts.release(slots)
        for array in (self._table.subs, self._table.seen, *(info.array for info in self._table.layout())):
            array[slots] = 0

    # ---- inside

    def _check_room(self, page: int) -> None:
        """Refuse a page that lies behind the end of the table."""
        stored = (page + 1) * PAGE_SLOTS
        if stored > self._table.capacity:
            raise PageError(f"room for subscribers={self._table.capacity} must be >= {stored}, which the store holds")

    def _begin(self, position: int) -> None:
        record = orjson.dumps((position + 1, self._snapshot()))
        pages = np.flatnonzero(self._table.dirty).astype(np.int64)
        self._sweep = _Sweep(position, self._events, record, pages)
        self._last_start, self._last_events = position, self._events

    def _pack(self, pages: NDArray[np.int64], position: int) -> None:
        """Queue pages as they are now, each with the end of its tombstones and of the rows woken up in it."""
        if pages.shape[0] == 0:
            return
        packed = self._pages.pack(pages, position, self._stamps)
        self._table.dirty[pages] = 0
        job = _Job(position, self._layout_writes())
        for page, data in zip(pages.tolist(), packed, strict=True):
            job.writes.append((self._key(_PAGE) + page.to_bytes(4, "big"), data))
            job.size += len(data) if data is not None else 0
            job.writes.extend((self._tomb_key(page, s), None) for s in sorted(self._left.pop(page, ())))
            woken = self._woken.pop(page, None)
            if woken:
                job.writes.extend((self._row_key(s), None) for s in sorted(woken))
                self._rows_stored -= len(woken)
                job.writes.append(self._count_write())
            if job.size >= BATCH_BYTES:
                self._put(job)
                job = _Job(position, [])
        if job.writes:
            self._put(job)

    def _put(self, job: _Job) -> None:
        with self._changed:
            job.size += sum(map(len, job.rows.values()))
            self._rows_waiting |= job.rows
            self._jobs.append(job)
            self._queued_bytes += job.size
            self._changed.notify_all()

    def _find_rows(self, subscribers: list[int]) -> list[bytes | None]:
        """Return the sleeping row of each; first those not yet written, because the writer moves them to the store."""
        rows = [self._rows_waiting.get(subscriber) for subscriber in subscribers]
        missing = [i for i, row in enumerate(rows) if row is None]
        found = self._store.multi_get([self._row_key(subscribers[i]) for i in missing])
        for i, row in zip(missing, found, strict=True):
            rows[i] = row
        return rows

    def _layout(self, layout_id: int) -> Layout:
        """Return a layout that packed bytes name."""
        if layout_id not in self._layouts:
            data = self._store.get(self._layout_key(layout_id))
            if data is None:
                raise PageError(f"layout={layout_id:x} is not in the store")
            self._layouts[layout_id] = decode_layout(data)
        return self._layouts[layout_id]

    def _layout_writes(self) -> list[Write]:
        """Return what makes the present layout known, before its first use."""
        layout = self._pages.layout()
        if layout.id in self._layouts:
            return []
        self._layouts[layout.id] = layout
        return [(self._layout_key(layout.id), layout.encode())]

    def _ready(self) -> bool:
        return bool(self._jobs) and self._jobs[0].position <= self._durable

    def _write(self, job: _Job) -> bool:
        """Write the oldest job; False when the store asks to come back later."""
        if job.sweep is not None and self._before_redo_moves is not None:
            self._before_redo_moves()
        if not self._store.write(job.writes):
            return False
        if job.sweep is not None:
            self._store.flush()
            self.redo_from = job.sweep.start + 1
            self._redo_record = job.sweep.record
            self.sweeps += 1
        with self._changed:
            self._jobs.popleft()
            self._queued_bytes -= job.size
            for subscriber, row in job.rows.items():
                if self._rows_waiting.get(subscriber) is row:
                    del self._rows_waiting[subscriber]
        return True

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

    def _key(self, kind: bytes) -> bytes:
        return kind + self._of_partition

    def _row_key(self, subscriber: int) -> bytes:
        return self._key(_ROW) + subscriber.to_bytes(8, "big")

    def _tomb_key(self, page: int, subscriber: int) -> bytes:
        return self._key(_TOMB) + _PLACE.pack(page, subscriber)

    def _layout_key(self, layout_id: int) -> bytes:
        return self._key(_LAYOUT) + layout_id.to_bytes(8, "big")

    def _count_write(self) -> Write:
        return (self._key(_COUNT), self._rows_stored.to_bytes(8, "big"))
