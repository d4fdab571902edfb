"""Clients of Kafka as the product makes them, over the brokers in memory: what takes time, is lost, or answers late.

They stand in for aiokafka's producer and consumer in `connectors.kafka.client`, and for the reader of raw bytes
(`connectors.sources.kafka.fetch.Fetches`); the administrator is in `administrator`. A request of a process that is
killed arrives or not, as it was on its way or not; its answer reaches nobody.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    InvalidProducerEpoch,
    KafkaError,
    ProducerFenced,
)
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from connectors.sources.kafka.fetch import Answer
from tests.simulation.cluster.broker import READ_COMMITTED
from tests.simulation.cluster.groups import Member
from tests.simulation.cluster.loop import LIFE
from tests.simulation.cluster.net import Net

BATCH_ROWS = 40
RAW_ROWS = 30


class Sent(NamedTuple):
    """A record that waits to be written."""

    place: TopicPartition
    key: bytes | None
    value: bytes | None
    timestamp: int


class _Request(NamedTuple):
    rows: list[Sent]
    future: "asyncio.Future[Any]"


class Batch:
    """Rows that are sent together."""

    def __init__(self) -> None:
        self.rows: list[tuple[bytes | None, bytes | None]] = []

    def append(self, *, key: bytes | None, value: bytes | None, timestamp: int | None) -> object | None:
        """Take a row; None when there is no room."""
        assert timestamp is None
        if len(self.rows) == BATCH_ROWS:
            return None
        self.rows.append((key, value))
        return self

    def record_count(self) -> int:
        return len(self.rows)

    def close(self) -> None:
        """Nothing to do."""


class Producer:
    """An idempotent producer, transactional under a name: records arrive in the order in which they were sent."""

    def __init__(self, net: Net, transactional_id: str = "") -> None:
        self._net = net
        self._name = transactional_id
        self._epoch = 0
        self._life = LIFE.get()
        self._queue: deque[_Request] = deque()
        self._busy = False
        self._fault: BaseException | None = None
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        net = self._net
        if self._name:
            _, self._epoch = await net.ask(lambda: net.broker.begin_owner(self._name))
        else:
            await net.ask(lambda: None)

    async def stop(self) -> None:
        await self.flush()
        self._closed = True

    async def flush(self) -> None:
        if self._net.over:
            return
        await self._idle.wait()

    async def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        partition: int = 0,
        timestamp_ms: int | None = None,
    ) -> "asyncio.Future[Any]":
        at_ms = self._net.wall_ms() if timestamp_ms is None else timestamp_ms
        return await self._put([Sent(TopicPartition(topic, partition), key, value, at_ms)])

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        place, now_ms = TopicPartition(topic, partition), self._net.wall_ms()
        return await self._put([Sent(place, key, value, now_ms) for key, value in batch.rows])

    async def _put(self, rows: list[Sent]) -> "asyncio.Future[Any]":
        self._net.count()
        if self._life is not None and self._life.dead:
            await self._net.loop.create_future()
        if self._closed or self._fault is not None or self._net.over:
            raise self._fault or KafkaError("closed")
        if self._net.chance.random() < self._net.full:
            await asyncio.sleep(self._net.chance.uniform(0.01, 0.3))  # no room until the batch before has gone
        if self._fault is not None:
            raise self._fault
        request = _Request(rows, self._net.loop.create_future())
        self._queue.append(request)
        self._idle.clear()
        if not self._busy:
            self._busy = True
            self._net.later(0.0, self._depart)
        return request.future

    def _depart(self) -> None:
        """Put what waits on the wire, one request at a time."""
        if self._life is not None and (self._life.dead or self._life.frozen):
            if not self._life.dead:
                self._net.later(0.05, self._depart)
            return
        gone = [self._queue.popleft() for _ in range(min(len(self._queue), self._net.chance.randint(1, 12)))]
        rows = [(row.place, row.key, row.value, row.timestamp) for request in gone for row in request.rows]

        def answered(offsets: list[int] | None, fault: BaseException | None) -> None:
            self._answer(gone, offsets, fault)

        self._net.post(lambda: self._net.broker.write(rows, self._name, self._epoch), answered)

    def _answer(self, gone: list[_Request], offsets: list[int] | None, fault: BaseException | None) -> None:
        at = 0
        if fault is not None:
            self._fault = fault
            gone += self._queue
            self._queue.clear()
        for request in gone:
            if not request.future.done():
                if fault is not None:
                    request.future.set_exception(fault)
                    request.future.exception()  # not every sender waits
                else:
                    assert offsets is not None
                    request.future.set_result(SimpleNamespace(offset=offsets[at]))
            at += len(request.rows)
        if self._queue:
            self._depart()
        else:
            self._busy = False
            self._idle.set()

    # ---- transactions

    def transaction(self) -> "Transaction":
        return Transaction(self)

    def begin(self) -> None:
        """Begin; an earlier fault ended this producer."""
        if self._fault is not None:
            raise self._fault

    async def end(self, *, committed: bool) -> None:
        """Commit or give up."""
        await self.flush()
        if self._fault is not None:
            if committed:
                raise self._fault
            return
        broker = self._net.broker
        try:
            await self._net.ask(lambda: broker.end_transaction(self._name, self._epoch, committed=committed))
        except KafkaError as fault:
            self._fault = fault
            raise


class Transaction:
    """A transaction as `async with`; a fenced producer gives nothing up, as aiokafka's."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    async def __aenter__(self) -> None:
        self._producer.begin()

    async def __aexit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: object) -> None:
        if isinstance(fault, (ProducerFenced, InvalidProducerEpoch)):
            return
        await self._producer.end(committed=kind is None)


class Consumer:
    """A consumer: of partitions that it is told, or a member of a group that only asks where to read."""

    def __init__(self, net: Net, *, isolation_level: str = "read_uncommitted", group_id: str = "") -> None:
        self._net = net
        self._committed = isolation_level == READ_COMMITTED
        self._group = group_id
        self._at: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._member: Member | None = None
        self._assigned: set[TopicPartition] = set()

    async def start(self) -> None:
        await self._net.ask(lambda: None)

    async def stop(self) -> None:
        if self._member is not None:
            self._net.groups.leave(self._member)

    # ---- partitions that it is told

    def assign(self, places: Iterable[TopicPartition]) -> None:
        self._at = dict.fromkeys(places, 0)

    def pause(self, *places: TopicPartition) -> None:
        self._paused.update(places)

    def resume(self, *places: TopicPartition) -> None:
        self._paused.difference_update(places)

    async def seek_to_beginning(self, *places: TopicPartition) -> None:
        first = await self.beginning_offsets(places)
        self._at.update(first)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._at[place] = offset

    async def beginning_offsets(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        partitions = self._net.broker.partitions
        return await self._net.ask(lambda: {place: partitions[place].first for place in places})

    async def end_offsets(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        partitions = self._net.broker.partitions

        def ends() -> dict[TopicPartition, int]:
            return {place: partitions[place].stable if self._committed else partitions[place].end for place in places}

        return await self._net.ask(ends)

    async def offsets_for_times(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, Any]:
        partitions = self._net.broker.partitions

        def found(place: TopicPartition, at_ms: int) -> Any:
            records = (one for one in partitions[place].records if not one.mark and one.timestamp >= at_ms)
            record = next(records, None)
            return None if record is None else SimpleNamespace(offset=record.offset)

        return await self._net.ask(lambda: {place: found(place, at_ms) for place, at_ms in times.items()})

    async def getmany(self, *, timeout_ms: int = 0, max_records: int | None = None) -> dict[TopicPartition, list[Any]]:
        """Return what is there, waiting for the first record."""
        if self._group:
            return {}
        net = self._net
        (place,) = self._at
        partition = net.broker.partitions[place]
        deadline_s = net.loop.now_s + timeout_ms / 1000
        while True:
            life = LIFE.get()
            if net.broker.away_until_s <= net.loop.now_s or life is None:
                count = min(max_records or 500, net.chance.choice((1, 3, 20, 500)))
                records, at = partition.read(self._at[place], count, committed=self._committed)
                moved, self._at[place] = at > self._at[place], max(at, self._at[place])
                if records or moved:
                    await asyncio.sleep(net.delay_s())
                    return {place: records} if records else {}
            wait_s = deadline_s - net.loop.now_s
            if wait_s <= 1e-6:
                return {}
            waiter: asyncio.Future[None] = net.loop.create_future()
            partition.waiting.append(waiter)
            timer = net.loop.call_later(wait_s, _wake, waiter)
            await waiter
            timer.cancel()

    # ---- a member of a group

    def subscribe(self, topics: Collection[str], listener: Any) -> None:
        async def revoked() -> None:
            listener.on_partitions_revoked(self._assigned)
            self._assigned = set()

        async def assigned(places: set[TopicPartition], _standby: set[TopicPartition]) -> None:
            self._assigned = places
            listener.on_partitions_assigned(places)

        self._member = Member(self._group, tuple(topics), revoked, assigned)
        self._net.groups.join(self._member)

    def assignment(self) -> list[TopicPartition]:
        return sorted(self._assigned if self._group else self._at)

    async def position(self, place: TopicPartition) -> int:
        if not self._group:
            return self._at[place]
        broker = self._net.broker
        found = await self._net.ask(lambda: broker.committed[self._group].get(place, broker.partitions[place].first))
        if place not in self._assigned:
            raise IllegalStateError(f"{place} is not ours")
        return found

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Commit offsets; the notes beside them are those of the events' own clock, which no world here is on."""
        member = self._member
        if member is None or not set(offsets) <= self._assigned:
            raise CommitFailedError(self._group)
        generation, bare = member.generation, {place: offset for place, (offset, _) in offsets.items()}
        await self._net.ask(lambda: self._net.broker.commit(self._group, generation, bare))


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


class Fetches:
    """Reads raw topics as the bytes of record batches; see `connectors.sources.kafka.fetch`."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._wanted: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        await self._net.ask(lambda: None)

    async def stop(self) -> None:
        """Nothing is open."""

    def want(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._wanted = dict(offsets)

    def go_on(self, place: TopicPartition, offset: int) -> None:
        self._wanted[place] = offset

    def ask(self) -> None:
        """Nothing is fetched ahead."""

    async def next(self, wait_s: float) -> list[Answer]:
        net, asked = self._net, dict(self._wanted)
        answers = [
            Answer(place, offset, data)
            for place, offset in asked.items()
            if (data := self._data(place, offset)) and net.broker.away_until_s <= net.loop.now_s
        ]
        await asyncio.sleep(net.delay_s() if answers else wait_s)
        return [one for one in answers if self._wanted.get(one.place) == one.offset]

    def _data(self, place: TopicPartition, offset: int) -> bytes:
        records, _ = self._net.broker.partitions[place].read(
            offset, self._net.chance.randint(1, RAW_ROWS), committed=True
        )
        if not records:
            return b""
        builder = DefaultRecordBatchBuilder(
            magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
            batch_size=1 << 20,
        )  # fmt: skip
        for index, record in enumerate(records):
            builder.append(index, record.timestamp, record.key, record.value, [])
        return records[0].offset.to_bytes(8, "big") + bytes(builder.build())[8:]
