"""From records of a raw topic to the chunks that decoders take, thousands of records at a time.

A chunk's `key` is `topic/partition`, its `end` the offset to go on from; places inside it are bytes, as everywhere, and
`record_of` tells from which record, by its offset, a decoded row came.

Measured on one core with records of 185 bytes, beside a real broker: `getmany` and joining cost 1.7 microseconds a
record, where an agent costs 70; that is why raw topics are read here, below the agents.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError
from numpy.typing import NDArray

from connectors.kafka.client import consumer, started
from connectors.kafka.config import KafkaConfig
from connectors.sources.contract import Chunk, padded
from connectors.sources.kafka.config import RawConfig

Int64s = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Records:
    """A chunk, with the place in its bytes and the offset of each of its records.

    `assignment` is the reader's when the records came: behind another one they are read again.
    """

    chunk: Chunk
    starts: Int64s
    offsets: Int64s
    assignment: int = 0

    def record_of(self, places: Int64s) -> Int64s:
        """Return the offset of the record that each byte position of the chunk lies in."""
        return self.offsets[np.searchsorted(self.starts, places, side="right") - 1]

    def place_of(self, place: int) -> tuple[int, int]:
        """Return the offset of the record at a byte position of the chunk, and the position inside the record."""
        index = int(np.searchsorted(self.starts, place, side="right")) - 1
        return int(self.offsets[index]), place - int(self.starts[index])


def records_of(
    source: RawConfig, partition: int, records: Sequence[Any], received_ns: int, assignment: int = 0
) -> Records:
    """Make one chunk of consecutive records of one partition.

    A record without a value (a tombstone) holds no event.
    """
    values = [record.value or b"" for record in records]
    lengths = np.fromiter(map(len, values), np.int64, len(values)) + 1
    text = b"\n".join(values)
    if not source.blocks and text.count(b"\n") != len(values) - 1:
        # Inside JSON a bare line end is white space, so a blank says the same and keeps the record one line.
        text = b"\n".join(value.replace(b"\r\n", b"  ").replace(b"\n", b" ") for value in values)
    offsets = np.fromiter((record.offset for record in records), np.int64, len(records))
    chunk = Chunk(
        source=source.name,
        key=f"{source.topic}/{partition}",
        data=padded(text + b"\n"),
        length=len(text) + 1,
        start=0,
        end=int(offsets[-1]) + 1,
        dedupe=source.dedupe,
        done=False,
        received_ns=received_ns,
    )
    return Records(chunk, np.cumsum(lengths) - lengths, offsets, assignment)


class RawReader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """A member of the group that reads the raw topics; used by one task.

    `assignment` grows when partitions are taken back. What was read before and is not committed then is read again,
    here or elsewhere, and must not be committed any more: so every record is committed once, by one member.

    Args:
        config: where the brokers are.
        sources: the raw topics.
        group: the group's name; it holds how far each partition is packed.
        session_timeout_ms: silence after which a member counts as dead.
        records_max: records of one poll.
    """

    def __init__(
        self, config: KafkaConfig, sources: Sequence[RawConfig], group: str, session_timeout_ms: int, records_max: int
    ) -> None:
        self._config = config
        self._sources = {source.topic: source for source in sources}
        self.assignment = 0
        self._assigned = False
        self._consumer = consumer(
            config,
            group_id=group,
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=session_timeout_ms // 6,
            fetch_max_wait_ms=100,
            max_poll_records=records_max,
        )

    async def start(self) -> None:
        """Join the group."""
        await started(self._consumer, self._config)
        self._consumer.subscribe(list(self._sources), listener=self)

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:  # noqa: ARG002 aiokafka's signature
        """Take note that all partitions are taken back before any is given."""
        self.assignment += 1
        self._assigned = False

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:  # noqa: ARG002 aiokafka's signature
        """Take note that reading begins anew, at what is committed."""
        self._assigned = True

    async def stop(self) -> None:
        """Leave the group."""
        await self._consumer.stop()

    async def poll(self, wait_ms: int, received_ns: Callable[[], int]) -> list[Records]:
        """Return what came, one chunk a raw partition."""
        polled = await self._consumer.getmany(timeout_ms=wait_ms)
        if not self._assigned:
            return []
        return [
            records_of(self._sources[place.topic], place.partition, records, received_ns(), self.assignment)
            for place, records in polled.items()
            if records
        ]

    async def commit(self, ends: Mapping[str, int]) -> bool:
        """Say how far raw partitions of this assignment are packed, by key; whether the group took it.

        A commit that comes too late is no fault: the new owner packs again what we packed, and readers leave it out.
        """
        places = {place: ends[_key(place)] for place in self._consumer.assignment() if _key(place) in ends}
        if len(places) < len(ends):
            return False
        try:
            await self._consumer.commit(places)
        except (CommitFailedError, IllegalStateError):
            return False
        return True


def _key(place: TopicPartition) -> str:
    return f"{place.topic}/{place.partition}"
