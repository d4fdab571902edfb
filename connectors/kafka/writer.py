"""Records written to topics by one idempotent producer, and waited for.

    writer = await Writer(config, message_bytes_max).start()
    await writer.write([Written(topic, partition, value), ...])     all of them are durable

Records of one partition stand in the order in which they were given, over all calls.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple

from connectors.kafka.client import producer, started, told
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
        self._producer = producer(config, max_request_size=message_bytes_max)

    async def start(self) -> "Writer":
        """Connect; BrokerError when no broker answers."""
        await started(self._producer, self._config)
        return self

    async def stop(self) -> None:
        """Write what was given, close the connection."""
        await self._producer.stop()

    async def write(self, records: Iterable[Written]) -> None:
        """Write records; returns when all are durable. BrokerError when some may not be."""
        with told("records may not be written"):
            await send_all(self._producer, records)


async def send_all(producer: Any, records: Iterable[Written]) -> None:
    """Send records and wait until all are durable, or for the first fault."""
    sent = [
        await producer.send(one.topic, one.value, key=one.key, partition=one.partition, timestamp_ms=one.at_ms)
        for one in records
    ]
    await asyncio.gather(*sent)
