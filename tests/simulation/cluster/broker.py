"""Topics in memory, as brokers keep them: offsets, transactions, fencing, compaction, groups.

Everything here happens at once and in order; what takes time, or is lost on the way, is in `clients`. Marks of
transactions take an offset, so offsets have gaps for readers of committed records. Who starts under a transactional id
gives up what the one before left open, and fences it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, InvalidProducerEpoch

READ_COMMITTED = "read_committed"


class Record(NamedTuple):
    """A record as a consumer gets it; `producer` -1: no transaction, `mark`: the end of one."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    producer: int = -1
    mark: bool = False


@dataclass(slots=True)
class Partition:
    """One partition of a topic."""

    records: list[Record] = field(default_factory=list)
    first: int = 0
    end: int = 0
    open: dict[int, int] = field(default_factory=dict)  # first offset of the open transaction, by producer
    given_up: list[tuple[int, int, int]] = field(default_factory=list)  # producer, first offset, offset of the mark
    waiting: list["asyncio.Future[None]"] = field(default_factory=list)

    @property
    def stable(self) -> int:
        """The offset up to which every transaction has ended."""
        return min(self.open.values(), default=self.end)

    def append(self, key: bytes | None, value: bytes | None, timestamp: int, producer: int = -1) -> int:
        """Append a record, return its offset."""
        if producer >= 0:
            self.open.setdefault(producer, self.end)
        self._add(Record(self.end, key, value, timestamp, producer))
        return self.end - 1

    def mark(self, producer: int, *, committed: bool) -> None:
        """End the transaction of a producer."""
        start = self.open.pop(producer)
        if not committed:
            self.given_up.append((producer, start, self.end))
        self._add(Record(self.end, None, None, 0, producer, mark=True))

    def _add(self, record: Record) -> None:
        self.records.append(record)
        self.end += 1
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def read(self, start: int, count: int, *, committed: bool) -> tuple[list[Record], int]:
        """Return up to `count` records from an offset on, and the offset after them."""
        end = self.stable if committed else self.end
        found: list[Record] = []
        at = max(start, self.first)
        for record in self.records[self._index(at) :]:
            if record.offset >= end or len(found) == count:
                break
            at = record.offset + 1
            if not record.mark and not (committed and self._is_given_up(record)):
                found.append(record)
        else:
            at = max(at, end)  # what compaction took
        return found, at

    def forget(self, below: int) -> None:
        """Delete what lies below an offset."""
        del self.records[: self._index(below)]
        self.first = max(self.first, min(below, self.end))

    def compact(self) -> None:
        """Leave of each key the last record alone; what is newer than the open transactions stays."""
        kept: dict[bytes, int] = {}
        for record in self.records:
            if record.key is not None and record.offset < self.stable and not self._is_given_up(record):
                kept[record.key] = record.offset
        self.records = [
            record
            for record in self.records
            if record.offset >= self.stable or (record.key is not None and kept.get(record.key) == record.offset)
        ]

    def _index(self, offset: int) -> int:
        low, high = 0, len(self.records)
        while low < high:
            middle = (low + high) // 2
            if self.records[middle].offset < offset:
                low = middle + 1
            else:
                high = middle
        return low

    def _is_given_up(self, record: Record) -> bool:
        return record.producer >= 0 and any(
            producer == record.producer and start <= record.offset < end for producer, start, end in self.given_up
        )


@dataclass(slots=True)
class Owner:
    """A transactional id: who may write under it now, and where its open transaction has written."""

    producer: int
    epoch: int = 0
    touched: set[TopicPartition] = field(default_factory=set)


class Broker:
    """All topics, groups' offsets and transactional ids; it never dies."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        self.partitions = {
            TopicPartition(name, number): Partition() for name, count in topics.items() for number in range(count)
        }
        self.owners: dict[str, Owner] = {}
        self.committed: defaultdict[str, dict[TopicPartition, int]] = defaultdict(dict)
        self.generations: dict[str, int] = {}
        self.counted: defaultdict[str, int] = defaultdict(int)
        self.away_until_s = 0.0

    def places(self, topic: str) -> list[TopicPartition]:
        """Return the partitions of a topic."""
        return [place for place in self.partitions if place.topic == topic]

    # ---- transactions

    def begin_owner(self, name: str) -> tuple[int, int]:
        """Make somebody the owner of a name; return producer and epoch."""
        owner = self.owners.get(name)
        if owner is None:
            owner = self.owners[name] = Owner(len(self.owners))
        if owner.touched:
            self.counted["taken over while a transaction was open"] += 1
        self._end(owner, committed=False)
        owner.epoch += 1
        return owner.producer, owner.epoch

    def write(
        self, rows: Sequence[tuple[TopicPartition, bytes | None, bytes | None, int]], name: str, epoch: int
    ) -> list[int]:
        """Append records; InvalidProducerEpoch when another has become the owner of the name."""
        producer = -1
        if name:
            owner = self._owner(name, epoch)
            owner.touched.update(place for place, *_ in rows)
            producer = owner.producer
        return [self.partitions[place].append(key, value, at_ms, producer) for place, key, value, at_ms in rows]

    def end_transaction(self, name: str, epoch: int, *, committed: bool) -> None:
        """Commit or give up what was written."""
        self._end(self._owner(name, epoch), committed=committed)

    def _owner(self, name: str, epoch: int) -> Owner:
        owner = self.owners[name]
        if owner.epoch != epoch:
            self.counted["a fenced owner wrote"] += 1
            raise InvalidProducerEpoch(name)
        return owner

    def _end(self, owner: Owner, *, committed: bool) -> None:
        for place in sorted(owner.touched):
            self.partitions[place].mark(owner.producer, committed=committed)
        owner.touched.clear()

    # ---- groups

    def commit(self, group: str, generation: int, offsets: Mapping[TopicPartition, int]) -> None:
        """Keep how far a group has come; CommitFailedError when partitions were given anew meanwhile."""
        if self.generations.get(group, 0) != generation:
            raise CommitFailedError(group)
        self.committed[group].update(offsets)
