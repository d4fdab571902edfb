"""On the events' clock dispatch stands at one moment until it is done, and says when the next one is."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from connectors.contract import Message, Outcome, State
from engine.dispatch import ChannelPolicy, Dispatcher, LocalOutbox, Policy
from engine.dispatch.rates import Rates, TokenBucket
from engine.flow.steps import FOREVER_MS
from engine.settings.send_windows import SendWindow
from state.decisions import OutcomeState
from tests.engine.dispatch.standins import Log, ScriptedGateway, decided
from tests.fakes.disk import SimulatedDisk

NOON_MS = 1_225_771_200_000
"""2008-11-04T12:00:00+08:00."""
HOUR_MS = 3_600_000
SMS = ChannelPolicy(("one",), retry_ms_min=60_000, retry_ms_max=60_000)
WAIT_S = 5.0


class Remembering(ScriptedGateway):
    """A gateway that can say after a restart what it has."""

    def recall(self, decision_ids: Collection[str]) -> dict[str, Outcome]:
        has = {message.decision_id for message in self.sent}
        return {name: Outcome(State.ACCEPTED) for name in decision_ids if name in has}


class World:
    """A dispatcher whose clock stands still."""

    def __init__(self, channel: ChannelPolicy = SMS, gateway: ScriptedGateway | None = None) -> None:
        self.disk = SimulatedDisk()
        self.policy = Policy({"sms": channel})
        self.gateway = gateway or ScriptedGateway()
        self.log = Log()
        self.now_ms = NOON_MS

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Dispatcher]:
        outbox = LocalOutbox(Path("/outbox"), self.disk, segment_bytes=1 << 20)
        gateways: Any = {"one": self.gateway}
        feedback: Any = self.log
        clock = lambda: self.now_ms  # noqa: E731 the time is the world's
        dispatcher = Dispatcher(self.policy, gateways, None, feedback, clock, outbox, stands=True)
        await dispatcher.start()
        try:
            yield dispatcher
        finally:
            await dispatcher.abandon()
            await outbox.close()

    @property
    def sent(self) -> list[str]:
        return [message.decision_id for message in self.gateway.sent]


def some(count: int, **changes: Any) -> list[Any]:
    return [decided(number, append_ms=NOON_MS, shelf_life_ms=0, **changes) for number in range(count)]


async def test_a_rest_means_that_all_that_can_go_now_has_gone_and_the_log_has_every_outcome() -> None:
    world = World()
    async with world.running() as dispatcher:
        dispatcher.offer(some(30), {})
        assert await dispatcher.rest(WAIT_S)
        assert len(world.sent) == len(world.log.said) == 30
        assert dispatcher.core.due == (FOREVER_MS, FOREVER_MS, FOREVER_MS)


async def test_what_a_rate_holds_back_is_due_at_the_next_tenth_of_a_second_at_which_one_may_pass() -> None:
    world = World(replace(SMS, rate_per_s=5.0))
    async with world.running() as dispatcher:
        dispatcher.offer(some(3), {})
        gone = []
        while True:
            assert await dispatcher.rest(WAIT_S)
            gone.append((world.now_ms - NOON_MS, len(world.sent)))
            if dispatcher.core.due.turn_ms == FOREVER_MS:
                break
            assert dispatcher.core.due.turn_ms < FOREVER_MS
            world.now_ms = dispatcher.core.due.turn_ms
    assert gone == [(0, 1), (200, 2), (400, 3)]


async def test_a_window_is_due_when_it_opens_and_a_quota_on_the_next_day() -> None:
    world = World(replace(SMS, windows=(SendWindow.parse("daily 13:00-20:00"),), quota_per_day=2))
    async with world.running() as dispatcher:
        dispatcher.offer(some(3), {})
        assert await dispatcher.rest(WAIT_S)
        assert dispatcher.core.due == (FOREVER_MS, FOREVER_MS, NOON_MS + HOUR_MS)
        world.now_ms = NOON_MS + HOUR_MS
        assert await dispatcher.rest(WAIT_S)
        assert len(world.sent) == 2
        assert dispatcher.core.due == (FOREVER_MS, FOREVER_MS, NOON_MS + 12 * HOUR_MS)
        world.now_ms = NOON_MS + 12 * HOUR_MS
        assert await dispatcher.rest(WAIT_S)
        assert dispatcher.core.due == (FOREVER_MS, FOREVER_MS, NOON_MS + 25 * HOUR_MS)


async def test_a_retry_is_due_when_its_back_off_ends_and_a_shelf_life_when_it_is_over() -> None:
    world = World(gateway=ScriptedGateway(script=lambda _: Outcome(State.RETRY, "BUSY")))
    async with world.running() as dispatcher:
        dispatcher.offer([decided(1, append_ms=NOON_MS, shelf_life_ms=HOUR_MS)], {})
        assert await dispatcher.rest(WAIT_S)
        _, soon_ms, later_ms = dispatcher.core.due
        assert 30_000 <= soon_ms - NOON_MS <= 60_000
        assert later_ms == NOON_MS + HOUR_MS
        world.now_ms = later_ms
        assert await dispatcher.rest(WAIT_S)
    assert [said.state for said in world.log.said] == [OutcomeState.REFUNDED]


async def test_what_is_taken_next_waits_for_all_answers_and_not_for_their_order() -> None:
    order: list[list[str]] = []
    for slow in (0, 1):

        async def answer(message: Message, slow: int = slow) -> Outcome:
            await asyncio.sleep(0.02 if int(message.decision_id.split("-")[1]) % 2 == slow else 0)
            return Outcome(State.ACCEPTED)

        world = World(gateway=ScriptedGateway(script=answer))
        async with world.running() as dispatcher:
            twice = [decided(number, append_ms=NOON_MS, subscriber=8613800000000 + number // 3) for number in range(9)]
            dispatcher.offer(twice, {})
            assert await dispatcher.rest(WAIT_S)
        order.append(world.sent)
    assert order[0] == order[1]
    assert len(order[0]) == 9


async def test_after_a_kill_what_the_gateway_has_is_committed_and_the_rest_goes_at_the_same_time() -> None:
    stuck = asyncio.Event()

    async def never(message: Message) -> Outcome:
        if int(message.decision_id.split("-")[1]) > 2:
            world.gateway.sent.remove(message)
        stuck.set()
        await asyncio.Event().wait()
        raise AssertionError

    world = World(replace(SMS, rate_per_s=50.0), Remembering(script=never))
    async with world.running() as dispatcher:
        dispatcher.offer(some(8), {})
        await stuck.wait()
        await asyncio.sleep(0.05)
    assert len(world.sent) == 3

    world.gateway.script = lambda _: Outcome(State.ACCEPTED)
    async with world.running() as dispatcher:
        assert await dispatcher.rest(WAIT_S)
        assert len(world.sent) == 5, "its rate has let five go, and does so still"
        assert dispatcher.core.due.turn_ms == NOON_MS + 100
        world.now_ms += 100
        assert await dispatcher.rest(WAIT_S)
    assert sorted(world.sent) == sorted({one.decision_id for one in some(8)})
    assert {said.state for said in world.log.said} == {OutcomeState.COMMITTED}
    assert set(world.log.contacts.values()) == {NOON_MS, NOON_MS + 100}


def test_tokens_at_a_time_do_not_depend_on_who_looked_before() -> None:
    once, often = TokenBucket(3.7), TokenBucket(3.7)
    for bucket in (once, often):
        bucket.room(100.0)
        bucket.take(4)
    for tenth in range(1, 30):
        often.room(100.0 + tenth / 10)
    assert once.room(103.0) == often.room(103.0)
    assert once.level == often.level


def test_buckets_go_on_after_a_restart_from_their_levels() -> None:
    rates, later = Rates({"g": 2.0}, {"sms": 1.0}), Rates({"g": 2.0}, {"other": 1.0})
    rates.passed("g", "sms", 3, 50.0)
    later.restore(rates.levels())
    assert later.gateways["g"].room(50.0) == rates.gateways["g"].room(50.0) == -2
    assert later.channels["other"].room(50.0) == 1
