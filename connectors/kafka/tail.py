"""One partition of a topic, read by offset: for what a worker restores, follows and reads again.

No group, no commits. `to_end` reads what stands there when it is called; what transactions have not committed is not
seen where `committed` is asked for.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any, Self

from aiokafka import TopicPartition

from connectors.kafka.client import broker_errors, consumer, started
from connectors.kafka.config import KafkaConfig

WAIT_MS = 250
RECORDS_MAX = 4096


class Tail:
    """A reader of one partition; used by one task at a time.

    Args:
        config: where the brokers are.
        topic, partition: what to read.
        committed: leave out what belongs to transactions that are open or were given up.
    """

    def __init__(self, config: KafkaConfig, topic: str, partition: int, *, committed: bool = False) -> None:
        self._config = config
        self._place = TopicPartition(topic, partition)
        level = "read_committed" if committed else "read_uncommitted"
        self._consumer = consumer(config, isolation_level=level, fetch_max_wait_ms=WAIT_MS)

    async def start(self) -> Self:
        """Connect and stand at the first record; BrokerError when no broker answers."""
        await started(self._consumer, self._config)
        self._consumer.assign([self._place])
        # Brokers answer one request of a connection after the other: nothing is fetched until somebody wants it, so
        # that questions about offsets do not wait for a fetch.
        self._consumer.pause(self._place)
        await self._consumer.seek_to_beginning(self._place)
        return self

    async def stop(self) -> None:
        """Close the connection."""
        await self._consumer.stop()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def first(self) -> int:
        """Return the offset of the oldest record kept."""
        return int((await self._consumer.beginning_offsets([self._place]))[self._place])

    async def first_of(self, partition: int) -> int:
        """Return the offset of the oldest record kept in another partition of the topic."""
        place = TopicPartition(self._place.topic, partition)
        return int((await self._consumer.beginning_offsets([place]))[place])

    async def end(self) -> int:
        """Return the offset that the next record to be seen will at least have."""
        return int((await self._consumer.end_offsets([self._place]))[self._place])

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the ends of several partitions of the topic; BrokerError when the brokers do not say."""
        places = [TopicPartition(self._place.topic, partition) for partition in partitions]
        with broker_errors(f"ends of {self._place.topic}"):
            found = await self._consumer.end_offsets(places) if places else {}
        return {place.partition: int(end) for place, end in found.items()}

    async def offset_at(self, at_ms: int) -> int | None:
        """Return the first offset with a timestamp at or after `at_ms`; None when there is none."""
        found = (await self._consumer.offsets_for_times({self._place: max(at_ms, 0)}))[self._place]
        return int(found.offset) if found is not None else None

    def seek(self, offset: int) -> None:
        """Go to an offset."""
        self._consumer.seek(self._place, offset)

    async def position(self) -> int:
        """Return the offset from which the next poll reads."""
        return int(await self._consumer.position(self._place))

    async def poll(self) -> list[Any]:
        """Return the records that are there, waiting a moment for the first."""
        self._consumer.resume(self._place)
        polled = await self._consumer.getmany(timeout_ms=WAIT_MS, max_records=RECORDS_MAX)
        return list(polled.get(self._place, []))

    async def to_end(self) -> AsyncIterator[list[Any]]:
        """Yield records up to what is the end now."""
        end = await self.end()
        while await self.position() < end:
            records = await self.poll()
            if records:
                yield records
