"""Rows that the product itself makes, written into the log: outcomes, visits, answers, list changes.

`engine.flow.feedback.Feedback` builds the rows; this is the `Appender` under it in a cluster. Rows go as one frame into
each partition of `log` that their subscribers belong to. A frame that did not come from a raw
topic carries no raw offsets, so no fold takes it for a repeated one: an `append` that failed and is repeated writes its
rows twice. Partitions leave a repeated visit or answer out (`engine.flow.repeats`); an outcome settles its contact
once.

One producer writes everything, so rows stand in a partition in the order in which they were appended.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from connectors.kafka.writer import Writer, Written
from engine.flow.feedback import fields_of
from engine.runtimes.cluster.shared.moments import stamp_ms
from engine.runtimes.cluster.shared.topics import Names
from engine.settings.config import Config
from state.batch import Batch, Row, from_rows, select
from state.frame import Frame, FrameKind, encode
from state.hashing import rows_by_partition
from state.schema import Schema


class TopicAppender:
    """Appends rows to the log of their subscribers' partitions.

    Args:
        config: checked settings.
        writer: the worker's, started; it stays the caller's.
        schema: the schema of the active book.
        wall_ms: wall clock, for the time of appending.
    """

    def __init__(
        self,
        config: Config,
        writer: Writer,
        schema: Callable[[], Schema],
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._config = config
        self._names = Names(config.cluster.prefix)
        self._partitions = config.data.partitions
        self._schema = schema
        self._wall_ms = wall_ms
        self._writer = writer

    async def append(self, rows: Sequence[Row]) -> Mapping[int, int]:
        """Append rows; returns when they are durable, with the position of each partition's frame.

        BrokerError when they may not be: append them again.
        """
        batch = from_rows(self._schema(), rows)
        frames = list(self._frames(batch))
        offsets = await self._writer.write(frames)
        return {frame.partition: offset for frame, offset in zip(frames, offsets, strict=True)}

    def fields_of(self, event: str) -> frozenset[str]:
        """Return the names of the fields of a type of event; none where the schema has no such type."""
        return fields_of(self._schema(), event)

    def _frames(self, batch: Batch) -> Iterator[Written]:
        written_ms = self._wall_ms()
        append_ms = stamp_ms(self._config, written_ms)
        for number, rows in enumerate(rows_by_partition(batch.subscriber, self._partitions)):
            if rows.shape[0]:
                frame = encode(Frame(FrameKind.EVENTS, append_ms, select(batch, rows)))
                yield Written(self._names.log, number, frame, at_ms=written_ms)
