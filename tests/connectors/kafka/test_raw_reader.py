"""More of a raw topic is fetched ahead only where much is there: else the answer would be old when it is read."""

import asyncio

import pytest
from aiokafka import TopicPartition

from connectors.kafka.config import KafkaConfig
from connectors.sources.kafka import client
from connectors.sources.kafka.client import MUCH_BYTES, RawReader
from connectors.sources.kafka.config import RawConfig
from connectors.sources.kafka.fetch import Answer
from tests.connectors.kafka.record_batches import batch

PLACE = TopicPartition("raw", 0)


class Fetches:
    """One answer, and how often more was asked for."""

    def __init__(self, values: list[bytes]) -> None:
        self.values = values
        self.asked = 0

    def want(self, offsets: dict[TopicPartition, int]) -> None:
        assert offsets == {} or offsets == {PLACE: 0}

    def go_on(self, place: TopicPartition, offset: int) -> None:
        assert (place, offset) == (PLACE, len(self.values))

    async def next(self, _wait_s: object) -> list[Answer]:
        return [Answer(PLACE, 0, batch(self.values, 0))]

    def ask(self) -> None:
        self.asked += 1


class Member:
    """The member of the group that has the raw partition."""

    def pause(self, *places: TopicPartition) -> None:
        assert places == (PLACE,)

    def assignment(self) -> set[TopicPartition]:
        return {PLACE}

    async def getmany(self, timeout_ms: int) -> None:
        assert timeout_ms == 0

    async def position(self, _place: object) -> int:
        return 0


@pytest.mark.parametrize(("length", "asked"), [(100, 0), (MUCH_BYTES, 1)])
def test_more_is_fetched_while_records_are_packed_only_where_much_came(
    monkeypatch: pytest.MonkeyPatch, length: int, asked: int
) -> None:
    fetches = Fetches([b"x" * length])
    monkeypatch.setattr(client, "consumer", lambda *_, **__: Member())
    monkeypatch.setattr(client, "Fetches", lambda *_: fetches)
    reader = RawReader(KafkaConfig(), [RawConfig(name="feed", topic="raw")], "group", 6000, 1000, "name")
    reader.on_partitions_assigned([PLACE])

    (records,) = asyncio.run(reader.poll(1, lambda: 0))

    assert records.chunk.length == length + 1
    assert fetches.asked == asked
