"""An administrator's client of the simulated brokers."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

from tests.simulation.cluster.net import Net


class Admin:
    """An administrator's client: describes topics, deletes records."""

    def __init__(self, net: Net) -> None:
        self._net = net

    async def start(self) -> None:
        await self._net.ask(lambda: None)

    async def close(self) -> None:
        """Nothing is open."""

    async def describe_topics(self, names: Sequence[str]) -> list[dict[str, Any]]:
        def describe(name: str) -> dict[str, Any]:
            places = self._net.broker.places(name)
            parts = [{"partition": place.partition, "replicas": [1]} for place in places]
            return {"topic": name, "partitions": parts, "error_code": 0 if parts else 3}

        return await self._net.ask(lambda: [describe(name) for name in names])

    async def delete_records(self, below: Mapping[TopicPartition, Any]) -> None:
        def delete() -> None:
            for place, wanted in below.items():
                self._net.broker.partitions[place].forget(wanted.before_offset)

        await self._net.ask(delete)
