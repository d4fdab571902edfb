"""One partition that this worker owns, from restore to revocation.

    open    fence the previous owner ─► pages: our copy, then the rest of the topic ─► where decisions stand ─► redo
    take    a frame of the agent, or of an assignment that gave the partition back: fold it, send its decisions
    fire    deadlines that have come are written into the log (`due_rows`), and folded when they come back as a frame
    settle  what was sent and acknowledged lets the flusher write pages up to there
    close   wait for the decisions on their way; what is not flushed is redone by the next owner

Frames that the redo has folded come a second time from the agent, whose stream begins at the group's committed offset;
they are known by their position. One frame is taken at a time, fold and sending together: else a later one, which
decides nothing, would let pages be written up to it before the decisions of an earlier one are on their way. Decisions
are sent by one idempotent producer, so a reader finds them in the order of positions; the first that fails ends the
worker, and the next owner goes on from what stands in the topic.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from connectors.kafka import BrokerError
from connectors.kafka.changes import Changes
from connectors.kafka.tail import Tail
from engine.book.shelf import BookShelf
from engine.flow.fold import Appended, FoldParts, limits_of
from engine.runtimes.cluster.decide.changelog import ChangelogStore, PagesCopy
from engine.runtimes.cluster.decide.due_rows import DueRows, Write
from engine.runtimes.cluster.decide.fold import ClusterFold
from engine.runtimes.cluster.decide.missing import Missing
from engine.runtimes.cluster.decide.topic_log import TopicLog
from engine.runtimes.cluster.shared.journal_position import last_reached, record_of
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from engine.runtimes.cluster.shared.topics import HOUR_MS, MESSAGE_BYTES_MAX, Names
from engine.settings.config import Config
from state.decisions import DecisionBatch
from state.disk import DiskError
from state.frame import Frame
from state.schema import Schema
from state.store import Store

SWEEPS_IN_RETENTION = 8
"""Everything folded is in pages after at most this part of the time for which Kafka keeps frames."""
SWEEP_PAGES = 64

log = logging.getLogger("opportune.cluster")


@dataclass(slots=True)
class PublishedPosition:
    """The journal, as the fold knows it."""

    reached: int


@dataclass(slots=True)
class Restored:
    """What an opening had to do."""

    rows: int = 0
    subscribers: int = 0
    refolded: int = 0
    connect_s: float = 0.0
    pages_s: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A folded frame whose decisions, where it has any, may not be acknowledged yet."""

    position: int
    append_ms: int
    rows: int
    sent: asyncio.Future[Any] | None


class Owned:
    """A partition while we own it; see the module.

    Args:
        config: checked settings.
        number: the partition.
        store: this worker's RocksDB.
        shelf: books by version.
        schema: schemas by fingerprint.
        sender: the worker's producer of decisions.
        first: returns the oldest position that Kafka keeps of a partition's log.
        measure: called with the seconds from packing to durable decisions, and the number of events.
        write: writes rows `due` into the log.
        wall_ms: wall clock, for that measure only.
        guard: what reads records.
    """

    def __init__(
        self,
        config: Config,
        number: int,
        store: Store,
        shelf: BookShelf,
        schema: Callable[[str], Schema],
        sender: Any,
        first: Callable[[int], Awaitable[int]],
        measure: Callable[[float, int], None],
        write: Write,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        guard: RecordGuard | None = None,
    ) -> None:
        self._guard = guard or RecordGuard()
        self.number = number
        self.folded = -1
        self.restored = Restored()
        self._config = config
        self._names = Names(config.cluster.prefix)
        self._store = store
        self._shelf = shelf
        self._schema = schema
        self._sender = sender
        self._first = first
        self._measure = measure
        self._write = write
        self._due: DueRows | None = None
        self._wall_ms = wall_ms
        self._stamped = config.data.clock == "wall"
        self._pending: deque[_Waiting] = deque()
        self._taking = asyncio.Lock()
        self._ended = False
        self.rests = 0
        """Times that it was let rest: what began before one must not go on behind it, for it has left frames out."""
        self.missing = Missing(self._names.log, number, config.cluster.missing_frames)
        self._unswept_ms_max = config.log.log_hours_max * HOUR_MS // SWEEPS_IN_RETENTION
        self._closing = contextlib.AsyncExitStack()

    async def open(self, inform: Callable[[], Awaitable[None]]) -> None:
        """Fence, restore, redo; afterwards the state is that of the log's end as it was in between.

        `inform` returns when all books are known that frames may name that stood in the log when it was called.
        """
        try:
            await self._open(inform)
        except BaseException:
            await self._closing.aclose()
            raise

    async def _open(self, inform: Callable[[], Awaitable[None]]) -> None:
        began = time.monotonic()
        cluster, names = self._config.cluster, self._names
        loop = asyncio.get_running_loop()
        self._changes = Changes(cluster, names.pages, self.number, f"{names.pages}.{self.number}", MESSAGE_BYTES_MAX)
        self._closing.push_async_callback(self._changes.stop)
        self._pages = ChangelogStore(loop, self._changes, self._copy())
        frames = TopicLog(
            loop, cluster, names.log, self.number, self._schema, self._shelf.get, self.missing, self._guard,
            stamped=self._stamped,
        )  # fmt: skip
        journal = Tail(cluster, names.decisions, self.number)
        try:
            await asyncio.gather(self._changes.start(), frames.connect(), journal.start())
            self.restored.connect_s = time.monotonic() - began
            self._journal = PublishedPosition(await self._last_reached(journal, frames))
            self.restored.rows = await self._pages.restore()
            self.restored.pages_s = time.monotonic() - began
            await frames.open()
            await inform()  # only now: a book may have been published until the log's end was read
            self.fold = await asyncio.to_thread(self._make_fold, frames, self._pages)
            redone: list[Appended] = []
            self.restored.refolded = await asyncio.to_thread(self.fold.recover, redone.append)
        finally:
            await asyncio.gather(frames.close(), journal.stop())
        self.folded = frames.next_position - 1
        self._due = DueRows(self.fold, names.log, self._write, self._wall_ms, self._config.limits.batch_events_max)
        for one in _without_earlier_moments(redone):
            assert one.decisions is not None
            await self._say(one.position, 0, one.decisions)
        self._pending.append(_Waiting(self.folded, 0, 0, None))
        self.fold.flusher.start()
        self.restored.subscribers = self.fold.table.count
        self.restored.seconds = time.monotonic() - began
        log.info("partition %d: %s", self.number, self.restored)

    def _copy(self) -> PagesCopy:
        place = Place(self._names.pages, self.number)
        return PagesCopy(self._store, self.number, place=place, guard=self._guard)

    async def _last_reached(self, journal: Tail, frames: TopicLog) -> int:
        place = Place(self._names.decisions, self.number)
        return await last_reached(journal, place, await frames.end(), self._guard)

    def _make_fold(self, frames: TopicLog, pages: Store) -> ClusterFold:
        parts = FoldParts(self.number, limits_of(self._config), pages, self._shelf.get)
        return ClusterFold(parts, frames, self._journal, self.missing)

    async def take(self, position: int, frame: Frame) -> Appended | None:
        """Fold a frame and send its decisions; None when it was folded before.

        MissingError when Kafka has deleted what comes before it. Nothing is taken after a frame whose decisions were
        not handed over, or when the partition is closed.
        """
        async with self._taking:
            if self._ended or position <= self.folded:
                return None
            return await self._take(position, frame)

    async def _take(self, position: int, frame: Frame) -> Appended:
        if position > self.folded + 1:
            self.missing.between(self.folded + 1, min(position, await self._first(self.number)))
        fold = self.fold
        decisions = fold.apply(position, frame)
        self.folded = position
        rows = frame.batch.n if frame.batch is not None else 0
        if decisions is not None and position > self._journal.reached:
            await self._say(position, rows, decisions)
        else:
            self._pending.append(_Waiting(position, frame.append_ms, rows, None))
        fold.flush(position)
        self.settle()
        return Appended(position, frame.append_ms, rows, decisions)

    def fire(self) -> None:
        """Begin to write the deadlines that have come by the wall's clock."""
        if self._due is not None and not self._ended:
            self._due.turn(self.folded)

    def sweep(self) -> None:
        """Write pages also while few frames come, so that retention deletes nothing that a start would redo."""
        fold, flusher = self.fold, self.fold.flusher
        if not self._unswept_ms_max or fold.oldest_ms is None:
            return
        if self._wall_ms() - fold.oldest_ms > self._unswept_ms_max:
            flusher.step(self.folded, SWEEP_PAGES)
            if flusher.last_start == self.folded and not flusher.sweeping:
                fold.swept()

    async def pass_over(self, position: int) -> None:
        """Go on after a record that is no frame."""
        async with self._taking:
            if not self._ended and position > self.folded:
                self.folded = position
                self._pending.append(_Waiting(position, 0, 0, None))

    def settle(self) -> None:
        """Let pages follow what is durable; raises what kept a decision from being written."""
        last = None
        now_ms = self._wall_ms() if self._pending else 0
        while self._pending and (self._pending[0].sent is None or self._pending[0].sent.done()):
            last = self._pending.popleft()
            if last.sent is not None and (fault := last.sent.exception()) is not None:
                raise BrokerError(f"decisions of partition {self.number} are not written: {fault!r}") from fault
            if last.rows and self._stamped:
                self._measure(max(0, now_ms - last.append_ms) / 1000, last.rows)
        if last is not None:
            self.fold.flusher.durable(last.position)

    async def still_ours(self) -> bool:
        """Tell whether we may go on after an assignment that gave the partition back.

        What is in memory is the fold of the log up to `folded`, even if another worker owned the partition
        meanwhile; our copy of its pages is whole only where nobody did.
        """
        if self._ended:
            return False
        try:
            self.settle()
            self.fold.flusher.step(self.folded, 0)
        except (DiskError, BrokerError) as fault:
            log.info("partition %d cannot go on: %s", self.number, fault)
            return False
        return await asyncio.to_thread(self._pages.still_ours)

    async def close(self, *, finish: bool = False) -> None:
        """Let go; with `finish` after all pages are written, so that the next owner has nothing to redo."""
        async with self._taking:
            self._ended = True
        if self._due is not None:
            await self._due.close()
        sent = [one.sent for one in self._pending if one.sent is not None]
        await asyncio.gather(*sent, return_exceptions=True)
        try:
            self.settle()
            if finish:
                await asyncio.to_thread(self._finish)
            await asyncio.to_thread(self.fold.flusher.close)
        except (DiskError, BrokerError) as fault:
            log.warning("partition %d is let go: %s", self.number, fault)
        await self._closing.aclose()

    def _finish(self) -> None:
        flusher = self.fold.flusher
        flusher.finish(self.folded)
        flusher.close(drain=True)

    async def _say(self, position: int, rows: int, decisions: DecisionBatch) -> None:
        """Send decisions; a moment only where no deadline has come by then that is not in the log before it."""
        if decisions.is_moment and self._due is not None:
            try:
                moment = await self._due.before_moment(decisions, self.folded)
            except BaseException:
                self._ended = True
                raise
            if moment is None:
                self._pending.append(_Waiting(position, decisions.append_ms, rows, None))
                return
            decisions = moment
        await self._send(position, rows, decisions)

    async def _send(self, position: int, rows: int, decisions: DecisionBatch) -> None:
        record = record_of(position, decisions)
        # Brokers refuse what is an hour ahead of them.
        stamp_ms = min(decisions.append_ms, self._wall_ms()) if self._stamped else None
        try:
            sent = await self._sender.send(self._names.decisions, record, partition=self.number, timestamp_ms=stamp_ms)
        except BaseException:
            self._ended = True
            raise
        self._pending.append(_Waiting(position, decisions.append_ms, rows, sent))


def _without_earlier_moments(redone: list[Appended]) -> list[Appended]:
    """Leave out all moments but the last: they are the same moment, and what came between belongs to it."""
    moments = [one.position for one in redone if one.decisions is not None and one.decisions.is_moment]
    return [one for one in redone if one.position not in moments[:-1]]
