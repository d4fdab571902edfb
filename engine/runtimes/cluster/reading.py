"""Decisions read from their topic, as people and scripts read them.

Every partition is read from its beginning to its present end; a record that reaches no further than the one before it
in its partition was written by an owner that had lost the partition, and is dropped. That is all that a reader of the
topic has to do.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from zoneinfo import ZoneInfo

from connectors.kafka.tail import Tail
from engine.config import Config
from engine.history import Ends, note_ends
from engine.records import Record, Wanted, record_of
from engine.runtimes.cluster.commons import Commons
from engine.runtimes.cluster.topiclog import REACHED
from engine.runtimes.cluster.topics import Names
from state.decisions import DecisionBatch, decode
from state.frame import FrameError
from state.frame import decode as decode_frame
from state.hashing import partition_of


class TextTable:
    """The texts topic in memory."""

    def __init__(self) -> None:
        self._texts: dict[int, bytes] = {}

    async def load(self, config: Config) -> None:
        """Read the topic to its end."""
        tail = await Tail(config.cluster, Names(config.cluster.prefix).texts, 0).start()
        try:
            async for records in tail.to_end():
                for record in records:
                    self._texts[int.from_bytes(record.key, "little", signed=True)] = record.value
        finally:
            await tail.stop()

    def text(self, hashed: int) -> bytes | None:
        """Return the text, None when it is not kept."""
        return self._texts.get(hashed)


async def decisions_of(config: Config, partition: int) -> AsyncIterator[DecisionBatch]:
    """Yield the decisions of one partition in log order, each once."""
    tail = await Tail(config.cluster, Names(config.cluster.prefix).decisions, partition).start()
    reached = -1
    try:
        async for records in tail.to_end():
            for record in records:
                (position,) = REACHED.unpack_from(record.value)
                if position > reached:
                    reached = position
                    yield decode(record.value[REACHED.size :])
    finally:
        await tail.stop()


class TopicReader:
    """The topics of a cluster, for questions; made by `reading`."""

    def __init__(self, config: Config, commons: Commons, texts: TextTable) -> None:
        self.commons = commons
        self._config = config
        self._texts = texts

    @property
    def zone(self) -> ZoneInfo:
        """The operator's time zone, as the active book says."""
        return ZoneInfo(self.commons.active.zone if self.commons.active is not None else "UTC")

    async def records(self, wanted: Wanted) -> AsyncIterator[Record]:
        """Yield the wanted records; those of one subscriber stand in one partition."""
        count = self._config.data.partitions
        who = wanted.subscriber
        for partition in range(count) if who is None else [partition_of(who, count)]:
            async for batch in decisions_of(self._config, partition):
                for index in wanted.rows(batch):
                    yield record_of(partition, batch, int(index), self.commons.book(batch.book), self._texts)

    async def ends(self, subscriber: int, records: Sequence[Record]) -> Ends:
        """Return what became of the decided ones of a subscriber's records, by decision id."""
        ends: Ends = {}
        decided = [record for record in records if record["gate"] is None]
        if not decided:
            return ends
        names = Names(self._config.cluster.prefix)
        tail = await Tail(self._config.cluster, names.log, decided[0]["partition"]).start()
        try:
            tail.seek(max(await tail.first(), min(record["position"] for record in decided)))
            async for found in tail.to_end():
                for one in found:
                    try:
                        frame = decode_frame(one.value, self.commons.schema)
                    except FrameError:
                        continue  # it stands among the dead letters, and folded nothing
                    note_ends(ends, frame, subscriber, self._texts)
        finally:
            await tail.stop()
        return ends


@asynccontextmanager
async def reading(config: Config) -> AsyncIterator[TopicReader]:
    """Open the topics of a cluster for questions."""
    commons = Commons(config)
    await commons.start()
    try:
        texts = TextTable()
        await texts.load(config)
        yield TopicReader(config, commons, texts)
    finally:
        await commons.stop()
