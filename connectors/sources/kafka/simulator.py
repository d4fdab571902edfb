"""A producer as operators have them: one event a record, keyed by the subscriber, whose events so keep their order."""

import asyncio
import re
from collections.abc import Sequence

from aiokafka.errors import KafkaError

from connectors.kafka import BrokerError
from connectors.kafka.client import producer, started
from connectors.kafka.config import KafkaConfig

_SUBSCRIBER = re.compile(rb'"msisdn": ?"?(\d+)')


class RawProducer:
    """Writes lines to a raw topic; for programs that have no loop of their own.

    Raises:
        BrokerError: no broker answers, or there is no such topic.
    """

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        self._topic = topic
        self._runner = asyncio.Runner()
        self._runner.run(self._start(config))

    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines; returns when the brokers have them."""
        self._runner.run(self._write(lines))

    def close(self) -> None:
        """Close the connection."""
        self._runner.run(self._producer.stop())
        self._runner.close()

    async def _start(self, config: KafkaConfig) -> None:
        self._producer = await started(producer(config, linger_ms=5), config)
        try:
            await self._producer.partitions_for(self._topic)
        except KafkaError as fault:
            await self._producer.stop()
            raise BrokerError(f"topic {self._topic}: {fault}") from fault

    async def _write(self, lines: Sequence[bytes]) -> None:
        try:
            await asyncio.gather(*[await self._send(line) for line in lines])
        except KafkaError as fault:
            raise BrokerError(f"topic {self._topic}: {fault or type(fault).__name__}") from fault

    async def _send(self, line: bytes) -> "asyncio.Future[object]":
        found = _SUBSCRIBER.search(line)
        sent: asyncio.Future[object] = await self._producer.send(
            self._topic, line, key=found[1] if found is not None else None
        )
        return sent
