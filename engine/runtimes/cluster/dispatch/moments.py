"""From the decisions of one partition to its dispatcher on the events' own clock: moment after moment.

One moment, when its batch comes (`engine.runtimes.cluster.shared.moments`):

    1. take over   what the records before it took back, and decided, as far as it is due by then, in the order of log
                   time, subscriber, rule
    2. rest        the dispatcher lets go what can go, until all is answered and every outcome is in the log
    3. report      when there is something to do next; only then does the intake write later rows

Decisions that are not due yet wait here, and the durable cursor before them. The dispatcher's clock stands still
between two moments, and is as far after a takeover as the last moment at which anything was done.
"""

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from connectors.kafka.tail import Tail
from engine.dispatch import Dispatcher
from engine.dispatch.due import Due
from engine.dispatch.model import Decided, Withdrawn
from engine.flow.clock import EventsClock
from engine.flow.steps import FOREVER_MS
from engine.runtimes.cluster.dispatch.context import CURSORS_S, DECISIONS, MOMENT, RECEIPTS, DispatchContext
from engine.runtimes.cluster.shared.journal_position import Reached, StaleRecordFilter, read_record
from engine.runtimes.cluster.shared.moments import Rested
from engine.runtimes.cluster.shared.record_guard import FAULTS, Place
from state.decisions import DecisionBatch, Outcome, RecordKind

REST_S = 0.25

Order = tuple[int, int, int]
"""Log time, subscriber, rule."""


@dataclass(slots=True)
class Untaken:
    """A record that was not taken over: where it stands, when its decisions are due, what it takes back and decides."""

    offset: int
    due_ms: int
    withdrawn: list[Withdrawn]
    decided: list[tuple[Order, Decided]]


class PartitionClock(EventsClock):
    """The events' time up to which a partition is sent; it takes its worker's along, which is that of the furthest."""

    def __init__(self, worker: EventsClock) -> None:
        super().__init__()
        self._worker = worker

    def reach(self, at_ms: int) -> None:
        """Say that dispatch has come to `at_ms`; an earlier time changes nothing."""
        super().reach(at_ms)
        self._worker.reach(at_ms)


class MomentFeeder:
    """Feeds one partition's dispatcher, and moves its clock; used by one task.

    Args:
        place: the partition of decisions.
        tail: its records; it stands at `read`.
        read: offset of the record to be read next.
        dispatcher: recovered, at the time of `clock`.
        clock: the partition's.
        context: what the worker's partitions have in common.
    """

    def __init__(
        self,
        place: Place,
        tail: Tail,
        read: int,
        dispatcher: Dispatcher,
        clock: EventsClock,
        context: DispatchContext,
    ) -> None:
        self.read = read
        self._place = place
        self._tail = tail
        self._dispatcher = dispatcher
        self._clock = clock
        self._context = context
        self._fresh = StaleRecordFilter()
        self._untaken: deque[Untaken] = deque()
        self._due = Due(0, 0, 0)
        self._written_s = time.monotonic()
        self.passing = False
        """Whether a moment is being done."""

    async def run(self) -> None:
        """Feed until cancelled."""
        while True:
            for record in await self._tail.poll():
                read = await self._context.guard.judge(self._place, record, read_record, self._tail.end)
                if read is not None and self._fresh.counts(read.position):
                    await self._take(record, read)
                self.read = record.offset + 1
            if time.monotonic() - self._written_s > CURSORS_S:
                self._offer([])

    async def _take(self, record: Any, read: Reached) -> None:
        batch = read.decisions
        if batch.is_moment:
            self.read = record.offset + 1
            self.passing = True
            await self._pass(read.position, batch.append_ms, batch.next_ms)
            self.passing = False
            return
        number, wording = self._place.partition, self._context.wording
        book = await wording.activated(batch)
        if book is not None:
            self._dispatcher.core.follow(self._context.policy_of(number, book))
        try:
            withdrawn, decided = await wording.withdrawn(number, batch), await wording.decided(number, batch)
        except FAULTS as fault:
            self._context.guard.bury(self._place, record.offset, record.key, record.value, fault)
            return
        if withdrawn or decided:
            ordered = sorted(zip(_orders(batch), decided, strict=True), key=lambda one: one[0])
            self._untaken.append(Untaken(record.offset, batch.append_ms if decided else 0, withdrawn, ordered))

    async def _pass(self, position: int, at_ms: int, next_ms: int) -> None:
        """Do all that is due up to a moment, and say so, and when there is more, be it a deadline of the fold's."""
        self._clock.reach(at_ms)
        now_ms = self._clock.now_ms()
        taken = list(self._untaken)
        self._untaken = deque(one for one in taken if one.due_ms > now_ms)
        withdrawn = [each for one in taken for each in one.withdrawn]
        if withdrawn:
            self._dispatcher.withdraw(withdrawn)
        found = [each for one in taken if one.due_ms <= now_ms for each in one.decided]
        if found or withdrawn or min(self._due) <= now_ms:
            found.sort(key=lambda one: one[0])
            self._offer([decided for _, decided in found])
        for one in self._untaken:
            one.withdrawn.clear()
        while (due := await self._dispatcher.rest(REST_S)) is None:
            if self._dispatcher.failure is not None:
                raise self._dispatcher.failure
        self._due = due
        held_ms = self._untaken[0].due_ms if self._untaken else FOREVER_MS
        await self._context.report(Rested(self._place.partition, position, now_ms, held_ms, min(*due, next_ms)))

    def _offer(self, decided: list[Decided]) -> None:
        """Hand decisions over, with the cursors after them."""
        self._written_s = time.monotonic()
        read = self._untaken[0].offset if self._untaken else self.read
        cursors = {DECISIONS: read, RECEIPTS: self._context.exchange.position, MOMENT: self._clock.now_ms()}
        if decided or cursors != {name: self._dispatcher.cursors.get(name) for name in cursors}:
            self._dispatcher.offer(decided, cursors)


def _orders(batch: DecisionBatch) -> list[Order]:
    """Return the place of each decision of a record among all; `Wording.decided` returns them in this order."""
    rows = ((batch.outcome == Outcome.DECIDED) & (batch.kind == RecordKind.DECISION)).nonzero()[0]
    columns = (batch.log_ms[rows].tolist(), batch.subscriber[rows].tolist(), batch.rule[rows].tolist())
    return list(zip(*columns, strict=True))
