"""The outbox as a topic: what was committed is read back, by whoever owns the partition next."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka import BrokerError
from connectors.kafka.transactions import FencedError
from engine.dispatch.records import cursors
from engine.runtimes.cluster.dispatch.outbox import RECORDS_MAX, LostError, TopicOutbox
from state.disk import DiskError


class Ledger:
    """A topic's partition: transactions with a marker after each, whole or not at all."""

    def __init__(self) -> None:
        self.values: dict[int, bytes] = {}
        self.end = 0
        self.fault: Exception | None = None

    async def append(self, values: list[bytes]) -> int:
        if self.fault is not None:
            raise self.fault
        first = self.end
        self.values |= {first + index: value for index, value in enumerate(values)}
        self.end += len(values) + 1
        return first

    async def read(self) -> AsyncIterator[tuple[int, bytes]]:
        for offset in sorted(self.values):
            yield offset, self.values[offset]

    async def forget(self, below: int) -> None:
        self.values = {offset: value for offset, value in self.values.items() if offset >= below}


def loaded(ledger: Any) -> tuple[TopicOutbox, list[int]]:
    outbox = TopicOutbox(ledger)
    asyncio.run(outbox.load())
    return outbox, [record[1]["n"] for _, record in outbox.read()]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 5)),
        st.tuples(st.sampled_from(["commit", "crash"]), st.just(0)),
        st.tuples(st.just("retain"), st.integers(0, 30)),
    ),
    max_size=40,
)


@given(steps)
def test_a_new_owner_reads_what_was_committed_but_for_what_was_let_go(steps: list[tuple[str, int]]) -> None:
    asyncio.run(walk(steps))


async def walk(steps: list[tuple[str, int]]) -> None:
    ledger: Any = Ledger()
    outbox, waiting, number = TopicOutbox(ledger), [], 0
    kept: list[Any] = []
    for what, count in steps:
        if what == "put":
            for _ in range(count):
                waiting.append((outbox.put(cursors({"n": number})), number))
                number += 1
        elif what == "commit":
            outbox.flush(0)
            await outbox.commit()
            kept, waiting = kept + waiting, []
            assert not outbox.dirty
            assert all(position <= outbox.durable for position, _ in kept)
        elif what == "retain":
            before = min(count, outbox.durable + 1)
            outbox.retain(before)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            kept = [one for one in kept if one[0] >= before]
        else:
            outbox = TopicOutbox(ledger)
            await outbox.load()
            found = list(outbox.read())
            numbers = [record[1]["n"] for _, record in found]
            needed = [one for _, one in kept]
            assert numbers[len(numbers) - len(needed) :] == needed
            kept, waiting = [(position, record[1]["n"]) for position, record in found], []
            assert outbox.kept_bytes == sum(map(len, ledger.values.values()))


def test_a_long_array_is_cut_and_none_of_it_counts_as_durable_before_all_is() -> None:
    ledger: Any = Ledger()
    outbox = TopicOutbox(ledger)
    positions = [outbox.put(cursors({"n": number})) for number in range(2 * RECORDS_MAX + 1)]
    outbox.flush(0)
    assert outbox.durable < min(positions)
    asyncio.run(outbox.commit())
    assert max(positions) <= outbox.durable
    assert loaded(ledger)[1] == list(range(2 * RECORDS_MAX + 1))


async def test_what_is_being_deleted_when_it_closes_is_given_up_before_it_returns() -> None:
    ledger: Any = Ledger()
    connected: list[bool] = []

    async def forget(_below: object) -> None:
        connected.append(True)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            connected.clear()

    vars(ledger)["forget"] = forget
    outbox = await forgetting(ledger)
    assert connected
    await outbox.close()
    assert not connected


async def test_a_fault_of_deleting_is_neither_lost_nor_taken_for_brokers_that_are_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger: Any = Ledger()

    async def forget(_below: object) -> None:
        raise ValueError("partition=99")

    vars(ledger)["forget"] = forget
    outbox = await forgetting(ledger)
    with pytest.raises(ValueError, match="partition=99"):
        outbox.retain(1)

    outbox = await forgetting(ledger)
    await outbox.close()
    assert "partition=99" in caplog.text


async def forgetting(ledger: Any) -> TopicOutbox:
    """Return an outbox that has begun to delete its first array."""
    outbox = TopicOutbox(ledger)
    for number in range(2):
        outbox.put(cursors({"n": number}))
        outbox.flush(0)
        await outbox.commit()
    outbox.retain(1)
    await asyncio.sleep(0)
    return outbox


@pytest.mark.parametrize(("fault", "seen"), [(FencedError("other owner"), LostError), (BrokerError("away"), DiskError)])
def test_what_the_brokers_refuse_is_not_durable(fault: BrokerError | FencedError, seen: type[DiskError]) -> None:
    ledger: Any = Ledger()
    outbox = TopicOutbox(ledger)
    outbox.put(cursors({"n": 1}))
    outbox.flush(0)
    ledger.fault = fault
    with pytest.raises(seen):
        asyncio.run(outbox.commit())
    assert outbox.dirty
    assert outbox.durable == -1
