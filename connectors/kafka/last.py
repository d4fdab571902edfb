"""The last committed records of many partitions of a topic, read by one consumer for an occasional look."""

from collections.abc import Collection

from aiokafka import TopicPartition

from connectors.kafka.client import broker_errors, consumer, started
from connectors.kafka.config import KafkaConfig

WAIT_MS = 250


async def last_values(
    config: KafkaConfig, topic: str, partitions: Collection[int], count: int
) -> dict[int, list[bytes]]:
    """Return the values among the last `count` offsets of each partition, the oldest first; marks take offsets, too.

    BrokerError when the brokers do not say.
    """
    places = [TopicPartition(topic, partition) for partition in partitions]
    found: dict[int, list[bytes]] = {partition: [] for partition in partitions}
    reader = await started(consumer(config, isolation_level="read_committed"), config)
    try:
        with broker_errors(f"the end of {topic}"):
            first, end = await reader.beginning_offsets(places), await reader.end_offsets(places)
            reader.assign(places)
            for place in places:
                reader.seek(place, max(first[place], end[place] - count))
            while any([await reader.position(place) < end[place] for place in places]):
                for place, records in (await reader.getmany(timeout_ms=WAIT_MS)).items():
                    found[place.partition] += [record.value for record in records]
    finally:
        await reader.stop()
    return found
