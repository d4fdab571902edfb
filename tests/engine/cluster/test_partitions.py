"""What a dispatcher does with partitions that other workers fence while assignments come and go."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from engine.metrics import Metrics
from engine.runtimes.cluster.dispatch import service as module
from engine.runtimes.cluster.dispatch.exchange import Exchange
from engine.runtimes.cluster.dispatch.outbox import LostError
from engine.runtimes.cluster.dispatch.service import LOST_SESSIONS, Dispatch
from engine.runtimes.cluster.shared.watchdog import SilentError
from engine.settings.config import Config
from tests.engine.cluster.standins import NOT_USED

FENCED = LostError("another owner has started")


class PartitionStandIn:
    """A partition that is sent: it fails when told, and closes when `leave` says."""

    leave: ClassVar[asyncio.Event]

    def __init__(self, number: int, *_: object) -> None:
        self.number, self.read, self.failure, self.closed = number, 7, None, 0
        self.closing = asyncio.Event()
        self.dispatcher = SimpleNamespace(log_away=False, room=lambda: 1, status=dict)

    async def open(self, _switches: object) -> None:
        pass

    async def close(self, _wait_s: object) -> None:
        self.closed += 1
        self.closing.set()
        await self.leave.wait()


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def dispatch(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Any:
    PartitionStandIn.leave = asyncio.Event()
    monkeypatch.setattr(module, "SendingPartition", PartitionStandIn)
    monkeypatch.setattr(module, "POLL_S", 0.001)
    monkeypatch.setattr(module, "make_policy", lambda *_: None)
    monkeypatch.setattr(module, "partition_policy", lambda *_: None)
    monkeypatch.setattr(module, "process_rates", lambda *_: {})
    monkeypatch.setattr(module, "time", clock)

    async def catch_up() -> None:
        pass

    control_topic: Any = SimpleNamespace(catch_up=catch_up, active=object(), switches={})
    return Dispatch(Config(), NOT_USED, control_topic, Metrics(), NOT_USED, NOT_USED, NOT_USED)


@contextlib.asynccontextmanager
async def watched(dispatch: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Watch the partitions; what ended the watch is raised at the end."""
    *_, watch = dispatch.work()
    for other in _:
        other.close()
    task = asyncio.create_task(watch)
    try:
        yield task
        await asyncio.sleep(0.02)
        if task.done():
            await task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_partitions_let_go_while_a_fenced_one_is_closed_are_closed_once_and_end_nothing(
    dispatch: Any,
) -> None:
    await dispatch.assigned([0, 1])
    zero, one = (dispatch.owned[number] for number in (0, 1))
    async with watched(dispatch):
        zero.failure = one.failure = FENCED
        await zero.closing.wait()
        revoked = asyncio.create_task(dispatch.revoked())
        await asyncio.sleep(0.005)
        PartitionStandIn.leave.set()
        await revoked

    assert (zero.closed, one.closed) == (1, 1)
    assert not dispatch.owned


async def test_a_partition_opened_anew_while_another_is_closed_is_left_alone(dispatch: Any) -> None:
    await dispatch.assigned([0, 1])
    zero, one = (dispatch.owned[number] for number in (0, 1))
    async with watched(dispatch):
        zero.failure = one.failure = FENCED
        await zero.closing.wait()
        rebalance = asyncio.gather(dispatch.revoked(), dispatch.assigned([1]))
        await asyncio.sleep(0.005)
        PartitionStandIn.leave.set()
        await rebalance

    assert one.closed == 1
    assert dispatch.owned.keys() == {1}
    assert (dispatch.owned[1] is one, dispatch.owned[1].closed) == (False, 0)


async def test_a_lost_partition_that_is_not_assigned_anew_ends_the_worker(dispatch: Any, clock: Clock) -> None:
    PartitionStandIn.leave.set()
    await dispatch.assigned([0, 1])
    limit_s = LOST_SESSIONS * Config().cluster.session_timeout_ms / 1000
    dispatch.owned[1].failure = FENCED
    async with watched(dispatch):
        pass
    assert dispatch.status()["lost"] == [1]

    clock.now_s = limit_s
    async with watched(dispatch):
        pass
    clock.now_s = limit_s + 1
    with pytest.raises(SilentError, match=f"partition 1 was taken by another worker {limit_s + 1:.0f} s ago"):
        async with watched(dispatch):
            pass


async def test_a_lost_partition_is_forgotten_when_partitions_are_assigned_anew(dispatch: Any, clock: Clock) -> None:
    PartitionStandIn.leave.set()
    await dispatch.assigned([0])
    dispatch.owned[0].failure = FENCED
    async with watched(dispatch):
        pass
    await dispatch.revoked()
    clock.now_s = 1e6
    async with watched(dispatch):
        pass

    assert dispatch.status()["lost"] == []


async def test_a_partition_that_was_given_and_never_opened_stands_still(dispatch: Any) -> None:
    dispatch.given = {0}

    assert dispatch.positions() == {0: -1}
    assert dispatch.at_rest() == set()
    async with dispatch._changing:
        assert dispatch.at_rest() == {0}


def test_who_leaves_late_does_not_take_receipts_from_who_came_after() -> None:
    exchange = Exchange(Config(), NOT_USED, NOT_USED, NOT_USED)
    before: Any = SimpleNamespace()
    after: Any = SimpleNamespace()
    asyncio.run(exchange.join(0, before, 0))
    asyncio.run(exchange.join(0, after, 0))
    exchange.leave(0, before)
    assert exchange.listeners == {0: after}
    exchange.leave(0, after)
    assert exchange.listeners == {}
