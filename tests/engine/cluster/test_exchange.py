"""Receipts and replies between workers: each reaches the partition that it concerns, over whatever link it came."""

import asyncio
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import MobileOriginated, Receipt, ReceiptState
from connectors.kafka.writer import Written
from engine.dispatch.model import FOREVER_MS
from engine.dispatch.receipts import Awaited, Orphans, Receipts
from engine.runtimes.cluster.dispatch.exchange import Exchange
from tests.engine.cluster.test_settings import cluster

NOW_MS = 1_225_760_400_000


class Topic:
    """The topic `receipts`, and the tail of each worker on it."""

    def __init__(self) -> None:
        self.records: list[bytes | None] = []

    async def write(self, records: list[Written]) -> None:
        self.records.extend(one.value for one in records)


class Listener:
    """A partition: what it awaits, and what it was told."""

    def __init__(self, orphans: Orphans) -> None:
        self.core = SimpleNamespace(receipts=Receipts(FOREVER_MS, 1000, orphans))
        self.settled: list[str] = []
        self.opted: list[int] = []

    def submitted(self, message_id: str) -> None:
        early = self.core.receipts.expect(Awaited(f"d-{message_id}", 861, "smsc", (message_id,), NOW_MS, 0))
        for receipt in early:
            self.note_receipt(receipt)

    async def receipt(self, receipt: Receipt) -> None:
        self.note_receipt(receipt)

    def note_receipt(self, receipt: Receipt) -> None:
        matched = self.core.receipts.match(receipt, NOW_MS)
        assert matched is not None, "only what is awaited is handed on"
        self.settled.append(matched.report.decision_id)

    def opt_out(self, subscriber: int) -> None:
        self.opted.append(subscriber)


class World:
    """Two workers with two partitions each, on one topic."""

    def __init__(self) -> None:
        self.topic: Any = Topic()
        self.members: list[tuple[int, str, bool]] = []
        self.read: dict[int, int] = defaultdict(int)
        self.workers: list[Any] = []
        self.partitions: list[Listener] = []
        for _ in range(2):
            orphans = Orphans()
            world: Any = self
            exchange: Any = Exchange(cluster(), world.topic, world, orphans)
            self.workers.append(exchange)
            for _ in range(2):
                self.partitions.append(Listener(orphans))
                exchange.listeners[len(self.partitions) - 1] = self.partitions[-1]

    async def member(self, subscriber: int, name: str, *, member: bool) -> None:
        self.members.append((subscriber, name, member))

    def follow(self) -> None:
        """Let every worker read what was published."""
        for worker, exchange in enumerate(self.workers):
            for value in self.topic.records[self.read[worker] :]:
                exchange.hand_on(SimpleNamespace(offset=0, value=value), exchange.listeners.values())
            self.read[worker] = len(self.topic.records)


def receipt(message_id: str) -> Receipt:
    return Receipt("smsc", message_id, ReceiptState.DELIVERED, "000", NOW_MS)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.booleans()), max_size=30))
def test_every_receipt_settles_its_message_once_whoever_hears_it_and_when(
    messages: list[tuple[int, int, bool]],
) -> None:
    """Each message: who submits, which worker hears the receipt, and whether that comes before the submit's answer."""
    world = World()
    for number, (partition, hears, early) in enumerate(messages):
        if not early:
            world.partitions[partition].submitted(f"m{number}")
        asyncio.run(world.workers[hears].receipt(receipt(f"m{number}")))
        if number % 3 == 0:
            world.follow()
        if early:
            world.partitions[partition].submitted(f"m{number}")
    world.follow()

    for index, listener in enumerate(world.partitions):
        wanted = [f"d-m{number}" for number, (who, *_) in enumerate(messages) if who == index]
        assert sorted(listener.settled) == sorted(wanted)


@pytest.mark.parametrize(("text", "opts_out"), [("退订", True), ("thank you", False)])
def test_an_opt_out_reaches_the_log_and_what_waits_anywhere(text: str, opts_out: bool) -> None:
    world = World()
    asyncio.run(world.workers[0].reply(MobileOriginated("smsc", 8613800000001, "10086", text, NOW_MS)))
    world.follow()
    assert world.members == ([(8613800000001, "optout", True)] if opts_out else [])
    assert {tuple(one.opted) for one in world.partitions} == {(8613800000001,) if opts_out else ()}
