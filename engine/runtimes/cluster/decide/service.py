"""Decide: which partitions this worker owns, and the frames that its agent hands to them.

    revoked ─► resting ─┬─► assigned to us again: a transaction of ours is taken ─► go on from memory
                        ├─► ... but refused, somebody else has opened it ─► open anew
                        └─► assigned to another ─► close

Faust assigns partitions of `log`; nothing else of it is used. It awaits `assigned` before a stream goes on, and
`revoked` before another worker may have a partition, so between the two a partition is open here and nowhere else,
but for a worker that does not know yet that it lost one: its decisions are dropped by readers and its pages refused.
Assignment is eager: it takes all partitions from everybody whenever a worker comes or goes. So a partition that is
revoked only rests, with its memory, until the next assignment says whose it is; the few that move are restored.

An exception here ends the worker, because Faust would acknowledge the frame that raised it. A frame that cannot be read
is the same for every owner: it is written to the dead letters and passed over.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from connectors.kafka.client import producer, started
from connectors.kafka.tail import Tail
from connectors.sources.dead_letter import Code
from engine.book.shelf import BookShelf
from engine.metrics import Metrics
from engine.runtimes.cluster.decide.arrivals import TopicArrivals
from engine.runtimes.cluster.decide.due_rows import Write
from engine.runtimes.cluster.decide.missing import MissingError
from engine.runtimes.cluster.decide.owned import Owned
from engine.runtimes.cluster.decide.standby import Standby
from engine.runtimes.cluster.shared.control_topic import ControlTopic
from engine.runtimes.cluster.shared.log_records import read_frame
from engine.runtimes.cluster.shared.publisher import Publisher
from engine.runtimes.cluster.shared.record_guard import FAULTS, Place, RecordGuard
from engine.runtimes.cluster.shared.topics import MESSAGE_BYTES_MAX, Names
from engine.settings.config import Config
from state.frame import Frame
from state.pages import PageError
from state.store import Store

SETTLE_S = 0.02
OPENING_MAX = 8
"""Partitions that are restored at a time: most of it is waiting for brokers."""

log = logging.getLogger("opportune.cluster")


class Decide:
    """The partitions of one worker; everything is called on the loop.

    Args:
        config: checked settings.
        store: this worker's RocksDB.
        shelf: books by version.
        control_topic: what every worker knows.
        publisher: activates the book once more after frames that are deleted.
        metrics: what is counted.
        write: writes rows `due` into the log.
        failed: called with the fault of a standby copy.
        arrivals: gets every visit, where this worker has a desk.
        guard: what reads records.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        shelf: BookShelf,
        control_topic: ControlTopic,
        publisher: Publisher,
        metrics: Metrics,
        write: Write,
        failed: Callable[[BaseException], None],
        arrivals: TopicArrivals | None = None,
        guard: RecordGuard | None = None,
    ) -> None:
        self._guard = guard or RecordGuard(catch_up=control_topic.catch_up)
        self._config = config
        self._names = Names(config.cluster.prefix)
        self._store = store
        self._shelf = shelf
        self._control_topic = control_topic
        self._publisher = publisher
        self._metrics = metrics
        self._write = write
        self._arrivals = arrivals
        self._sender = producer(config.cluster, max_request_size=MESSAGE_BYTES_MAX)
        self.standby = Standby(config, store, failed, self._guard)
        self._changing = asyncio.Lock()
        self._assignment = 0
        self._log = Tail(config.cluster, self._names.log, 0)
        self._resting: dict[int, Owned] = {}
        self.given: set[int] = set()
        """Partitions that the group gave us last; `assigned` says when they may be opened, which Faust may forget
        where one rebalance follows another: then `positions` shows them as standing still."""
        self.owned: dict[int, Owned] = {}
        self.held: dict[int, Exception] = {}
        """Partitions that are ours and undecided: frames that they need are deleted, or pages do not read."""

    async def start(self) -> None:
        """Connect."""
        await started(self._sender, self._config.cluster)
        await self._log.start()

    async def stop(self) -> None:
        """Let every partition go, with its pages written."""
        await self.standby.stop()
        await self.finish()
        await self._sender.stop()
        await self._log.stop()

    async def assigned(self, numbers: Collection[int], standby: Collection[int]) -> None:
        """Open the partitions that are ours now, and stand by for others; gives up where another assignment comes."""
        self._assignment += 1
        mine = self._assignment
        async with self._changing:
            await asyncio.gather(*(self.standby.leave(number) for number in numbers))
            room = asyncio.Semaphore(OPENING_MAX)
            gone = [self._resting.pop(number) for number in set(self._resting) - set(numbers)]
            await asyncio.gather(
                *(self._open(number, mine, room) for number in sorted(set(numbers) - set(self.owned))),
                *(one.close() for one in gone),
            )
            if self._assignment == mine:
                await self.standby.follow(standby)

    async def _open(self, number: int, mine: int, room: asyncio.Semaphore) -> None:
        async with room:
            if self._assignment != mine:
                return
            rested = self._resting.pop(number, None)
            if rested is not None and await self._go_on(rested):
                return
            one = Owned(
                self._config,
                number,
                self._store,
                self._shelf,
                self._control_topic.schema,
                self._sender,
                self._log.first_of,
                self._metrics.to_decision.observe,
                self._write,
                guard=self._guard,
            )
            try:
                await one.open(self._control_topic.catch_up)
            except MissingError as fault:
                self._hold(number, fault)
            except (PageError, *FAULTS) as fault:
                self._hold(number, fault)
                log.error("partition %d cannot be restored", number, exc_info=fault)
            else:
                self.owned[number] = one
                self._hold_against_desk(one)
                if one.missing.frames:
                    await self._publisher.activate_again(number)
                await self._catch_up(one)

    def hold_against_desk(self) -> None:
        """Have the desk know every visit that stands in our partitions, as after it has forgotten them."""
        for one in self.owned.values():
            self._hold_against_desk(one)

    def _hold_against_desk(self, one: Owned) -> None:
        if self._arrivals is not None:
            self._arrivals.hold_against(one.fold, one.fold.standing())

    def _hold(self, number: int, fault: Exception) -> None:
        self.held[number] = fault
        log.error("PARTITION %d IS NOT DECIDED: %s", number, fault)

    async def _go_on(self, one: Owned) -> bool:
        """Go on with a partition that came back, from the log and not from the stream, which may be ahead of it.

        False, with the partition closed, where somebody else has owned it, or the log does not reach back far enough.
        """
        if await self._log.first_of(one.number) > one.folded + 1 or not await one.still_ours():
            await one.close()
            return False
        self.owned[one.number] = one
        await self._catch_up(one)
        return True

    async def _catch_up(self, one: Owned) -> None:
        """Fold what stands in the log now after what is folded."""
        rests = one.rests
        ends = await self._log.ends([one.number])
        if ends[one.number] <= one.folded + 1:
            return
        async with Tail(self._config.cluster, self._names.log, one.number) as tail:
            tail.seek(max(one.folded + 1, await tail.first()))
            async for records in tail.to_end():
                for record in records:
                    await self._take(one, record, rests)

    async def revoked(self) -> None:
        """Let every partition rest: eager assignment takes them all, and gives most of them back."""
        self._assignment += 1
        async with self._changing:
            for one in self.owned.values():
                one.rests += 1
            self._resting |= self.owned
            self.owned.clear()
            self.held.clear()

    async def finish(self) -> None:
        """Close every partition with its pages written."""
        await self.revoked()
        async with self._changing:
            closing = list(self._resting.values())
            self._resting.clear()
            for one in closing:
                await one.close(finish=True)

    @property
    def missing(self) -> dict[int, int]:
        """Frames that are deleted and still needed, by partition of ours; 1 where its pages do not read back."""
        held = {number: getattr(fault, "frames", 1) for number, fault in self.held.items()}
        return held | {number: one.missing.frames for number, one in self.owned.items()}

    def positions(self) -> dict[int, int]:
        """Return the frame that was folded last of every partition that is ours and not held, -1 where none was."""
        unopened = self.given - self.owned.keys() - self.held.keys()
        return dict.fromkeys(unopened, -1) | {number: one.folded for number, one in self.owned.items()}

    def opening(self) -> set[int]:
        """Return the partitions that are being opened, or let go, now."""
        return self.given - self.owned.keys() if self._changing.locked() else set()

    async def take(self, number: int, record: Any) -> None:
        """Fold one record of the stream; one that is not ours any more, or was folded in redo, changes nothing.

        Faust may let frames flow while an assignment is still being taken. So what came before this one and nobody
        took is read from the log first: a frame is folded after the one before it, or not at all.
        """
        one, position = self.owned.get(number), record.offset
        if one is None or position <= one.folded:
            return
        rests = one.rests
        if position > one.folded + 1:
            await self._catch_up(one)
        await self._take(one, record, rests)

    async def _take(self, one: Owned, record: Any, rests: int) -> None:
        """Fold one record of the log, whose predecessor is folded or deleted unless it has rested since."""
        number, position = one.number, record.offset
        if self._is_other(one, rests) or position <= one.folded:
            return
        frame = await self._read(number, record)
        if self._is_other(one, rests):
            return  # let go, or opened anew, while we read
        if frame is None:
            await one.pass_over(position)
            return
        known = one.missing.frames
        try:
            taken = await one.take(position, frame)
        except MissingError as fault:
            if self.owned.get(number) is one:
                del self.owned[number]
                self._hold(number, fault)
                await one.close()
            return
        if taken is None:
            return
        one.fire()
        if one.missing.frames > known:
            await self._publisher.activate_again(number)
        if self._arrivals is not None:
            self._arrivals.note(one.fold, frame.batch)
        if frame.batch is not None:
            self._metrics.folded.inc(taken.rows)
        if taken.decisions is not None and not taken.decisions.is_moment:
            self._metrics.count_decisions(self._shelf.get(taken.decisions.book).book, taken.decisions)

    def _is_other(self, one: Owned, rests: int) -> bool:
        return self.owned.get(one.number) is not one or one.rests != rests

    async def settle(self) -> None:
        """Follow what the brokers acknowledge, and deadlines, while no frame comes; called every `SETTLE_S`."""
        for one in self._resting.values():
            one.settle()
        for one in list(self.owned.values()):
            one.settle()
            one.fire()
            one.sweep()

    async def _read(self, number: int, record: Any) -> Frame | None:
        """Return the frame, None where the record is none."""
        place, end = Place(self._names.log, number), partial(_end_of, self._log, number)
        return await self._guard.judge(place, record, self._frame, end, Code.NOT_A_FRAME)

    def _frame(self, record: Any) -> Frame:
        return read_frame(record, self._control_topic.schema, self._shelf.get)


async def _end_of(log: Tail, number: int) -> int:
    return (await log.ends([number]))[number]
