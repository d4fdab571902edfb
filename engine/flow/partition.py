"""One partition of one machine: its log, its state, its journal.

    items ─► frame ─► log.append ─► apply ─► decisions ─► (commit thread) log.sync, journal, journal.sync

`process` is called by one worker at a time and does no sync. `apply` is the fold of `engine.flow.fold`, live and in
redo the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from connectors.sources.contract import later, reached
from engine.flow.fold import Appended, Fold, FoldParts
from engine.flow.patience import Patience
from engine.flow.source_clocks import ChunkClock, has_begun, newer
from engine.flow.steps import step_end
from engine.flow.tickets import Ticket
from engine.flow.visits import visits_of
from state.batch import Batch, concat, select
from state.frame import Frame, FrameKind
from state.journal import Journal
from state.log import Log


@dataclass(slots=True)
class Item:
    """What one partition is to append: rows of a chunk, or a whole frame (activation, control, tick).

    `start` and `offsets` are positions in `key`; rows before the partition's own position of that key were appended
    before a crash and are left out. `rows` are the places of the rows in their chunk; on the events' own clock, `clock`
    is that of their source, `clock_state` its state before the row that follows them, and `due_ms` the end of the one
    step that the rows lie in, 0 where they may lie in several. `whole`: with the last row of the chunk. `timed`: the
    rows have their log times, as deadlines do.
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
    rows: NDArray[np.int32] | None = None
    clock: ChunkClock | None = None
    clock_state: list[int] | None = None
    due_ms: int = 0
    whole: bool = True
    timed: bool = False


class Partition(Fold):
    """One partition that writes its own log and journal."""

    log: Log
    journal: Journal

    def __init__(self, parts: FoldParts, log: Log, journal: Journal, patience: Patience | None = None) -> None:
        super().__init__(parts, log, journal)
        self.patience = patience or Patience()

    def process(self, items: Sequence[Item], now_ms: int) -> Iterator[Appended]:
        """Append the items as few frames and fold them; yields each frame as soon as it is folded."""
        for frame, tickets in self._frames(items, now_ms):
            position = self.patience.retry(partial(self.log.append, frame))
            decisions = self.apply(position, frame)
            rows = frame.batch.n if frame.batch is not None else 0
            self.flush(position)
            yield Appended(position, frame.append_ms, rows, decisions, tickets, visits_of(frame.batch))

    def look(self, until_ms: int) -> int:
        """Find the deadlines that come up to a log time; return when the first does, `NONE_MS` where none does."""
        return self.sleepers.look(until_ms, self.log.next_position)

    def due(self, until_ms: int, rows_max: int) -> list[Item]:
        """Return rows for the deadlines that have come up to a log time, the first ones; none where none has come."""
        self.look(until_ms)
        batch = self.deadlines.take(until_ms, rows_max)
        if batch is None:
            return []
        ticket = Ticket()
        ticket.expect(1)
        end_ms = step_end(until_ms) if self.events_clock else 0
        return [Item(ticket, batch, due_ms=end_ms, timed=self.events_clock)]

    def _frames(self, items: Sequence[Item], now_ms: int) -> Iterator[tuple[Frame, list[Ticket]]]:
        """Join neighbouring items that may share a frame."""
        group: list[Item] = []
        rows = 0
        for item in (part for whole in items for part in self._parts(whole)):
            size = item.batch.n if item.batch is not None else 0
            joinable = not group or (_joinable(group[-1], item) and rows + size <= self.batch_rows_max)
            if not joinable or (self.events_clock and group and not _same_step(group[-1], item)):
                yield self._frame(group, now_ms)
                group, rows = [], 0
            group.append(item)
            rows += size
        if group:
            yield self._frame(group, now_ms)

    def _frame(self, group: list[Item], now_ms: int) -> tuple[Frame, list[Ticket]]:
        batch = _join([item.batch for item in group if item.batch is not None], in_time=self.events_clock)
        clocks = {
            item.clock.source: item.clock_state
            for item in group
            if item.clock is not None and item.clock_state is not None
        }
        clocks = newer(self.clocks, clocks)
        append_ms = self._events_ms(group[0], batch, clocks) if self.events_clock else max(self.clock_ms, now_ms)
        if batch is not None and group[0].clock is None and not group[0].timed:
            batch.log_ms[:] = append_ms
        frame = Frame(
            kind=group[0].kind,
            append_ms=append_ms,
            batch=batch,
            sources={item.key: later(item.end, self.sources.get(item.key, 0)) for item in group if item.key},
            dedupe=group[0].dedupe,
            payload=group[0].payload,
            clocks=clocks,
        )
        return frame, [item.ticket for item in group]

    def _parts(self, item: Item) -> Iterator[Item]:
        """Cut an item into parts that fit a frame; each carries the position of the row that follows it."""
        item = self._unseen(item)
        batch, offsets = item.batch, item.offsets
        cuts = self._cuts(batch, in_step=item.due_ms > 0) if batch is not None else []
        if batch is None or not cuts:
            yield _clocked(item, whole=item.whole)
            return
        item.ticket.expect_more(len(cuts))
        for start, end in zip([0, *cuts], [*cuts, batch.n], strict=True):
            following = item.end if end == batch.n or offsets is None else int(offsets[end])
            rows = np.arange(start, end, dtype=np.int32)
            part = replace(item, batch=select(batch, rows), end=following)
            yield _clocked(part, whole=item.whole and end == batch.n)

    def _cuts(self, batch: Batch, *, in_step: bool) -> list[int]:
        """Return the rows where a batch is cut: every `batch_rows_max` rows, and, on the events' own clock, between
        steps, as the one time of a frame is the end of the step of all its rows.
        """
        cuts = set(range(self.batch_rows_max, batch.n, self.batch_rows_max))
        if self.events_clock and not in_step:
            cuts.update((np.flatnonzero(np.diff(step_end(batch.log_ms))) + 1).tolist())
        return sorted(cuts)

    def _events_ms(self, item: Item, batch: Batch | None, clocks: dict[str, list[int]]) -> int:
        """Return the time to stamp a frame with on the events' own clock: the end of the step of its rows.

        What the engine makes itself does not move the clock. Until a source's clock has begun it is tentative: so is
        the frame's time, and the first that has begun sets it, be it earlier.
        """
        if item.timed:
            return max(self.clock_ms, item.due_ms)
        if batch is None or item.clock is None:
            return self.clock_ms
        begun = has_begun(self.clocks)
        if item.due_ms:  # what is tentative was put in its place
            return max(self.clock_ms, item.due_ms) if begun else item.due_ms
        latest_ms = step_end(int(batch.log_ms.max()))
        if not has_begun(clocks):
            return self.clock_ms if begun else max(self.clock_ms, latest_ms)
        return max(self.clock_ms, latest_ms) if begun else latest_ms

    def _unseen(self, item: Item) -> Item:
        """Leave out the rows that this partition appended before a crash."""
        seen = reached(self.sources.get(item.key, 0)) if item.key else 0
        if item.batch is None or item.offsets is None or item.start >= seen:
            return item
        keep = np.flatnonzero(item.offsets >= seen).astype(np.int32)
        self.counts.repeated += item.batch.n - keep.shape[0]
        return replace(item, batch=select(item.batch, keep), offsets=item.offsets[keep])


def _joinable(left: Item, right: Item) -> bool:
    if left.kind != FrameKind.EVENTS or right.kind != FrameKind.EVENTS or left.dedupe != right.dedupe:
        return False
    return left.batch is None or right.batch is None or left.batch.schema is right.batch.schema


def _same_step(left: Item, right: Item) -> bool:
    """Tell whether rows of sources may share a frame on the events' own clock."""
    return left.due_ms == right.due_ms > 0


def _join(batches: Sequence[Batch], *, in_time: bool) -> Batch | None:
    """Return the rows of all; `in_time`: in the order of their log times."""
    some = [batch for batch in batches if batch.n]
    if len(some) < 2 or not in_time:
        return concat(some) if some else None
    joined = concat(some)
    return select(joined, np.argsort(joined.log_ms, kind="stable").astype(np.int32))


def _clocked(item: Item, *, whole: bool = True) -> Item:
    """Return the item with the state of its source's clock before the row that follows it."""
    if item.clock is None:
        return item
    return replace(item, clock_state=item.clock.after() if whole else item.clock.before(item.end))
