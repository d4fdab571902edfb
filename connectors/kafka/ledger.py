"""One partition of a topic as the memory of its owner: appended to in transactions, read back by the next owner.

ledger = await Ledger(config, topic, partition, name, bytes_max).start()    fences the previous owner
async for offset, value in ledger.read(): ...                               what was committed
offset = await ledger.append([value, ...])                                  one transaction
await ledger.forget(offset)                                                 nothing below is needed any more
"""

from collections.abc import AsyncIterator, Sequence

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from connectors.kafka.client import admin, broker_errors, started
from connectors.kafka.config import KafkaConfig
from connectors.kafka.tail import Tail
from connectors.kafka.transactions import Transactions


class Ledger:
    """The records of one partition; used by one task at a time.

    Args:
        config: where the brokers are.
        topic, partition: where they stand.
        owner: the transactional id; the client that starts last under it owns the partition.
        message_bytes_max: largest record.
    """

    def __init__(self, config: KafkaConfig, topic: str, partition: int, owner: str, message_bytes_max: int) -> None:
        self._config = config
        self._place = TopicPartition(topic, partition)
        self._where = f"{topic}/{partition}"
        self._writer = Transactions(config, owner, message_bytes_max, self._where)

    async def start(self) -> "Ledger":
        """Become the owner; BrokerError when no broker answers."""
        await self._writer.start()
        return self

    async def stop(self) -> None:
        """Close the connection; a transaction that is open is given up."""
        await self._writer.stop()

    async def append(self, values: Sequence[bytes]) -> int:
        """Append values in one transaction; return the offset of the first.

        FencedError when another owner has started: nothing was written. BrokerError when the brokers cannot be
        reached: it is not known whether it was, and this ledger takes nothing more.
        """
        topic, partition = self._place
        async with self._writer.transaction() as producer:
            sent = [await producer.send(topic, value, partition=partition) for value in values]
            first = (await sent[0]).offset
            for one in sent[1:]:
                await one
        return int(first)

    async def read(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield (offset, value) of everything committed, to the present end."""
        async with Tail(self._config, self._place.topic, self._place.partition, committed=True) as tail:
            async for records in tail.to_end():
                for record in records:
                    yield record.offset, record.value

    async def forget(self, below: int) -> None:
        """Let the brokers delete what lies below an offset; BrokerError when they do not."""
        client = await started(admin(self._config), self._config)
        try:
            with broker_errors(self._where):
                await client.delete_records({self._place: RecordsToDelete(before_offset=below)})
        finally:
            await client.close()
