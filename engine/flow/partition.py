"""One partition: its log, its state, its journal; live and in redo the same fold.

    items ─► frame ─► log.append ─► apply ─► decisions ─► (commit thread) log.sync, journal, journal.sync

`process` is called by one worker at a time and does no sync. `apply` is the fold: what it does to the state and what it
returns depend on the frame and the state alone, so `recover` may run it again over the log. Rows that a page already
holds (its stamp is at or above the frame's position) are left out in redo; their decisions are in the journal.

What belongs to the partition and not to a subscriber (positions of sources, paused names, the active book, dedupe)
travels in the snapshot that the flusher writes with `redo_from`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from connectors.sources.contract import later, reached
from engine.book.compiled import CompiledBook
from engine.flow.decider import Decider
from engine.flow.repeats import Repeats
from engine.flow.tickets import Ticket
from state.batch import Batch, concat, remap, select
from state.columns import Table
from state.contacts import Contacts
from state.decisions import DecisionBatch
from state.dedupe import Dedupe
from state.flusher import Flusher, Snapshot
from state.frame import Frame, FrameKind
from state.journal import Journal
from state.log import Log
from state.schema import VISIT, VISIT_NAME, VISIT_OPEN, VISIT_TERMINAL

EVENTS_SPAN_MS = 30_000
"""Event time that one frame covers on the events' own clock."""

Texts = Sequence[tuple[int, bytes]]
"""Hashes and the texts behind them."""
Books = Callable[[str], CompiledBook]
"""Finds a compiled book by its version; raises KeyError when the data directory does not hold it."""


@dataclass(slots=True)
class Item:
    """Something for one partition to append: rows of a chunk, or a whole frame (activation, control, tick).

    `start` and `offsets` are positions in `key`; rows before the partition's own position of that key were appended
    before a crash and are left out.
    """

    ticket: Ticket
    batch: Batch | None = None
    offsets: NDArray[np.int64] | None = None
    key: str = ""
    start: int = 0
    end: int = 0
    dedupe: bool = False
    kind: FrameKind = FrameKind.EVENTS
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class VisitRow:
    """A visit event of a frame; `terminal` and `visit` are text hashes."""

    subscriber: int
    terminal: int
    visit: int
    opened: bool
    at_ms: int


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
    unfolded: int = 0


class FrameLog(Protocol):
    """The log, as the fold reads it; positions rise, and may have gaps."""

    @property
    def first_position(self) -> int:
        """Oldest frame kept."""

    def read(self, start: int) -> Iterator[tuple[int, Frame]]:
        """Yield (position, frame) from `start` to the present end."""

    def position_at(self, at_ms: int) -> int:
        """Return the first position appended at or after `at_ms`."""


class JournalPosition(Protocol):
    """The journal, as the fold knows it."""

    @property
    def reached(self) -> int:
        """The log position up to which decisions are written."""


class Fold:
    """The state machine of one partition, whoever writes its log; used by one thread at a time."""

    def __init__(
        self,
        number: int,
        log: FrameLog,
        journal: JournalPosition,
        table: Table,
        contacts: Contacts,
        flusher_of: Callable[[Callable[[], Snapshot]], Flusher],
        dedupe: Dedupe,
        books: Books,
        *,
        memory_subscribers: int,
        batch_rows_max: int,
        events_clock: bool = False,
    ) -> None:
        self.number = number
        self.log: FrameLog = log
        self.journal: JournalPosition = journal
        self.table = table
        self.contacts = contacts
        self.dedupe = dedupe
        self.books = books
        self.memory_subscribers = memory_subscribers
        self.batch_rows_max = batch_rows_max
        self.events_clock = events_clock
        self.decider = Decider(table, contacts, batch_rows_max)
        self.sources: dict[str, int] = {}
        self.clock_ms = 0
        self.counts = Counts()
        self._repeats = Repeats()
        self._deduped_ms = -1  # when a frame last brought ids
        self._stamps: NDArray[np.int64] | None = None
        self.flusher = flusher_of(self.snapshot)

    @property
    def book_version(self) -> str | None:
        """The version of the active book; None before the first activation."""
        return self.decider.compiled.book.version if self.decider.compiled is not None else None

    def snapshot(self) -> Snapshot:
        """Return what belongs to the partition as of the last folded frame, as plain data."""
        return {
            "sources": dict(self.sources),
            "clock_ms": self.clock_ms,
            "deduped_ms": self._deduped_ms,
            "ids_from": self.dedupe.replay_from,
            "repeats": self._repeats.plain(),
            "decider": self.decider.snapshot(),
        }

    def take_up(self, snapshot: Snapshot) -> None:
        """Begin from what `snapshot` returned."""
        self.sources = dict(snapshot["sources"])
        self.clock_ms = snapshot["clock_ms"]
        self._deduped_ms = snapshot.get("deduped_ms", self.clock_ms)
        if "repeats" in snapshot:  # earlier releases wrote none
            self._repeats.restore(snapshot["repeats"])
        self.decider.restore(snapshot["decider"], self.books)

    def recover(self, redo: Callable[[Appended], None], texts: Callable[[Texts], object] | None = None) -> int:
        """Load pages, fold the log again from where they end; return how many events were folded.

        `redo` gets every frame whose decisions the journal does not hold yet, to be made durable like a live one.
        `texts` gets the texts that frames brought: a crash may have taken them from where they are kept.
        """
        recovered = self.flusher.recover()
        if recovered.snapshot is not None:
            self.take_up(recovered.snapshot)
        ids_from = (recovered.snapshot or {}).get("ids_from", 0)  # earlier releases wrote none
        self._rebuild_dedupe(ids_from, recovered.redo_from)
        self._stamps = recovered.slot_stamps
        folded = 0
        for position, frame in self.log.read(self.first_to_redo(recovered.redo_from)):
            if texts is not None and frame.batch is not None and frame.batch.strings:
                texts(frame.batch.strings)
            decisions = self.apply(position, frame)
            folded += frame.batch.n if frame.batch is not None else 0
            if position > self.journal.reached and decisions is not None:
                redo(Appended(position, frame.append_ms, 0, decisions))
        self._stamps = None
        self.decider.redo_done()
        self.flusher.redo_done()
        return folded

    def first_to_redo(self, redo_from: int) -> int:
        """Return where redo begins: retention never removes a frame that it needs, so it may only begin later."""
        return max(redo_from, self.log.first_position)

    def ids_needed_ms(self) -> int | None:
        """Return since when the ids of frames before redo may still double for a recovery; None: there are none."""
        before = self.flusher.redo_snapshot
        return self._ids_since_ms(before["clock_ms"]) if before is not None else None

    def attributes(self, subscriber: int) -> dict[str, int]:
        """Return the cells of a subscriber's known attributes, by name; empty for who is not in memory."""
        slot = self.table.find(subscriber)
        return self.decider.attributes(slot, self.clock_ms) if slot >= 0 else {}

    def apply(self, position: int, frame: Frame) -> DecisionBatch | None:
        """Fold one frame into the state; return its decision records, None when it has no candidate."""
        self.clock_ms = max(self.clock_ms, frame.append_ms)
        self.sources.update(frame.sources)
        if frame.dedupe:
            self._deduped_ms = self.clock_ms
            self.dedupe.at(position)
        if frame.kind == FrameKind.ACTIVATION:
            book = self.books(orjson.loads(frame.payload)["version"])
            self.decider.activate(book, position, redo=self._stamps is not None)
        elif frame.kind == FrameKind.CONTROL:
            self._control(orjson.loads(frame.payload))
        if frame.batch is None or frame.batch.n == 0:
            return None
        self.decider.histories.begin(frame.append_ms)
        return self._fold(position, frame)

    def _control(self, record: dict[str, Any]) -> None:
        """Obey a control record: positions to forget, or something to pause, resume or kill."""
        if record["action"] == "forget":
            for key in record["keys"]:
                self.sources.pop(key, None)
            return
        self.decider.control(record)

    def _fold(self, position: int, frame: Frame) -> DecisionBatch | None:
        batch, number = self._rows_to_fold(frame)
        if batch.n == 0:
            return None
        self._make_room(position)
        slots = np.empty(batch.n, np.int32)
        fresh = self.table.lookup(batch.subscriber, slots, position)
        if fresh.shape[0]:
            self._wake(batch, slots, fresh, position)
        if self._stamps is not None:
            keep = np.flatnonzero(self._stamps[slots] < position).astype(np.int32)
            if keep.shape[0] < batch.n:
                batch, number, slots = select(batch, keep), number[keep], slots[keep]
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
        """Put the subscribers longest unseen to sleep when frames before have brought more than memory is for.

        The new ones of this frame find slots beyond that bound. To count all its rows as new would put subscribers to
        sleep with every frame long before memory is full, and wake them with the next.
        """
        excess = self.table.count - self.memory_subscribers
        if excess > 0 and self.table.count > self.batch_rows_max:
            self.flusher.put_to_sleep(self.table.coldest(excess + self.batch_rows_max // 4), position - 1)

    def _wake(self, batch: Batch, slots: NDArray[np.int32], fresh: NDArray[np.int32], position: int) -> None:
        stamps = self.flusher.wake(batch.subscriber[fresh], slots[fresh], position)
        if self._stamps is not None:
            self._stamps[slots[fresh]] = stamps

    def _ids_since_ms(self, clock_ms: int) -> int | None:
        """Return since when ids may still double at `clock_ms`; None where no frame has brought any since."""
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
        clock_ms = 0  # of every frame, for those that bring no ids move it too
        for position, frame in self.log.read(start):
            if position >= redo_from:
                break
            clock_ms = max(clock_ms, frame.append_ms)
            if frame.dedupe and frame.batch is not None and frame.batch.n:
                self.dedupe.at(position)
                self.dedupe.mark(frame.batch.id, clock_ms, np.zeros(frame.batch.n, np.uint8))


class Partition(Fold):
    """One partition that writes its own log and journal."""

    log: Log
    journal: Journal

    def process(self, items: Sequence[Item], now_ms: int) -> Iterator[Appended]:
        """Append the items as few frames and fold them; yields each frame as soon as it is folded."""
        for frame, tickets in self._frames(items, now_ms):
            position = self.log.append(frame)
            decisions = self.apply(position, frame)
            rows = frame.batch.n if frame.batch is not None else 0
            self.flusher.step(position, self.flusher.pages_due(position, self.counts.events))
            yield Appended(position, frame.append_ms, rows, decisions, tickets, visits_of(frame.batch))

    def _frames(self, items: Sequence[Item], now_ms: int) -> Iterator[tuple[Frame, list[Ticket]]]:
        """Join neighbouring items that may share a frame."""
        group: list[Item] = []
        rows = 0
        for item in (part for whole in items for part in self._parts(whole)):
            size = item.batch.n if item.batch is not None else 0
            if group and (self.events_clock or not _joinable(group[-1], item) or rows + size > self.batch_rows_max):
                yield self._frame(group, now_ms)
                group, rows = [], 0
            group.append(item)
            rows += size
        if group:
            yield self._frame(group, now_ms)

    def _frame(self, group: list[Item], now_ms: int) -> tuple[Frame, list[Ticket]]:
        batch = _join(item.batch for item in group if item.batch is not None)
        frame = Frame(
            kind=group[0].kind,
            append_ms=self._append_ms(batch, now_ms),
            batch=batch,
            sources={item.key: later(item.end, self.sources.get(item.key, 0)) for item in group if item.key},
            dedupe=group[0].dedupe,
            payload=group[0].payload,
        )
        return frame, [item.ticket for item in group]

    def _parts(self, item: Item) -> Iterator[Item]:
        """Cut an item into parts that fit a frame; each carries the position of the row that follows it."""
        item = self._unseen(item)
        batch, offsets = item.batch, item.offsets
        cuts = self._cuts(batch) if batch is not None else []
        if batch is None or not cuts:
            yield item
            return
        item.ticket.expect_more(len(cuts))
        for start, end in zip([0, *cuts], [*cuts, batch.n], strict=True):
            behind = item.end if end == batch.n or offsets is None else int(offsets[end])
            rows = np.arange(start, end, dtype=np.int32)
            yield replace(item, batch=select(batch, rows), end=behind)

    def _cuts(self, batch: Batch) -> list[int]:
        """Return the rows where a batch is cut: every `batch_rows_max` rows, and, on the events' own clock, when it
        has gone on by `EVENTS_SPAN_MS`, so that the one time of a frame is near the time of all its rows.
        """
        cuts = set(range(self.batch_rows_max, batch.n, self.batch_rows_max))
        if self.events_clock:
            span = np.maximum.accumulate(batch.at_ms) // EVENTS_SPAN_MS
            cuts.update((np.flatnonzero(np.diff(span)) + 1).tolist())
        return sorted(cuts)

    def _append_ms(self, batch: Batch | None, now_ms: int) -> int:
        """Return the time to stamp a frame with; it never goes back.

        On the events' own clock it is the median of the frame's event times, which one event from the future cannot
        move, and an empty frame leaves the clock where it is.
        """
        if not self.events_clock:
            return max(self.clock_ms, now_ms)
        return max(self.clock_ms, int(np.median(batch.at_ms))) if batch is not None else self.clock_ms

    def _unseen(self, item: Item) -> Item:
        """Leave out the rows that this partition appended before a crash."""
        seen = reached(self.sources.get(item.key, 0)) if item.key else 0
        if item.batch is None or item.offsets is None or item.start >= seen:
            return item
        keep = np.flatnonzero(item.offsets >= seen).astype(np.int32)
        self.counts.repeated += item.batch.n - keep.shape[0]
        return replace(item, batch=select(item.batch, keep), offsets=item.offsets[keep])


def visits_of(batch: Batch | None) -> list[VisitRow]:
    """Return the visit events of a batch; there are few."""
    if batch is None:
        return []
    rows = np.flatnonzero(batch.type == VISIT)
    return [
        VisitRow(
            int(batch.subscriber[row]),
            int(batch.cells[VISIT_TERMINAL, row]),
            int(batch.cells[VISIT_NAME, row]) if batch.present[row] >> VISIT_NAME & 1 else 0,
            not (batch.present[row] >> VISIT_OPEN & 1 and batch.cells[VISIT_OPEN, row] == 0),
            int(batch.at_ms[row]),
        )
        for row in rows.tolist()
    ]


def _joinable(left: Item, right: Item) -> bool:
    if left.kind != FrameKind.EVENTS or right.kind != FrameKind.EVENTS or left.dedupe != right.dedupe:
        return False
    return left.batch is None or right.batch is None or left.batch.schema is right.batch.schema


def _join(batches: Iterable[Batch]) -> Batch | None:
    some = [batch for batch in batches if batch.n]
    return concat(some) if some else None
