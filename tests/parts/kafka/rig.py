"""What tests of the cluster share: loading raw topics, and reading decisions as any reader would.

Nothing here uses the runtime's own reading: the checker is to be independent of what it checks.
"""

import asyncio
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from state.decisions import DecisionBatch, decode

SUBSCRIBER = b'"msisdn":'


async def make_topic(bootstrap: str, name: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(name, partitions, 1)])
        assert all(error[1] == 0 for error in answer.topic_errors), answer
    finally:
        await admin.close()


def partition_of_line(line: bytes, partitions: int) -> int:
    """As a producer that keys by subscriber: all of one subscriber's lines go to one partition."""
    start = line.index(SUBSCRIBER) + len(SUBSCRIBER)
    return int(line[start : line.index(b",", start)]) % partitions


async def produce(bootstrap: str, topic: str, partitions: int, lines: Sequence[bytes]) -> None:
    """Write one record a line, in large batches."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=1 << 19)
    await producer.start()
    try:
        batches = [producer.create_batch() for _ in range(partitions)]
        for line in lines:
            partition = partition_of_line(line, partitions)
            if batches[partition].append(key=None, value=line, timestamp=None) is None:
                await _send(producer, batches[partition], topic, partition)
                batches[partition] = producer.create_batch()
                batches[partition].append(key=None, value=line, timestamp=None)
        for partition, batch in enumerate(batches):
            await _send(producer, batch, topic, partition)
    finally:
        await producer.stop()


async def produce_blocks(
    bootstrap: str, topic: str, partitions: int, blocks: Iterable[bytes], *, pause_s: float = 0.0
) -> None:
    """Write one record a block of whole lines, to one partition after the other, with a pause after each."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=1 << 20)
    await producer.start()
    try:
        for number, block in enumerate(blocks):
            await producer.send(topic, block, partition=number % partitions)
            if pause_s:
                await asyncio.sleep(pause_s)
    finally:
        await producer.stop()


async def produce_each(bootstrap: str, topic: str, values: Sequence[bytes]) -> None:
    """Write the n-th value to the n-th partition."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for partition, value in enumerate(values):
            await producer.send_and_wait(topic, value, partition=partition)
    finally:
        await producer.stop()


async def _send(producer: Any, batch: Any, topic: str, partition: int) -> None:
    batch.close()
    await (await producer.send_batch(batch, topic, partition=partition))


async def from_the_beginning(bootstrap: str, places: Sequence[TopicPartition]) -> AIOKafkaConsumer:
    """Return a consumer that is started, in no group, and stands at the first record of each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    return consumer


async def up_to_the_end(consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> list[Any]:
    """Return what is after the consumer's place now, each partition's in order; see `aiokafka.ConsumerRecord`."""
    ends = await consumer.end_offsets(places)
    found: list[Any] = []
    while any([await consumer.position(place) < ends[place] for place in places]):
        for polled in (await consumer.getmany(timeout_ms=200)).values():
            found += polled
    return found


async def records(bootstrap: str, places: Sequence[TopicPartition]) -> list[Any]:
    """Return every record that these partitions hold now, each partition's in order."""
    consumer = await from_the_beginning(bootstrap, places)
    try:
        return await up_to_the_end(consumer, places)
    finally:
        await consumer.stop()


class Reader:
    """Reads the decisions topic from the beginning; drops what is at or below the position it has seen."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._bootstrap = bootstrap
        self._places = [TopicPartition(topic, number) for number in range(partitions)]
        self.reached = dict.fromkeys(range(partitions), -1)
        self.batches: list[tuple[int, DecisionBatch]] = []
        self.dropped = 0

    async def start(self) -> "Reader":
        self._consumer = await from_the_beginning(self._bootstrap, self._places)
        return self

    async def stop(self) -> None:
        await self._consumer.stop()

    async def poll(self) -> int:
        """Take what is there now; return how many records came."""
        count = 0
        polled = await self._consumer.getmany(timeout_ms=200)
        for place, records in polled.items():
            for record in records:
                count += 1
                (reached,) = struct.unpack_from("<q", record.value)
                if reached <= self.reached[place.partition]:
                    self.dropped += 1
                    continue
                self.reached[place.partition] = reached
                self.batches.append((place.partition, decode(record.value[8:])))
        return count

    async def until(self, done: Callable[[], bool], seconds: float) -> None:
        """Read until `done` says so, at most that long."""
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            await self.poll()

    async def until_quiet(self, quiet_polls: int = 5) -> None:
        """Read until nothing has come for a while."""
        quiet = 0
        while quiet < quiet_polls:
            quiet = 0 if await self.poll() else quiet + 1


FIELDS = ("subscriber", "at_ms", "rule", "channel", "outcome", "gate", "detail")


def records_of(batches: Sequence[tuple[int, DecisionBatch]]) -> list[tuple[Any, ...]]:
    """Return every record as a tuple of all its fields but the log's own: position, row, time of appending."""
    found = []
    for partition, batch in batches:
        columns = [getattr(batch, name).tolist() for name in FIELDS]
        starts, facts, known = batch.fact_start.tolist(), batch.facts.tolist(), batch.facts_known.tolist()
        for index, values in enumerate(zip(*columns, strict=True)):
            span = slice(starts[index], starts[index + 1])
            cells = tuple(cell if sure else None for cell, sure in zip(facts[span], known[span], strict=True))
            found.append((partition, batch.book, *values, cells))
    return sorted(found, key=repr)


def run(coroutine: Any) -> Any:
    """Run a coroutine from a test that is not one."""
    return asyncio.run(coroutine)
