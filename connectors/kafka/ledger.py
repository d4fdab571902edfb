"""One partition of a topic as the memory of its owner: appended to in transactions, read back by the next owner.

    ledger = await Ledger(config, topic, partition, name, bytes_max).start()    fences the owner before
    async for offset, value in ledger.read(): ...                               what was committed
    offset = await ledger.append([value, ...])                                  one transaction
    await ledger.forget(offset)                                                 nothing below is needed any more

A transaction cost 20 to 26 ms on a local broker (aiokafka waits 20 ms where the one before is still being marked), a
send without one 0.5 ms: append many values at a time.
"""

from collections.abc import AsyncIterator, Sequence

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced

from connectors.kafka import BrokerError
from connectors.kafka.client import admin, producer, started
from connectors.kafka.config import KafkaConfig
from connectors.kafka.tail import Tail


class FencedError(BrokerError):
    """Another owner has started."""


class Ledger:
    """The records of one partition; used by one task at a time.

    Args:
        config: where the brokers are.
        topic, partition: where they stand.
        owner: the transactional id; who starts last under it owns the partition.
        message_bytes_max: largest record.
    """

    def __init__(self, config: KafkaConfig, topic: str, partition: int, owner: str, message_bytes_max: int) -> None:
        self._config = config
        self._place = TopicPartition(topic, partition)
        self._producer = producer(config, transactional_id=owner, max_request_size=message_bytes_max)

    async def start(self) -> "Ledger":
        """Become the owner; BrokerError when no broker answers."""
        await started(self._producer, self._config)
        return self

    async def stop(self) -> None:
        """Close the connection; a transaction that is open is given up."""
        await self._producer.stop()

    async def append(self, values: Sequence[bytes]) -> int:
        """Append values in one transaction; return the offset of the first.

        FencedError when another owner has started: nothing was written. BrokerError when the brokers cannot be
        reached: nobody can say whether it was, and this ledger takes nothing more.
        """
        topic, partition = self._place
        try:
            async with self._producer.transaction():
                sent = [await self._producer.send(topic, value, partition=partition) for value in values]
                first = (await sent[0]).offset
                for one in sent[1:]:
                    await one
        except (ProducerFenced, InvalidProducerEpoch) as fault:
            raise FencedError(f"{topic}/{partition}: another owner has started") from fault
        except KafkaError as fault:
            raise BrokerError(f"{topic}/{partition}: {fault or type(fault).__name__}") from fault
        return int(first)

    async def read(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield (offset, value) of everything committed, to the present end."""
        tail = await Tail(self._config, self._place.topic, self._place.partition, committed=True).start()
        try:
            tail.seek(await tail.first())
            async for records in tail.to_end():
                for record in records:
                    yield record.offset, record.value
        finally:
            await tail.stop()

    async def forget(self, below: int) -> None:
        """Let the brokers delete what lies below an offset; BrokerError when they do not."""
        client = await started(admin(self._config), self._config)
        try:
            await client.delete_records({self._place: RecordsToDelete(before_offset=below)})
        except KafkaError as fault:
            raise BrokerError(
                f"{self._place.topic}/{self._place.partition}: {fault or type(fault).__name__}"
            ) from fault
        finally:
            await client.close()
