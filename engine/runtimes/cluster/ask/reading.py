"""Decisions read from their topic, as people and scripts read them.

Every partition is read from its beginning to its present end; `reached` says which records count.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from zoneinfo import ZoneInfo

from connectors.kafka.tail import Tail
from engine.answers.history import Ends, note_ends
from engine.answers.records import Record, Wanted, record_of
from engine.book.shelf import BooksInMemory
from engine.runtimes.cluster.shared.control_topic import ControlTopic
from engine.runtimes.cluster.shared.journal_position import StaleRecordFilter, read_record
from engine.runtimes.cluster.shared.log_records import read_frame
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from engine.runtimes.cluster.shared.texts import OldTexts
from engine.runtimes.cluster.shared.topics import Names
from engine.settings.config import Config
from state.decisions import DecisionBatch
from state.frame import Frame
from state.hashing import partition_of
from state.texts import Lookup


async def decisions_of(config: Config, partition: int, guard: RecordGuard) -> AsyncIterator[DecisionBatch]:
    """Yield the decisions of one partition in log order, each once."""
    further = StaleRecordFilter()
    place = Place(Names(config.cluster.prefix).decisions, partition)
    async with Tail(config.cluster, *place) as tail:
        async for records in tail.to_end():
            for record in records:
                read = await guard.judge(place, record, read_record, tail.end)
                if read is not None and further.counts(read.position):
                    yield read.decisions


class TopicReader:
    """The topics of a cluster, for questions; made by `reading`."""

    def __init__(self, config: Config, control_topic: ControlTopic, texts: Lookup) -> None:
        self.control_topic = control_topic
        self._config = config
        self._texts = texts
        self._guard = RecordGuard(catch_up=control_topic.catch_up)

    @property
    def zone(self) -> ZoneInfo:
        """The operator's time zone, as the active book says."""
        return ZoneInfo(self.control_topic.active.zone if self.control_topic.active is not None else "UTC")

    async def records(self, wanted: Wanted) -> AsyncIterator[Record]:
        """Yield the wanted records; those of one subscriber stand in one partition."""
        count = self._config.data.partitions
        who = wanted.subscriber
        for partition in range(count) if who is None else [partition_of(who, count)]:
            async for batch in decisions_of(self._config, partition, self._guard):
                for index in wanted.rows(batch):
                    yield record_of(partition, batch, int(index), self.control_topic.book(batch.book), self._texts)

    def _frame(self, record: Any) -> Frame:
        return read_frame(record, self.control_topic.schema)

    async def ends(self, subscriber: int, records: Sequence[Record]) -> Ends:
        """Return what became of the decided ones of a subscriber's records, by decision id."""
        ends: Ends = {}
        decided = [record for record in records if record["gate"] is None]
        if not decided:
            return ends
        names = Names(self._config.cluster.prefix)
        place = Place(names.log, decided[0]["partition"])
        async with Tail(self._config.cluster, *place) as tail:
            tail.seek(max(await tail.first(), min(record["position"] for record in decided)))
            async for found in tail.to_end():
                for one in found:
                    frame = await self._guard.judge(place, one, self._frame, tail.end)
                    if frame is None:
                        continue  # it stands among the dead letters, and folded nothing
                    note_ends(ends, frame, subscriber, self._texts)
        return ends


@asynccontextmanager
async def reading(config: Config) -> AsyncIterator[TopicReader]:
    """Open the topics of a cluster for questions."""
    control_topic = ControlTopic(config, BooksInMemory())
    try:
        await control_topic.start()
        texts = OldTexts(config)
        await texts.load()
        yield TopicReader(config, control_topic, texts)
    finally:
        await control_topic.stop()
