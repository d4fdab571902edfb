"""Records written to topics by one idempotent producer, and waited for.

    writer = await Writer(config, message_bytes_max).start()
    await writer.write([Written(topic, partition, value), ...])     all of them are durable

Records of one partition stand in the order in which they were given, over all calls.

An idempotent producer that gave a record up, as after an outage of the brokers, has left a gap and takes no more in
that partition. So a fault costs the producer, and the next write begins with a new one.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple

from connectors.kafka import BrokerError
from connectors.kafka.client import broker_errors, producer, started
from connectors.kafka.config import KafkaConfig


class Written(NamedTuple):
    """A record to write; `value` None deletes the key, `at_ms` None is the time of writing."""

    topic: str
    partition: int
    value: bytes | None
    key: bytes | None = None
    at_ms: int | None = None


class Writer:
    """A producer whose records are waited for; used by any number of tasks.

    Args:
        config: where the brokers are.
        message_bytes_max: largest record.
    """

    def __init__(self, config: KafkaConfig, message_bytes_max: int) -> None:
        self._config = config
        self._message_bytes_max = message_bytes_max
        self._producer: Any = None
        self._changing = asyncio.Lock()

    async def start(self) -> "Writer":
        """Connect; BrokerError when no broker answers."""
        await self._connected()
        return self

    async def stop(self) -> None:
        """Write what was given, close the connection."""
        await self._give_up(self._producer)

    async def write(self, records: Iterable[Written]) -> list[int]:
        """Write records; returns their offsets when all are durable. BrokerError when some may not be."""
        used = await self._connected()
        try:
            with broker_errors("records may not be written"):
                return await send_all(used, records)
        except BrokerError:
            await self._give_up(used)
            raise

    async def _connected(self) -> Any:
        async with self._changing:
            if self._producer is None:
                made = producer(self._config, max_request_size=self._message_bytes_max)
                self._producer = await started(made, self._config)
            return self._producer

    async def _give_up(self, used: Any) -> None:
        """Close a producer, once what others gave it is written or given up.

        The lock is held over the close: a new producer must not be made before, or its records could overtake.
        """
        async with self._changing:
            if used is not None and used is self._producer:
                self._producer = None
                with broker_errors("the connection is not closed in order"):
                    await used.stop()


async def send_all(producer: Any, records: Iterable[Written]) -> list[int]:
    """Send records and wait until all are durable, or for the first fault; return their offsets."""
    sent = [
        await producer.send(one.topic, one.value, key=one.key, partition=one.partition, timestamp_ms=one.at_ms)
        for one in records
    ]
    return [written.offset for written in await asyncio.gather(*sent)]
