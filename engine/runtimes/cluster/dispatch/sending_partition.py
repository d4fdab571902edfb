"""One partition of decisions that this worker sends, from takeover to revocation.

    open    fence the previous owner ─► outbox read back ─► receipts since then ─► send
    ahead   what the fold takes back, and the book that became active, to the journal's end, whatever room there is
    feed    decisions from the durable cursor on, as long as the dispatcher has room, none of them before it was ahead
    close   take nothing more, let answers come in, commit them

The dispatcher is that of `engine.dispatch`, with a topic for an outbox and with the gateways of the worker. Attempts
that the previous owner had committed, and that have no outcome, are UNKNOWN. A record of decisions that reaches no
further than an earlier one came from a worker that had lost the partition, and is dropped; a decision that was offered
before the takeover is known by its id. On the events' own clock `moments` feeds in place of ahead and feed.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from connectors.kafka.ledger import Ledger
from connectors.kafka.tail import Tail
from engine.dispatch import Dispatcher, Policy
from engine.dispatch.model import Decided, Withdrawn
from engine.flow.clock import EventsClock
from engine.runtimes.cluster.dispatch.context import CURSORS_S, DECISIONS, MOMENT, RECEIPTS, DispatchContext
from engine.runtimes.cluster.dispatch.moments import MomentFeeder, PartitionClock
from engine.runtimes.cluster.dispatch.outbox import TopicOutbox
from engine.runtimes.cluster.dispatch.shares import process_rates
from engine.runtimes.cluster.shared.journal_position import StaleRecordFilter, read_record
from engine.runtimes.cluster.shared.record_guard import FAULTS, Place, RecordGuard
from engine.runtimes.cluster.shared.topics import MESSAGE_BYTES_MAX, Names
from state.decisions import DecisionBatch

ROOM_POLL_S = 0.02

log = logging.getLogger("opportune.cluster")


class SendingPartition:
    """A partition while we own it; see the module.

    Args:
        number: the partition.
        policy: how it is sent.
        context: what the worker's partitions share.
    """

    def __init__(self, number: int, policy: Policy, context: DispatchContext) -> None:
        config, names = context.config, Names(context.config.cluster.prefix)
        self.number = number
        self._read = 0
        self._context = context
        self._ledger = Ledger(config.cluster, names.outbox, number, f"{names.outbox}.{number}", MESSAGE_BYTES_MAX)
        self._outbox = TopicOutbox(self._ledger, Place(names.outbox, number), context.guard)
        self._place = Place(names.decisions, number)
        self._tail = Tail(config.cluster, *self._place)
        self._ahead = Tail(config.cluster, *self._place)
        self._seen_ahead = StaleRecordFilter(), RecordGuard(catch_up=context.guard.catch_up)
        self._looked = 0
        """Offset up to which records were looked at for what they take back."""
        self._moments: MomentFeeder | None = None
        self._clock, feedback, shared = context.clock, context.feedback, context.shared
        if isinstance(context.clock, EventsClock):
            self._clock = PartitionClock(context.clock)
            feedback = feedback.by(self._clock.now_ms)
            shared = replace(shared, rates=process_rates(policy, config.data.partitions, 1))
        parts = (feedback, self._clock.now_ms, self._outbox, context.on_outcome, shared)
        self.dispatcher = Dispatcher(policy, {}, None, *parts, stands=isinstance(self._clock, EventsClock))
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = contextlib.AsyncExitStack()

    async def open(self, switches: Iterable[tuple[str, str, str]]) -> None:
        """Take the partition over and begin to send; `switches` are those that hold now."""
        try:
            await self._open(switches)
        except BaseException:
            await self._closing.aclose()
            raise

    async def _open(self, switches: Iterable[tuple[str, str, str]]) -> None:
        began = time.monotonic()
        await self._ledger.start()  # fences the previous owner: what it has not committed by now never counts
        self._closing.push_async_callback(self._ledger.stop)
        self._closing.push_async_callback(self._outbox.close)
        await self._outbox.load()
        core = self.dispatcher.core
        if isinstance(self._clock, EventsClock):
            self._clock.reach(self._outbox.loaded_cursors().get(MOMENT, 0))
        self.dispatcher.recover(switches)
        # Before the first send: a receipt that was acknowledged while the partition had no owner stands in the topic,
        # and its message may be one that the outbox still waits for.
        self._closing.callback(self._context.exchange.leave, self.number, self.dispatcher)
        await self._context.exchange.join(self.number, self.dispatcher, core.cursors.get(RECEIPTS, 0))
        await self._tail.start()
        self._closing.push_async_callback(self._tail.stop)
        self._read = max(core.cursors.get(DECISIONS, 0), await self._tail.first())
        self._tail.seek(self._read)
        if isinstance(self._clock, EventsClock):
            feeder = self._moments = MomentFeeder(
                self._place, self._tail, self._read, self.dispatcher, self._clock, self._context
            )
            await self.dispatcher.start()
            self._tasks = [asyncio.create_task(feeder.run(), name=f"feed {self.number}")]
        else:
            await self._start_reading()
        log.info(
            "partition %d is sent from decision record %d on, %d sends wait, %.1f s",
            self.number, self._read, len(core.sends), time.monotonic() - began,
        )  # fmt: skip

    async def _start_reading(self) -> None:
        await self._ahead.start()
        self._closing.push_async_callback(self._ahead.stop)
        self._ahead.seek(self._read)
        self._looked = self._read
        # Before the first send, too: what waits in the outbox may have been taken back while nobody sent it.
        async for records in self._ahead.to_end():
            await self._look_at(records)
        await self.dispatcher.start()
        self._tasks = [
            asyncio.create_task(self._look_ahead(), name=f"ahead {self.number}"),
            asyncio.create_task(self._feed(), name=f"feed {self.number}"),
        ]

    @property
    def read(self) -> int:
        """Offset of the record of decisions that is read next."""
        return self._read if self._moments is None else self._moments.read

    @property
    def waits(self) -> bool:
        """Whether it waits for gateways before it reads on, as on the events' own clock."""
        return self._moments is not None and self._moments.passing

    @property
    def failure(self) -> BaseException | None:
        """What ended sending or feeding, if something did."""
        if self.dispatcher.failure is not None:
            return self.dispatcher.failure
        ended = [task.exception() for task in self._tasks if task.done() and not task.cancelled()]
        return ended[0] if ended else None

    async def close(self, wait_s: float) -> None:
        """Take nothing more, wait for answers at most `wait_s`, commit, let go."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self.dispatcher.failure is None:
            await self.dispatcher.stop(wait_s)
        else:
            await self.dispatcher.abandon()
        await self._closing.aclose()

    # ---- feeding

    async def _look_ahead(self) -> None:
        """Pass on what the fold takes back and which book is active, from where the decisions were taken over on.

        What cannot be read is counted and buried by the feeding task, which comes to the same record later.
        """
        while True:
            await self._look_at(await self._ahead.poll())

    async def _look_at(self, records: Iterable[Any]) -> None:
        """Pass on what some records take back."""
        wording, fresh, guard = self._context.wording, *self._seen_ahead
        for record in records:
            read = await guard.judge(self._place, record, read_record, self._ahead.end)
            if read is not None and fresh.counts(read.position):
                book = await wording.activated(read.decisions)
                if book is not None:
                    self.dispatcher.core.follow(self._context.policy_of(self.number, book))
                withdrawn = await self._withdrawn(read.decisions)
                if withdrawn:
                    self.dispatcher.withdraw(withdrawn)
            self._looked = record.offset + 1

    async def _withdrawn(self, batch: DecisionBatch) -> list[Withdrawn]:
        """Return what a record takes back; nothing where no book has it, of which the feeding task says more."""
        try:
            return await self._context.wording.withdrawn(self.number, batch)
        except FAULTS:
            return []

    async def _feed(self) -> None:
        written_s = time.monotonic()
        fresh = StaleRecordFilter()
        while True:
            while not self.dispatcher.room():  # noqa: ASYNC110 sends end for many reasons: polling is simplest
                await asyncio.sleep(ROOM_POLL_S)
            records = await self._tail.poll()
            for record in records:
                while self._looked <= record.offset:  # noqa: ASYNC110 the other task has the same record soon
                    await asyncio.sleep(ROOM_POLL_S)
                read = await self._context.guard.judge(self._place, record, read_record, self._tail.end)
                if read is not None and fresh.counts(read.position):
                    await self._offer(await self._decided(record, read.decisions))
                self._read = record.offset + 1
            if records or time.monotonic() - written_s > CURSORS_S:
                written_s = time.monotonic()
                self._write_cursors()

    async def _decided(self, record: Any, batch: DecisionBatch) -> list[Decided]:
        """Return a record's decisions with their words; none, with the record buried, where no book has them."""
        try:
            return await self._context.wording.decided(self.number, batch)
        except FAULTS as fault:
            self._context.guard.bury(self._place, record.offset, record.key, record.value, fault)
            return []

    async def _offer(self, decided: list[Decided]) -> None:
        """Offer the decisions of a record, as many at a time as there is room for."""
        while decided:
            room = self.dispatcher.room()
            if room:
                self.dispatcher.offer(decided[:room])
                decided = decided[room:]
            else:
                await asyncio.sleep(ROOM_POLL_S)

    def _write_cursors(self) -> None:
        """Record up to where everything was taken over, where that has moved."""
        cursors = {DECISIONS: self._read, RECEIPTS: self._context.exchange.position}
        if cursors != {name: self.dispatcher.cursors.get(name) for name in cursors}:
            self.dispatcher.offer((), cursors)
