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
from engine.dispatch.opted_out import OptOut
from engine.dispatch.orphans import Orphans
from engine.dispatch.receipts import Awaited, Receipts
from engine.flow.steps import FOREVER_MS
from engine.runtimes.cluster.dispatch.exchange import Exchange
from tests.engine.cluster.test_settings import cluster

NOW_MS = 1_225_760_400_000


class Topic:
    """The topic `receipts`, and the tail of each worker on it."""

    def __init__(self) -> None:
        self.records: list[bytes | None] = []

    async def write(self, records: list[Written]) -> list[int]:
        self.records.extend(one.value for one in records)
        return []


class Listener:
    """A partition: what it awaits, and what it was told."""

    def __init__(self, orphans: Orphans) -> None:
        self.core = SimpleNamespace(receipts=Receipts(FOREVER_MS, 1000, orphans))
        self.ended: list[str] = []
        self.opted: list[tuple[int | str, ...]] = []
        self.stuck = False

    def submitted(self, message_id: str) -> None:
        early = self.core.receipts.expect(Awaited(f"d-{message_id}", 861, "smsc", (message_id,), NOW_MS, 0))
        for receipt in early:
            self.note_receipt(receipt)

    async def receipt(self, receipt: Receipt) -> None:
        self.note_receipt(receipt)

    def note_receipt(self, receipt: Receipt) -> None:
        matched = self.core.receipts.match(receipt, NOW_MS)
        assert matched is not None, "only what is awaited is handed on"
        self.ended.append(matched.report.decision_id)

    def opt_out(self, opt_out: OptOut, gateway: str = "", to_address: str = "") -> None:
        self.opted.append((*opt_out, gateway, to_address))

    async def settled(self, subscriber: int) -> None:
        assert any(one[0] == subscriber for one in self.opted)
        if self.stuck:
            await asyncio.Event().wait()


class World:
    """Two workers with two partitions each, on one topic."""

    def __init__(self) -> None:
        self.topic: Any = Topic()
        self.members: list[tuple[int, str, bool]] = []
        self.replies: list[MobileOriginated] = []
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

    async def member(self, subscriber: int, name: str, *, member: bool) -> tuple[int, int]:
        self.members.append((subscriber, name, member))
        return 2, 77

    async def reply(self, reply: MobileOriginated, decision_id: str) -> bool:
        self.replies.append(reply)
        return True

    def listen(self, listener: Any, heard: list[Receipt]) -> None:
        """Let a partition await one text whose outcome is unknown, and keep what it is given."""
        listener.core.receipts.expect(Awaited("d-7", 861, "smsc", (), NOW_MS, 0, NOW_MS, 1))
        listener.note_receipt = heard.append

    def follow(self) -> None:
        """Let every worker read what was published."""
        for worker, exchange in enumerate(self.workers):
            for value in self.topic.records[self.read[worker] :]:
                exchange.hand_on(SimpleNamespace(offset=0, value=value), exchange.listeners)
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
        assert sorted(listener.ended) == sorted(wanted)


@given(
    st.lists(st.integers(1, 10**15), max_size=2),
    st.lists(st.text(max_size=5), max_size=2),
    st.lists(st.text(max_size=5), max_size=2),
)
def test_a_receipt_passes_between_workers_whole(numbers: list[int], guesses: list[str], part_ids: list[str]) -> None:
    world = World()
    sent = Receipt(
        "smsc", "7", ReceiptState.ACCEPTED, "", NOW_MS, tuple(numbers), tuple(guesses), "d-7", tuple(part_ids)
    )
    heard: list[Receipt] = []
    listener = world.partitions[2]
    world.listen(listener, heard)
    asyncio.run(world.workers[0].receipt(sent))
    world.follow()
    assert heard == [sent]


def test_a_receipt_that_a_worker_of_the_release_before_published_is_read() -> None:
    world = World()
    world.partitions[0].submitted("7")
    world.topic.records.append(b'{"receipt":["smsc","7","delivered","000",1]}')
    world.follow()
    assert world.partitions[0].ended == ["d-7"]


async def hearing(world: World, text: str, turns: int = 20) -> "asyncio.Task[None]":
    """Let a worker hear a reply, and all workers read what is published, for some turns of the loop."""
    heard = asyncio.create_task(world.workers[0].reply(MobileOriginated("smsc", 8613800000001, "10086", text, NOW_MS)))
    for _ in range(turns):
        await asyncio.sleep(0)
        world.follow()
    return heard


async def test_an_opt_out_is_acknowledged_when_the_owner_of_its_partition_has_applied_it() -> None:
    world = World()
    await (await hearing(world, "退订"))
    assert world.members == [(8613800000001, "optout", True)]
    assert [one.opted for one in world.partitions] == [[], [], [(8613800000001, "", 2, 77, "smsc", "10086")], []]


async def test_an_opt_out_that_its_owner_cannot_apply_is_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runtimes.cluster.dispatch.exchange.APPLIED_S", 0.05)
    world = World()
    world.partitions[2].stuck = True
    with pytest.raises(TimeoutError):
        await (await hearing(world, "TD"))
    assert world.members == [(8613800000001, "optout", True)]


async def test_an_opt_out_whose_partition_nobody_owns_is_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runtimes.cluster.dispatch.exchange.APPLIED_S", 0.05)
    world = World()
    del world.workers[1].listeners[2]
    with pytest.raises(TimeoutError):
        await (await hearing(world, "TD"))


async def test_the_next_owner_of_a_partition_applies_an_opt_out_that_it_finds_in_the_topic() -> None:
    world = World()
    del world.workers[1].listeners[2]
    heard = await hearing(world, "TD")
    late = Listener(Orphans())
    for value in list(world.topic.records):
        world.workers[0].hand_on(SimpleNamespace(offset=0, value=value), {2: late})
    for _ in range(10):
        await asyncio.sleep(0)
        world.follow()
    await heard
    assert late.opted == [(8613800000001, "", 2, 77, "smsc", "10086")]


async def test_a_reply_that_is_no_opt_out_is_kept_and_an_opt_in_waits_for_nobody() -> None:
    world = World()
    await (await hearing(world, "thank you"))
    await (await hearing(world, "START"))
    assert [one.text for one in world.replies] == ["thank you"]
    assert world.members == [(8613800000001, "optout", False)]
    assert not any(one.opted for one in world.partitions)
