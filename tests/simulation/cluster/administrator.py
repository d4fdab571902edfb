"""The client of Kafka's administrator, over the brokers in memory: see `clients`."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

from tests.simulation.cluster.net import Net

UNKNOWN_TOPIC = 3


class Admin:
    """An administrator's client: says which topics there are, deletes records."""

    def __init__(self, net: Net) -> None:
        self._net = net

    async def start(self) -> None:
        await self._net.ask(lambda: None)

    async def close(self) -> None:
        """Nothing is open."""

    async def delete_records(self, below: Mapping[TopicPartition, Any]) -> None:
        def delete() -> None:
            for place, wanted in below.items():
                self._net.broker.partitions[place].forget(wanted.before_offset)

        await self._net.ask(delete)

    async def describe_topics(self, names: Sequence[str]) -> list[dict[str, Any]]:
        def describe() -> list[dict[str, Any]]:
            there = [place.topic for place in self._net.broker.partitions]
            return [
                {
                    "topic": name,
                    "error_code": 0 if name in there else UNKNOWN_TOPIC,
                    "partitions": [{"replicas": [0]}] * there.count(name),
                }
                for name in names
            ]

        return await self._net.ask(describe)
