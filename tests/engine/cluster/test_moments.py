"""A partition that is sent on the events' own clock: each moment is done before anybody hears that it is."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from connectors.contract import Message, Outcome, State
from engine.dispatch import Decided, Dispatcher, LocalOutbox, Policy
from engine.dispatch.doors import GatewayDoor
from engine.dispatch.model import Withdrawn
from engine.dispatch.orphans import Orphans
from engine.dispatch.rates import Rates
from engine.dispatch.shared import Shared
from engine.flow.clock import EventsClock
from engine.flow.steps import FOREVER_MS
from engine.runtimes.cluster.dispatch.moments import MomentFeeder, PartitionClock
from engine.runtimes.cluster.shared.journal_position import record_of
from engine.runtimes.cluster.shared.moments import Rested, moment_frame, moment_of, parse_rested
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from state.decisions import DecisionBatch, activation, moment
from state.decisions import decode as decode_decisions
from state.frame import Frame, FrameKind, decode
from tests.engine.cluster.standins import NOT_USED
from tests.engine.dispatch.standins import Log, ScriptedGateway, decided, until
from tests.engine.dispatch.test_moments import NOON_MS, SMS
from tests.fakes.disk import SimulatedDisk

MINUTE_MS = 60_000


def batch_of(position: int, due_ms: int, log_ms: Sequence[int]) -> DecisionBatch:
    """Return a record of decisions, one for each log time."""
    blank = activation(position, due_ms, "b" * 16)
    names = ("kind", "row", "rule", "channel", "detail", "subscriber", "at_ms", "outcome", "gate", "of_position",
             "of_row", "arm", "probability")  # fmt: skip
    columns: dict[str, Any] = {name: np.zeros(len(log_ms), getattr(blank, name).dtype) for name in names}
    columns |= {"log_ms": np.array(log_ms, np.int64), "fact_start": np.zeros(len(log_ms) + 1, np.int32)}
    return replace(blank, **columns)


class World:
    """One partition's dispatcher, and its topic of decisions."""

    def __init__(self, disk: SimulatedDisk | None = None) -> None:
        self.disk = disk or SimulatedDisk()
        self.gateway = ScriptedGateway()
        self.log = Log()
        self.reports: list[Rested] = []
        self.words: dict[int, tuple[list[Withdrawn], list[Decided]]] = {}
        self._records: list[Any] = []
        self.worker_clock = EventsClock()
        self.clock = PartitionClock(self.worker_clock)

    def write(self, batch: DecisionBatch, said: Sequence[Decided] = (), taken_back: Sequence[Withdrawn] = ()) -> None:
        self.words[batch.position] = list(taken_back), list(said)
        value = record_of(batch.position, batch)
        self._records.append(SimpleNamespace(value=value, key=None, offset=len(self._records)))

    @asynccontextmanager
    async def running(self, read: int = 0) -> AsyncIterator[MomentFeeder]:
        """Feed from a record on."""
        outbox = LocalOutbox(Path("/outbox"), self.disk, segment_bytes=1 << 20)
        gateway: Any = self.gateway
        shared = Shared({"one": GatewayDoor(gateway, {"sms": SMS})}, Rates({}, {"sms": math.inf}), Orphans())
        feedback: Any = self.log
        dispatcher = Dispatcher(
            Policy({"sms": SMS}), {}, None, feedback, self.clock.now_ms, outbox, None, shared, stands=True
        )
        await dispatcher.start()
        context: Any = SimpleNamespace(
            guard=RecordGuard(), wording=self, exchange=SimpleNamespace(position=7), report=self._report
        )
        self._next = read
        tail: Any = SimpleNamespace(poll=self._poll, end=self._end)
        feeder = MomentFeeder(Place("decisions", 3), tail, read, dispatcher, self.clock, context)
        task = asyncio.create_task(feeder.run())
        try:
            self.dispatcher = dispatcher
            yield feeder
        finally:
            task.cancel()
            await asyncio.wait([task])
            await dispatcher.abandon()
            await outbox.close()

    async def _poll(self) -> list[Any]:
        await asyncio.sleep(0.001)
        records, self._next = self._records[self._next :], len(self._records)
        return records

    async def _end(self) -> int:
        return len(self._records)

    async def _report(self, rested: Rested) -> None:
        self.reports.append(rested)

    # ---- the wording of a worker

    async def activated(self, _: DecisionBatch) -> None:
        return None

    async def withdrawn(self, _: int, batch: DecisionBatch) -> list[Withdrawn]:
        return self.words[batch.position][0]

    async def decided(self, _: int, batch: DecisionBatch) -> list[Decided]:
        return self.words[batch.position][1]

    async def reported(self, count: int) -> Rested:
        await until(lambda: len(self.reports) >= count)
        return self.reports[-1]

    @property
    def sent(self) -> list[str]:
        return [message.decision_id for message in self.gateway.sent]


async def test_a_partition_rests_when_what_is_due_has_gone_in_order_and_the_log_has_every_outcome() -> None:
    world = World()
    early, late = decided(1, append_ms=NOON_MS), decided(2, append_ms=NOON_MS)
    world.write(batch_of(10, NOON_MS, [NOON_MS - 5, NOON_MS - 9]), [late, early])
    async with world.running():
        await asyncio.sleep(0.02)
        assert not world.sent, "its moment has not come"
        world.write(moment(11, NOON_MS))
        rested = await world.reported(1)
        assert world.sent == [early.decision_id, late.decision_id]
        assert len(world.log.said) == 2

    assert rested == (3, 11, NOON_MS, FOREVER_MS, FOREVER_MS)
    assert world.worker_clock.now_ms() == NOON_MS


async def test_a_decision_waits_for_its_own_moment_and_what_was_taken_back_before_never_goes() -> None:
    world = World()
    first, second = decided(1, append_ms=NOON_MS), decided(2, append_ms=NOON_MS)
    world.write(batch_of(10, NOON_MS, [NOON_MS - 9, NOON_MS - 8]), [first, second])
    world.write(moment(11, NOON_MS - MINUTE_MS))
    async with world.running():
        rested = await world.reported(1)
        assert (rested.held_ms, world.sent) == (NOON_MS, [])
        assert world.dispatcher.cursors["decisions"] == 0, "a restart must read it again"
        world.write(batch_of(12, NOON_MS, []), [], [Withdrawn(first.decision_id, first.subscriber, "WITHDRAWN")])
        world.write(moment(13, NOON_MS))
        await world.reported(2)
        assert world.sent == [second.decision_id]


async def test_nobody_hears_that_it_rests_while_a_gateway_has_not_answered() -> None:
    world = World()
    answers = asyncio.Event()

    async def slowly(_: Message) -> Outcome:
        await answers.wait()
        return Outcome(State.ACCEPTED)

    world.gateway.script = slowly
    world.write(batch_of(10, NOON_MS, [NOON_MS]), [decided(1, append_ms=NOON_MS)])
    world.write(moment(11, NOON_MS))
    async with world.running() as feeder:
        await until(lambda: world.sent)
        await asyncio.sleep(0.3)
        assert not world.reports
        assert feeder.passing
        answers.set()
        await world.reported(1)
        assert not feeder.passing


async def test_a_takeover_goes_on_at_the_time_that_was_reached_and_sends_nothing_twice() -> None:
    world = World()
    world.write(batch_of(10, NOON_MS, [NOON_MS]), [decided(1, append_ms=NOON_MS)])
    world.write(moment(11, NOON_MS))
    async with world.running():
        await world.reported(1)
        await until(lambda: world.dispatcher.durable_cursors.get("moment") == NOON_MS)
        cursors = dict(world.dispatcher.durable_cursors)

    assert cursors == {"decisions": 2, "receipts": 7, "moment": NOON_MS}
    async with world.running():
        world.write(moment(12, NOON_MS + MINUTE_MS))
        await world.reported(3)
    assert len(world.sent) == 1


def test_a_moment_and_a_report_read_as_they_were_written() -> None:
    tick = decode(moment_frame(NOON_MS), NOT_USED)
    assert (tick.kind, tick.append_ms, moment_of(tick)) == (FrameKind.TICK, 0, NOON_MS)
    assert moment_of(Frame(FrameKind.TICK, 5)) is None

    batch = decode_decisions(moment(4, NOON_MS).encode())
    assert (batch.is_moment, batch.activates, batch.append_ms) == (True, False, NOON_MS)
    assert not decode_decisions(activation(4, NOON_MS, "b" * 16).encode()).is_moment

    rested = Rested(1, 2, 3, FOREVER_MS, 5)
    assert parse_rested(SimpleNamespace(value=rested.encode())) == rested


@pytest.mark.parametrize("value", [b"[1,2,3]", b"[1,2,3,4,-5]", b"{}", b"[1,2,3,4,1e9]", b'[1,2,3,4,"5"]'])
def test_a_report_that_is_none_of_ours_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="numbers >= 0"):
        parse_rested(SimpleNamespace(value=value))
