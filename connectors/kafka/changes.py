"""A compacted topic of keys and values, written in transactions by one owner at a time.

    changes = await Changes(config, topic, partition, name).start()     fences the previous owner
    end = await changes.write(rows)                                     one transaction; the offset after it

`read` gives what a store needs that stands at an offset: every later change, in order.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from connectors.kafka.config import KafkaConfig
from connectors.kafka.rows import Row, send_rows
from connectors.kafka.tail import Tail
from connectors.kafka.transactions import Transactions


class Changes:
    """The changes of one partition; used by one task at a time.

    Args:
        config: where the brokers are.
        topic, partition: where they stand.
        owner: the transactional id; the client that starts last under it owns the partition.
        message_bytes_max: largest row.
    """

    def __init__(self, config: KafkaConfig, topic: str, partition: int, owner: str, message_bytes_max: int) -> None:
        self._topic = topic
        self._partition = partition
        self._tail = Tail(config, topic, partition, committed=True)
        self._writer = Transactions(config, owner, message_bytes_max, f"{topic}/{partition}")

    async def start(self) -> "Changes":
        """Become the owner; BrokerError when no broker answers."""
        await asyncio.gather(self._writer.start(), self._tail.start())
        return self

    async def stop(self) -> None:
        """Close the connections; a transaction that is open is given up."""
        await self._tail.stop()
        await self._writer.stop()

    async def write(self, rows: Sequence[Row]) -> int:
        """Write rows, at least one, in one transaction; return the offset after the last.

        FencedError when another owner has started: nothing was written. BrokerError also when the brokers cannot be
        reached: it is not known whether it was, and these changes take nothing more.
        """
        async with self._writer.transaction() as producer:
            sent = await send_rows(producer, self._topic, self._partition, rows)
            end = max([(await one).offset + count for one, count in sent])
        return int(end)

    async def read(self, start: int) -> AsyncIterator[tuple[int, Sequence[Row]]]:
        """Yield (offset after, rows) from `start` to the present end; the last one may hold no row."""
        self._tail.seek(max(start, await self._tail.first()))
        async for records in self._tail.to_end():
            yield records[-1].offset + 1, [(record.key, record.value) for record in records]
