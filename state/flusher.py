"""Carries what changed in memory to the store, without a stop, and back into memory at a start.

A *sweep* begins at a log position X: it remembers which pages are dirty and what belongs to the partition itself (the
snapshot). Between batches the fold thread packs a few of those pages as they are then (`step`); a writer thread puts
them into the store. When the last page of the sweep is in, the record "redo from X + 1, with this snapshot" follows and
the store is flushed. Changes after X are the next sweep's; a page packed at Y > X carries Y as its stamp, and redo
skips for its subscribers what is at or below it.

What a crash may leave, and why it is right. The store holds the outcome of a prefix of our batches (`state.store`).
1. No batch is written before log and journal are durable at its position (`durable`), so no page knows an event whose
   decisions could be lost.
2. The record of a sweep is written after all pages of the sweep, so redo begins at or before the oldest change that is
   missing.
3. A slot that redo fills anew has no stamp, whatever its page's is: `recover` returns stamps by slot, and a page packed
   while redo runs says slot by slot how far it is ahead.
4. A subscriber goes to sleep in one batch: its row, and a tombstone in the name of the page it left. The page itself is
   not written for that; its next flush, in one batch, removes its tombstones and the rows of those that woke up in it.
   So a subscriber that a page still holds beside a sleeping row has a tombstone, and `recover` takes it out there.
5. A column is known by its feature's fingerprint and the position it was born at. `recover` makes every column that any
   page has, and while redo runs so does `wake` for the rows; at the end the decider drops what its book does not use.

The parts: sweeps stand here, sleeping and waking in `state.sleepers`, loading in `state.recovery`, the queue to the
store and its thread in `state.page_writer`. Keys are made by `state.keys`; what a page looks like is in `state.pages`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from state.columns import Table
from state.contacts import Contacts
from state.keys import Keys
from state.layouts import StoredLayouts
from state.page_writer import LENGTHS, Job, PageWriter, Patient, RedoPoint, once
from state.pages import Pages
from state.recovery import load_pages
from state.sleepers import Sleepers
from state.sleeping_timers import SleepingTimers
from state.store import Store

Snapshot = dict[str, Any]
"""What belongs to the partition and not to a subscriber; values that JSON can carry."""

BATCH_BYTES = 128 << 10
QUEUE_BYTES_MAX = 64 << 20
STEP_PAGES_MAX = 256
EVENTS_A_SUBSCRIBER = 2
"""A sweep is spread over at least this many events a subscriber, so that sweeping stays a fraction of folding."""


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
        patient: how the writer meets a full disk; see `PageWriter`.
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
        patient: Patient = once,
    ) -> None:
        self._table = table
        self._contacts = contacts
        self._store = store
        self._snapshot = snapshot
        self._pages = Pages(table, contacts)
        self._keys = Keys(partition)
        self._layouts = StoredLayouts(store, self._keys, self._pages)
        self._writer = PageWriter(store, self._keys.lengths, patient)
        self.timers = SleepingTimers(store, self._keys, self._writer)
        self._sleepers = Sleepers(
            table, contacts, self._pages, self._layouts, store, self._keys, self._writer, self.timers
        )
        self._target_s = recovery_target_s
        self._fold_events_s = fold_events_s
        self._load_subscribers_s = load_subscribers_s
        self._stamps: NDArray[np.int64] | None = None  # of each slot, while redo may have left it ahead
        self._sweep: _Sweep | None = None
        self._last_start = -1
        self._last_events = 0
        self._events = 0
        self._folded = 0, 0.0

    @property
    def dirty_pages(self) -> int:
        """Pages that changed since they were packed."""
        return int(np.count_nonzero(self._table.dirty))

    @property
    def sleeping(self) -> int:
        """Subscribers asleep."""
        return self._sleepers.count

    @property
    def queued_bytes(self) -> int:
        """Bytes packed and not yet written."""
        return self._writer.queued_bytes

    @property
    def redo_from(self) -> int:
        """First log position that a start would fold again."""
        return self._writer.redo.position

    @property
    def redo_snapshot(self) -> Snapshot | None:
        """The partition just before `redo_from`; None before the first sweep."""
        return _read_record(self._writer.redo.record)[1]

    @property
    def sweeps(self) -> int:
        """Sweeps that are in the store since this flusher was made."""
        return self._writer.sweeps

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

    # ---- the start

    def recover(self) -> Recovered:
        """Load the partition's pages into the empty table.

        Raises PageError when pages do not read back, or hold more subscribers than the table has room for.
        """
        record = self._store.get(self._keys.sweep)
        redo_from, snapshot = _read_record(record)
        self._writer.redo = RedoPoint(redo_from, record)
        self._last_start = redo_from - 1
        self._sleepers.restore(int.from_bytes(self._store.get(self._keys.count) or b"", "big"))
        self._stamps = load_pages(
            self._store, self._keys, self._table, self._contacts, self._pages, self._layouts, self._sleepers
        )
        return Recovered(redo_from, snapshot, self._stamps)

    def redo_done(self) -> None:
        """Redo has reached the end of the log: no slot is ahead any more."""
        self._stamps = None

    # ---- sweeps

    def pages_due(self, position: int, events: int, folding_s: float = 0.0) -> int:
        """Return how many pages `step` should pack now so that a crash costs no more than the recovery target.

        `events` is the count of events folded since `recover`, `folding_s` the CPU seconds that took: where it is more
        than `fold_events_s` says, as with frames of a few events each, redo will take as long. Sweeps take half of
        what redo has time for, one after the other, so at the end of one the record is at most as old as the whole. A
        target that many subscribers make impossible is not chased: see EVENTS_A_SUBSCRIBER.
        """
        counted = self._counted(events, folding_s)
        span = self.sweep_events
        sweep = self._sweep
        if self._writer.queued_bytes > QUEUE_BYTES_MAX:
            return 0
        if sweep is None:
            return 1 if counted - self._last_events >= span and position > self._last_start else 0
        pages = sweep.pages.shape[0]
        wanted = -(-pages * (counted - sweep.events) // max(1, int(span * 0.9)))
        return max(0, min(STEP_PAGES_MAX, int(min(wanted, pages)) - sweep.taken))

    def _counted(self, events: int, folding_s: float) -> int:
        """Return the events folded since `recover`, each as many times as it costs what `fold_events_s` says."""
        came, took_s = events - self._folded[0], folding_s - self._folded[1]
        self._folded = events, folding_s
        self._events += max(came, int(took_s * self._fold_events_s))
        return self._events

    def step(self, position: int, pages_max: int) -> int:
        """Pack up to `pages_max` pages of the state as of `position`, the last folded; return how many.

        Begins a sweep when none is under way and `pages_max` > 0. Raises DiskError when the writer has failed.
        """
        self._writer.check()
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
            redo = RedoPoint(sweep.start + 1, sweep.record)
            self._writer.enqueue(Job(position, [(self._keys.sweep, sweep.record)], redo=redo))
            self._sweep = None
        return count

    def finish(self, position: int) -> None:
        """Pack all that is dirty, in sweeps that end at `position`: a start after this has nothing to redo."""
        while self._sweep is not None:
            self.step(position, STEP_PAGES_MAX)
        self.step(position, STEP_PAGES_MAX)
        while self._sweep is not None:
            self.step(position, STEP_PAGES_MAX)

    def _begin(self, position: int) -> None:
        """Begin a sweep over the pages that are dirty now."""
        record = orjson.dumps((position + 1, self._snapshot()))
        pages = np.flatnonzero(self._table.dirty).astype(np.int64)
        self._sweep = _Sweep(position, self._events, record, pages)
        self._last_start, self._last_events = position, self._events

    def _pack(self, pages: NDArray[np.int64], position: int) -> None:
        """Enqueue pages as they are now, each with the end of its tombstones and of the rows woken up in it."""
        if pages.shape[0] == 0:
            return
        packed = self._pages.pack(pages, position, self._stamps)
        self._table.dirty[pages] = 0
        job = Job(position, self._layouts.writes())
        for page, data in zip(pages.tolist(), packed, strict=True):
            job.writes.append((self._keys.page(page), data))
            job.size += len(data) if data is not None else 0
            job.writes.extend(self._sleepers.flushed(page))
            if job.size >= BATCH_BYTES:
                self._writer.enqueue(job)
                job = Job(position, [])
        if job.writes:
            self._writer.enqueue(job)

    # ---- sleep

    def put_to_sleep(self, slots: NDArray[np.int32], position: int) -> None:
        """Free `slots`, keeping their subscribers as rows in the store; see `state.sleepers`."""
        self._sleepers.put_to_sleep(slots, position, self._stamps)

    def wake(self, subscribers: NDArray[np.int64], slots: NDArray[np.int32], position: int) -> NDArray[np.int64]:
        """Fill the slots of those that were asleep; return each one's stamp, -1 for a subscriber that is really new.

        `slots` were inserted for the `subscribers` by a lookup for `position` and are empty.
        """
        return self._sleepers.wake(subscribers, slots, position, self._stamps)

    def has_mark(self, subscriber: int, mark: bytes) -> bool:
        """Tell whether a mark is of a subscriber that woke up, and goes with the row."""
        return self._sleepers.has_mark(subscriber, mark)

    # ---- the writer

    def durable(self, position: int, journaled: int = 0) -> None:
        """Say that log and journal are durable up to `position`, the journal with so many entries."""
        self._writer.durable(position, journaled)

    @property
    def lengths(self) -> tuple[int, int]:
        """Frames and journal entries that were durable at least when pages were written last; 0 where nobody said."""
        frames, entries = LENGTHS.unpack(self._store.get(self._keys.lengths) or bytes(LENGTHS.size))
        return frames, entries

    def pump(self, batches_max: int = 1 << 30) -> int:
        """Write the batches that may be written; return how many. Stops where the store asks to come back later."""
        return self._writer.pump(batches_max)

    def start(self) -> None:
        """Run the writer in a thread of its own."""
        self._writer.start()

    def close(self, *, drain: bool = False) -> None:
        """Stop the writer; with `drain` after it has written what is durable. Raises DiskError when it failed."""
        self._writer.close(drain=drain)


def _read_record(record: bytes | None) -> tuple[int, Snapshot | None]:
    """Return where redo begins, and the partition just before that, of a sweep's record; None: of no sweep."""
    if record is None:
        return 0, None
    redo_from, snapshot = orjson.loads(record)
    return redo_from, snapshot
