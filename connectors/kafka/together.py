"""Records of several topics written in one transaction: all of them are there, or none is.

    writer = await Together(config, name, message_bytes_max, open_ms_max).start()    fences earlier writers of the name
    await writer.write([Written(topic, partition, value), ...])                      one transaction

Readers see that if they ask for committed records. A transaction that its writer left open by dying keeps them waiting
for `open_ms_max`, or until the next writer of the name starts.
"""

from collections.abc import Iterable

from connectors.kafka.config import KafkaConfig
from connectors.kafka.transactions import Transactions
from connectors.kafka.writer import Written, send_all


class Together:
    """A writer of transactions; used by one task at a time.

    Args:
        config: where the brokers are.
        name: the transactional id; the client that starts last under it is the only one who can commit.
        message_bytes_max: largest record.
        open_ms_max: time after which the brokers give an open transaction up.
    """

    def __init__(self, config: KafkaConfig, name: str, message_bytes_max: int, open_ms_max: int) -> None:
        self._writer = Transactions(config, name, message_bytes_max, name, transaction_timeout_ms=open_ms_max)

    async def start(self) -> "Together":
        """Become the writer of the name; BrokerError when no broker answers."""
        await self._writer.start()
        return self

    async def stop(self) -> None:
        """Close the connection; a transaction that is open is given up."""
        await self._writer.stop()

    async def write(self, records: Iterable[Written]) -> None:
        """Write records in one transaction; BrokerError when none was written, or it is not known whether."""
        async with self._writer.transaction() as producer:
            await send_all(producer, records)
