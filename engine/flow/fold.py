"""The fold: frames in, state and decision records out; live and in redo the same.

    frame ─► forget or activate or control ─► rows that count ─► room, slots, sleepers woken ─► `Decider.fold`

What `apply` does to the state and what it returns depend on the frame and the state alone, so `recover` may run it
again over the log. Rows that a page already holds (its stamp is at or above the frame's position) are left out in redo;
their decisions are in the journal. The fold writes neither log nor journal: an embedded partition does
(`engine.flow.partition`), in a cluster topics are written by others.

What belongs to the partition and not to a subscriber (positions of sources, paused names, the active book, dedupe)
travels in the snapshot that the flusher writes with `redo_from`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from engine.book.compiled import CompiledBook
from engine.flow.deadlines import Deadlines
from engine.flow.decider import NO_ATTRIBUTES, Attributes, Decider
from engine.flow.due_sleepers import DueSleepers
from engine.flow.frame_log import FrameLog, JournalPosition
from engine.flow.owners import owners_in
from engine.flow.repeats import Repeats
from engine.flow.steps import STEP_MS
from engine.flow.tickets import Ticket
from engine.flow.visits import VisitRow
from engine.settings.config import Config
from state.batch import Batch, remap, select
from state.columns import Table
from state.contacts import Contacts
from state.decisions import DecisionBatch, activation
from state.dedupe import Dedupe
from state.flusher import Flusher, Snapshot
from state.frame import Frame, FrameKind
from state.page_writer import Patient, once
from state.store import Store
from state.texts import Texts

SLACK_SLOTS = 1 << 17
"""Slots beyond the memory bound, for the new subscribers of one frame."""

Books = Callable[[str], CompiledBook]
"""Finds a compiled book by its version; raises KeyError when the data directory does not hold it."""


@dataclass(slots=True)
class Appended:
    """A frame in the log, folded, not yet durable."""

    position: int
    append_ms: int
    rows: int
    decisions: DecisionBatch | None
    tickets: list[Ticket] = field(default_factory=list)
    visits: list[VisitRow] = field(default_factory=list)


@dataclass(slots=True)
class Counts:
    """What happened in this partition since start."""

    events: int = 0
    doubled: int = 0
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of one subscriber: values by name, with the texts of some; contacts; since when at a desk.

    `list_ends`: when those memberships of lists end that do.
    """

    cells: dict[str, int]
    texts: Texts
    contacts: list[dict[str, int]]
    visit_ms: int
    list_ends: dict[str, int]


@dataclass(frozen=True, slots=True)
class FoldLimits:
    """How large the state of one partition may be; `limits_of` reads it from the settings.

    `slots` is the capacity of the table, `memory_subscribers` how many of them may be in use after a frame.
    A start redoes the log within `recovery_target_s`, reckoned at `fold_events_s` events a second. `events_clock`:
    frames are stamped with the time of their events, not the wall's. A deadline waits `lateness_ms` for late events.
    `paced_by_cpu`: or by what folding really took, where that is more; not in a simulation, whose runs repeat.
    """

    slots: int
    memory_subscribers: int
    contacts_max: int
    batch_rows_max: int
    dedupe_window_ms: int
    dedupe_ids_max: int
    recovery_target_s: float = 10.0
    fold_events_s: float = 1_500_000
    events_clock: bool = False
    lateness_ms: int = 0
    paced_by_cpu: bool = False


def limits_of(config: Config) -> FoldLimits:
    """Return the limits of each partition: an even share of what the settings allow the engine."""
    state, rows_max = config.state, config.limits.batch_events_max
    memory = -(-state.memory_subscribers // config.data.partitions)
    return FoldLimits(
        slots=memory + max(SLACK_SLOTS, 2 * rows_max),
        memory_subscribers=memory,
        contacts_max=state.contacts_max,
        batch_rows_max=rows_max,
        dedupe_window_ms=state.dedupe_window_s * 1000,
        dedupe_ids_max=state.dedupe_ids_max,
        recovery_target_s=state.recovery_target_s,
        events_clock=config.data.clock == "events",
        lateness_ms=config.data.lateness_s * 1000,
        paced_by_cpu=True,
    )


@dataclass(frozen=True, slots=True)
class FoldParts:
    """What the fold of one partition is made of: embedded, in a cluster and in the simulation."""

    number: int
    limits: FoldLimits
    store: Store
    books: Books
    patient: Patient = once
    """How pages meet a full disk."""


class Fold:
    """The state machine of one partition, be its log a file or a topic; used by one thread at a time.

    Args:
        parts: of the partition.
        log: where redo reads frames.
        journal: up to which frame decisions are written.
    """

    def __init__(self, parts: FoldParts, log: FrameLog, journal: JournalPosition) -> None:
        limits = parts.limits
        self.number = parts.number
        self.log: FrameLog = log
        self.journal: JournalPosition = journal
        self.table = Table(limits.slots)
        self.contacts = Contacts(self.table.capacity, limits.contacts_max)
        self.dedupe = Dedupe(limits.dedupe_window_ms, limits.dedupe_ids_max)
        self.books = parts.books
        self.memory_subscribers = limits.memory_subscribers
        self.batch_rows_max = limits.batch_rows_max
        self.events_clock = limits.events_clock
        self.deadlines = Deadlines(self.table, limits.lateness_ms, STEP_MS if limits.events_clock else 1)
        self.decider = Decider(self.table, self.contacts, limits.batch_rows_max, self.deadlines)
        self.sources: dict[str, int] = {}
        self.clocks: dict[str, list[int]] = {}
        self.clock_ms = 0
        self.counts = Counts()
        self._repeats = Repeats()
        self._deduped_ms = -1  # when a frame last brought ids
        self._stamps: NDArray[np.int64] | None = None
        self.flusher = Flusher(
            parts.number,
            self.table,
            self.contacts,
            parts.store,
            self.snapshot,
            recovery_target_s=limits.recovery_target_s,
            fold_events_s=limits.fold_events_s,
            patient=parts.patient,
        )
        self._cpu_s: Callable[[], float] = time.thread_time if limits.paced_by_cpu else _no_clock
        self._folding_s = 0.0
        room = self.table.capacity - limits.batch_rows_max
        self.sleepers = DueSleepers(self.table, self.flusher, self.deadlines, room)

    @property
    def book_version(self) -> str | None:
        """The version of the active book; None before the first activation."""
        return self.decider.compiled.book.version if self.decider.compiled is not None else None

    def snapshot(self) -> Snapshot:
        """Return what belongs to the partition as of the last folded frame, as plain data."""
        return {
            "sources": dict(self.sources),
            "clocks": dict(self.clocks),
            "clock_ms": self.clock_ms,
            "deduped_ms": self._deduped_ms,
            "ids_from": self.dedupe.replay_from,
            "repeats": self._repeats.plain(),
            "decider": self.decider.snapshot(),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Begin from what `snapshot` returned."""
        self.sources = dict(snapshot["sources"])
        self.clocks = dict(snapshot.get("clocks", {}))  # earlier releases wrote none
        self.clock_ms = snapshot["clock_ms"]
        self._deduped_ms = snapshot.get("deduped_ms", self.clock_ms)
        if "repeats" in snapshot:  # earlier releases wrote none
            self._repeats.restore(snapshot["repeats"])
        self.decider.restore(snapshot["decider"], self.books)

    def recover(self, redo: Callable[[Appended], None]) -> int:
        """Load pages, fold the log again from where they end; return how many events were folded.

        `redo` gets every frame whose decisions the journal does not hold yet, to be made durable like a live one.
        """
        recovered = self.flusher.recover()
        if recovered.snapshot is not None:
            self.restore(recovered.snapshot)
        ids_from = (recovered.snapshot or {}).get("ids_from", 0)  # earlier releases wrote none
        self._rebuild_dedupe(ids_from, recovered.redo_from)
        self._stamps = recovered.slot_stamps
        folded = 0
        for position, frame in self.log.read(self.first_to_redo(recovered.redo_from)):
            decisions = self.apply(position, frame)
            folded += frame.batch.n if frame.batch is not None else 0
            if position > self.journal.reached and decisions is not None:
                redo(Appended(position, frame.append_ms, 0, decisions))
        self._stamps = None
        self.decider.drop_unused()
        self.flusher.redo_done()
        self.deadlines.note_all()
        return folded

    def first_to_redo(self, redo_from: int) -> int:
        """Return where redo begins: retention never removes a frame that it needs, so it may only begin later."""
        return max(redo_from, self.log.first_position)

    def ids_needed_ms(self) -> int | None:
        """Return the oldest time whose event ids a recovery still needs for deduplication; None if none."""
        before = self.flusher.redo_snapshot
        return self._ids_since_ms(before["clock_ms"]) if before is not None else None

    def attributes(self, subscriber: int) -> Attributes:
        """Return a subscriber's known attributes; empty for one that is not in memory."""
        slot = self.table.find(subscriber)
        return self.decider.attributes(slot, self.clock_ms) if slot >= 0 else NO_ATTRIBUTES

    def known(self, subscriber: int, position: int) -> Known | None:
        """Return all that is kept of a subscriber, None where nothing is; asked between two frames.

        `position` is that of the next frame. One that sleeps is woken for it, which changes no value.
        """
        slot = self.table.find(subscriber)
        if slot < 0:
            slots, who = np.empty(1, np.int32), np.array([subscriber])
            self.table.lookup(who, slots, position)
            if self.flusher.wake(who, slots, position)[0] < 0:
                self.table.remove(slots)
                return None
            slot = int(slots[0])
        decider = self.decider
        cells = decider.values(slot, self.clock_ms)
        ends = decider.list_ends(slot, self.clock_ms)
        return Known(cells, decider.texts_of(cells), self.contacts.of(slot), decider.visit_ms(slot), ends)

    def apply(self, position: int, frame: Frame) -> DecisionBatch | None:
        """Fold one frame into the state; return its records, None when it has no candidate and activates no book."""
        began_s = self._cpu_s()
        try:
            return self._apply(position, frame)
        finally:
            self._folding_s += self._cpu_s() - began_s

    def flush(self, position: int) -> None:
        """Pack so many pages, behind the frame at `position`, as the recovery target asks for."""
        flusher = self.flusher
        flusher.step(position, flusher.pages_due(position, self.counts.events, self._folding_s))

    def _apply(self, position: int, frame: Frame) -> DecisionBatch | None:
        # A frame with clocks has a time that may go back once: the first was tentative (`state.log_clock`).
        self.clock_ms = frame.append_ms if frame.clocks else max(self.clock_ms, frame.append_ms)
        self.sources.update(frame.sources)
        self.clocks.update(frame.clocks)
        if frame.dedupe:
            self._deduped_ms = self.clock_ms
            self.dedupe.at(position)
        if frame.kind == FrameKind.ACTIVATION:
            book = self.books(orjson.loads(frame.payload)["version"])
            self.decider.activate(book, position, redo=self._stamps is not None)
            return activation(position, frame.append_ms, book.book.version)
        if frame.kind == FrameKind.CONTROL:
            self._control(orjson.loads(frame.payload))
        if frame.batch is None or frame.batch.n == 0:
            return None
        self.decider.histories.begin(frame.append_ms)
        return self._fold(position, frame)

    def _control(self, record: dict[str, Any]) -> None:
        """Apply a control record: positions to forget, or something to pause, resume or kill."""
        if record["action"] == "forget":
            for key in record["keys"]:
                self.sources.pop(key, None)
            return
        self.decider.control(record)

    def _fold(self, position: int, frame: Frame) -> DecisionBatch | None:
        batch, number = self._rows_to_fold(frame)
        if batch.n == 0:
            return None
        for subscriber in batch.subscriber[owners_in(batch)].tolist():
            self._repeats.forget(subscriber)
        self._make_room(position)
        slots = np.empty(batch.n, np.int32)
        fresh = self.table.lookup(batch.subscriber, slots, position)
        if fresh.shape[0]:
            self._wake(batch, slots, fresh, position)
        if self._stamps is not None:
            keep = np.flatnonzero(self._stamps[slots] < position).astype(np.int32)
            if keep.shape[0] < batch.n:
                batch, number, slots = select(batch, keep), number[keep], slots[keep]
        else:
            self.table.sweep_texts()  # in redo, columns of a book that is not in force yet name texts too
        self.counts.events += batch.n
        return self.decider.fold(position, frame.append_ms, batch, number, slots)

    def _rows_to_fold(self, frame: Frame) -> tuple[Batch, NDArray[np.int32]]:
        """Return the rows of the frame that count, under the active schema, with their row numbers."""
        batch = frame.batch
        assert batch is not None
        schema = self.decider.schema
        same = batch.schema is schema or batch.schema.fingerprint == schema.fingerprint
        repeated = self._repeats.rows(batch)
        if same and not frame.dedupe and not repeated:
            return remap(batch, schema), np.arange(batch.n, dtype=np.int32)
        doubled = np.zeros(batch.n, np.uint8)
        if frame.dedupe:
            self.dedupe.mark(batch.id, frame.append_ms, doubled)
        doubled[repeated] = 1
        self.counts.doubled += int(np.count_nonzero(doubled))
        keep = doubled == 0
        if not same:
            known = np.array([kind.name in schema.codes for kind in batch.schema.types], np.bool_)
            keep &= known[batch.type]
        if keep.all():
            return remap(batch, schema), np.arange(batch.n, dtype=np.int32)
        number = np.flatnonzero(keep).astype(np.int32)
        return remap(select(batch, number), schema), number

    def _make_room(self, position: int) -> None:
        """Put the subscribers longest unseen to sleep when earlier frames have brought more than memory is for.

        The new ones of this frame find slots beyond that bound. To count all its rows as new would put subscribers to
        sleep with every frame long before memory is full, and wake them with the next.
        """
        excess = self.table.count - self.memory_subscribers
        if excess > 0 and self.table.count > self.batch_rows_max:
            self.flusher.put_to_sleep(self.table.coldest(excess + self.batch_rows_max // 4), position - 1)

    def _wake(self, batch: Batch, slots: NDArray[np.int32], fresh: NDArray[np.int32], position: int) -> None:
        stamps = self.flusher.wake(batch.subscriber[fresh], slots[fresh], position)
        self.deadlines.note(slots[fresh])
        if self._stamps is not None:
            self._stamps[slots[fresh]] = stamps

    def _ids_since_ms(self, clock_ms: int) -> int | None:
        """Return from when on ids may still double at `clock_ms`; None where no frame has brought any since."""
        begin_ms = clock_ms - self.dedupe.window_ms
        return begin_ms if self._deduped_ms >= begin_ms else None

    def _rebuild_dedupe(self, ids_from: int, redo_from: int) -> None:
        """Mark the ids of the frames before `redo_from` that may still double; none before `ids_from` is remembered."""
        begin_ms = self._ids_since_ms(self.clock_ms)
        if begin_ms is None:
            return
        start = max(self.log.position_at(begin_ms), self.log.first_position, ids_from)
        if start >= redo_from:
            return
        clock_ms = 0  # follows every frame: one without ids moves the clock, too
        for position, frame in self.log.read(start):
            if position >= redo_from:
                break
            clock_ms = max(clock_ms, frame.append_ms)
            if frame.dedupe and frame.batch is not None and frame.batch.n:
                self.dedupe.at(position)
                self.dedupe.mark(frame.batch.id, clock_ms, np.zeros(frame.batch.n, np.uint8))


def _no_clock() -> float:
    return 0.0
