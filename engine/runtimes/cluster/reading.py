"""Decisions read from their topic, as people and scripts read them.

Every partition is read from its beginning to its present end; a record that reaches no further than the one before it
in its partition was written by an owner that had lost the partition, and is dropped. That is all that a reader of the
topic has to do.
"""

from collections.abc import AsyncIterator

from connectors.kafka.tail import Tail
from engine.config import Config
from engine.records import Record, Wanted, record_of
from engine.runtimes.cluster.commons import Commons
from engine.runtimes.cluster.topiclog import REACHED
from engine.runtimes.cluster.topics import Names
from state.decisions import DecisionBatch, decode


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


async def read_cluster(config: Config, commons: Commons, wanted: Wanted) -> AsyncIterator[Record]:
    """Yield the wanted records of every partition; `commons` is started."""
    texts = TextTable()
    await texts.load(config)
    for partition in range(config.data.partitions):
        async for batch in decisions_of(config, partition):
            for index in wanted.rows(batch):
                yield record_of(partition, batch, int(index), commons.book(batch.book), texts)
