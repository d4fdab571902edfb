"""Records of several topics written in one transaction: all of them are there, or none is.

    writer = await Together(config, name, message_bytes_max, open_ms_max).start()    fences whoever wrote under the name
    await writer.write([Written(topic, partition, value), ...])                      one transaction

Readers see that if they ask for committed records. A transaction that its writer left open by dying keeps them waiting
for `open_ms_max`, or until the next writer of the name starts.
"""

from collections.abc import Iterable

from aiokafka.errors import KafkaError

from connectors.kafka import BrokerError
from connectors.kafka.client import producer, started
from connectors.kafka.config import KafkaConfig
from connectors.kafka.writer import Written


class Together:
    """A writer of transactions; used by one task at a time.

    Args:
        config: where the brokers are.
        name: the transactional id; who starts last under it is the only one who can commit.
        message_bytes_max: largest record.
        open_ms_max: time after which the brokers give an open transaction up.
    """

    def __init__(self, config: KafkaConfig, name: str, message_bytes_max: int, open_ms_max: int) -> None:
        self._config = config
        self._producer = producer(
            config, transactional_id=name, transaction_timeout_ms=open_ms_max, max_request_size=message_bytes_max
        )

    async def start(self) -> "Together":
        """Become the writer of the name; BrokerError when no broker answers."""
        await started(self._producer, self._config)
        return self

    async def stop(self) -> None:
        """Close the connection; a transaction that is open is given up."""
        await self._producer.stop()

    async def write(self, records: Iterable[Written]) -> None:
        """Write records in one transaction; BrokerError when none was written, or nobody can say."""
        try:
            async with self._producer.transaction():
                sent = [
                    await self._producer.send(
                        one.topic, one.value, key=one.key, partition=one.partition, timestamp_ms=one.at_ms
                    )
                    for one in records
                ]
                for one in sent:
                    await one
        except KafkaError as fault:
            raise BrokerError(f"{fault or type(fault).__name__}") from fault
