"""A real Redis is killed in the middle of visits and comes back: empty, with older data, or with all it held.

Three processes share it, as in a cluster: one opens visits, one serves the clerks, one offers cards. The judge is what
the log was told: every decided card must end in exactly one way.
"""

import asyncio
import contextlib
import itertools
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import State
from connectors.desk.config import DeskConfig, RedisConfig
from connectors.desk.desk import BehindError, Desk, NotDurableError, now_ms
from connectors.desk.model import Reply, Ruling
from connectors.desk.queue import QueueLostError, end
from connectors.desk.redis import RedisQueue
from engine.dispatch.doors import DeskDoor
from engine.dispatch.model import Decided
from tests.connectors.desk.world import ANNA, Log
from tests.parts.redis_server import RedisServer

pytestmark = pytest.mark.parts

COUNTERS = 8
CARDS = 96
AWAY = (QueueLostError, NotDurableError, BehindError)


@contextlib.asynccontextmanager
async def process(server: RedisServer, recall_ms: int = 0) -> AsyncIterator[tuple[Desk, Log]]:
    redis = RedisConfig(url=server.url, timeout_ms=300, settle_ms=400, recall_ms=recall_ms)
    config = DeskConfig(queue="redis", redis=redis, retry_ms=500, sweep_ms=100, card_life_ms=60_000)
    log = Log()
    desk = Desk(RedisQueue(config.visit_idle_ms, config.retry_ms, redis), log.on_visit, log.on_answer, config)
    await desk.start()
    try:
        yield desk, log
    finally:
        await desk.stop()


async def insist(say: Callable[..., Awaitable[Any]], *words: object) -> Any:
    """Say something until it is taken, as a page does."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await say(*words)
            except AWAY:
                await asyncio.sleep(0.05)


async def offered(door: DeskDoor, number: int) -> tuple[State, str]:
    """Offer a card until the desk has taken it or refused it for good, as dispatch does."""
    who = ANNA + number % COUNTERS
    what = Decided(f"0-{number}-0-7", who, "r", "c", "desk", "o", "t", "commercial", now_ms(), 0, 1, {"title": "T"})
    async with asyncio.timeout(20):
        while True:
            outcome = await door.send(what, now_ms())
            if outcome.state in {State.ACCEPTED, State.PERMANENT}:
                return outcome.state, outcome.code
            await asyncio.sleep(0.05)


async def clerk(desk: Desk, number: int, dice: random.Random) -> None:
    """Draw what is on the panel, and answer one card after the other."""
    terminal = f"t{number}"
    while True:
        panel = await insist(desk.queue.read, terminal)
        fresh = frozenset(card.decision_id for card in panel.live)
        await insist(desk.drawn, terminal, fresh)
        for card in panel.live[:1]:
            reply = dice.choice(list(Reply))
            ruling, _ = await insist(desk.answer, card.decision_id, reply)
            assert ruling in set(Ruling), ruling
        await asyncio.sleep(0.02 + 0.05 * dice.random())


@pytest.mark.parametrize("comes_back", ["empty", "older", "whole"])
async def test_every_decided_card_ends_in_exactly_one_way(tmp_path: Path, comes_back: str, seed: int) -> None:
    server = RedisServer(tmp_path, keeps=comes_back == "whole")
    server.start()
    dice = random.Random(seed)
    try:
        async with process(server) as (opener, first), process(server) as (web, second), process(server) as (at, third):
            for number in range(COUNTERS):
                await insist(opener.open_visit, f"t{number}", ANNA + number, f"v{number}")
            door = DeskDoor(at)
            clerks = [asyncio.create_task(clerk(web, number, dice)) for number in range(COUNTERS)]
            sends = []
            for number in range(CARDS):
                sends.append(asyncio.create_task(offered(door, number)))
                await asyncio.sleep(0.02)
                if number == CARDS // 4 and comes_back == "older":
                    server.snapshot()
                if number == CARDS // 3:
                    server.kill()
                if number == CARDS // 2:
                    assert not door.up
                    server.start()
            outcomes = await asyncio.gather(*sends)
            assert not any(task.done() for task in clerks)
            await asyncio.gather(*(end(task) for task in clerks))
            for number in range(COUNTERS):
                await insist(opener.close_visit, f"v{number}")
                assert (await insist(opener.queue.read, f"t{number}")).live == ()
            await insist(opener.withdraw, "rule", "r")  # what the visits left unanswered
            owing = [f"t{number}" for number in range(COUNTERS)]
            async with asyncio.timeout(10):
                while owing:
                    owing = [name for name in owing if (await opener.queue.read(name)).owed]
                    await asyncio.sleep(0.05)
    finally:
        server.kill()
    ends: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    for card, answer in itertools.chain(first.answers, second.answers, third.answers):
        ends[card.decision_id].add((answer.kind, answer.shown))
    stands = {f"0-{number}-0-7" for number, (state, _) in enumerate(outcomes) if state is State.ACCEPTED}
    assert {name: len(ways) for name, ways in ends.items() if len(ways) != 1} == {}
    assert set(ends) == stands
    assert all(code for state, code in outcomes if state is State.PERMANENT)
    assert sum(way in {("accept", True), ("decline", True), ("later", True)} for (way,) in ends.values()) > COUNTERS
    told = [visit for log in (first, second, third) for visit in log.visits if not visit.open]
    assert {visit.id for visit in told} == {f"v{number}" for number in range(COUNTERS)}


async def test_what_redis_forgot_is_not_called_unknown_while_the_log_may_still_bring_it_back(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        async with process(server) as (desk, _):
            await insist(desk.open_visit, "t1", ANNA, "v1")
        server.kill()
        server.start()
        async with process(server, recall_ms=1_500) as (desk, _):
            await insist(desk.queue.read, "t1")
            for say in (desk.close_visit("v1"), desk.keep_visit("v1"), desk.answer("0-1-0-7", Reply.ACCEPT)):
                with pytest.raises(QueueLostError, match="may still come back"):
                    await say
            await desk.restore("t1", ANNA, "v1", now_ms())
            closed = await desk.close_visit("v1")
            assert closed is not None
            assert not closed.open
            assert await insist(desk.close_visit, "v2") is None, "some time later nobody brings it any more"
