"""What is written to the control topic: books, which one is active, switches, the format.

A book is published in this order: the book itself, an activation frame into every partition of the log, its name as the
active one. A publisher that dies on the way leaves a beginning; the next publisher writes it again, and activating
twice changes nothing.

A book goes when nothing can name it any more. Frames and decisions name books, and stand in their topics for
`log.log_hours_max` and `log.journal_hours_max`, and as long again as brokers keep a segment open; a partition that is
owned redoes nothing older than an eighth of the former. So a book that ceased to be the active one before that is
deleted from the topic, and with it from every worker's shelf, when another one is published: with the shipped times, 98
days later. A time that is 0 keeps frames or decisions forever, and so every book. Two workers that publish at once may
lose a time; it is then recorded anew, and the book stays longer. Names stay: a worker that comes back with a book of
long ago is to follow the others, not to lead them. They take 40 bytes each, 350 kilobytes for a new book every hour of
a year.

A switch (pause, resume, kill) stands in the topic under the name of what it switches, for dispatchers, and as a
record in every partition of the log, for deciders. It is written here first: what is killed stops at once.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import orjson

from connectors.kafka.writer import Writer, Written
from engine.book.watch import RefusedError
from engine.runtimes.cluster.shared.control_records import ACTIVE, BOOK, ENDED, FORMAT, SWITCH
from engine.runtimes.cluster.shared.control_topic import ControlTopic
from engine.runtimes.cluster.shared.moments import stamp_ms
from engine.runtimes.cluster.shared.topics import HOUR_MS, MESSAGE_BYTES_MAX, Names
from engine.settings.config import Config
from rules.model import Book
from state import formats
from state.frame import Frame, FrameKind, encode

BOOK_BYTES_MAX = MESSAGE_BYTES_MAX - (64 << 10)
"""A record of Kafka has a head, and so has the batch that it stands in."""
SEGMENT_HOURS = 8 * 24
"""Brokers delete whole segments, and close one after 7 days unless they are configured otherwise."""

log = logging.getLogger("opportune.cluster")


class Publisher:
    """Writes the control topic; used on the loop.

    Args:
        config: checked settings.
        control_topic: the topic, as it was read.
        writer: the worker's, started, with `MESSAGE_BYTES_MAX`; it stays the caller's.
        wall_ms: wall clock.
    """

    def __init__(
        self,
        config: Config,
        control_topic: ControlTopic,
        writer: Writer,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._config = config
        self._names = Names(config.cluster.prefix)
        self._partitions = range(config.data.partitions)
        self._keep_ms = keep_ms(config)
        self._control_topic = control_topic
        self._writer = writer
        self._wall_ms = wall_ms

    async def publish(self, book: Book) -> None:
        """Make a book the active one in every partition of the log, then in name; let those go that nobody needs.

        RefusedError when it is too large for a record.
        """
        fields = {"version": book.version, "schema": book.schema.fingerprint, "sources": dict(book.sources)}
        record = orjson.dumps(fields)
        if len(record) > BOOK_BYTES_MAX:
            raise RefusedError(f"book {book.version}: bytes={len(record)} of its texts must be <= {BOOK_BYTES_MAX}")
        key = BOOK + book.version.encode()
        await self._write(key, record)
        await self._writer.write(self._frames(self._partitions, FrameKind.ACTIVATION, {"version": book.version}))
        await self._write(ACTIVE, book.version.encode())
        await self._control_topic.catch_up()
        if not self._control_topic.knows(book.version):  # so old that somebody let it go while we brought it back
            await self._write(key, record)
        await self._let_go(book.version)
        log.info("book %s with %d rules is published", book.version, len(book.rules))

    async def _let_go(self, active: str) -> None:
        """Delete the books that nothing names any more, and record since when the others are not active."""
        now_ms, control_topic = self._wall_ms(), self._control_topic
        ended = dict.fromkeys(control_topic.versions, now_ms) | control_topic.ended
        ended.pop(active, None)
        over_ms = now_ms - self._keep_ms
        gone = [version for version in control_topic.versions if self._keep_ms and ended.get(version, now_ms) < over_ms]
        forgotten = [Written(self._names.control, 0, None, BOOK + version.encode()) for version in gone]
        await self._writer.write([*forgotten, Written(self._names.control, 0, orjson.dumps(ended), ENDED)])

    async def activate_again(self, partition: int) -> None:
        """Write the active book's activation into one partition: the frames that had it may be deleted."""
        assert self._control_topic.active is not None
        active = {"version": self._control_topic.active.version}
        await self._writer.write(self._frames([partition], FrameKind.ACTIVATION, active))

    async def announce(self) -> None:
        """Say in which format this release writes, before it writes anything: older ones then leave the cluster."""
        if self._control_topic.format < formats.FORMAT:
            await self._write(FORMAT, str(formats.FORMAT).encode())

    async def control(self, record: Mapping[str, str]) -> None:
        """Set a switch, here and in every partition of the log; returns when it stands there."""
        await self._write(SWITCH + f"{record['kind']}/{record['name']}".encode(), orjson.dumps(record))
        await self._writer.write(self._frames(self._partitions, FrameKind.CONTROL, record))

    async def _write(self, key: bytes, value: bytes) -> None:
        await self._writer.write([Written(self._names.control, 0, value, key)])

    def _frames(self, partitions: Iterable[int], kind: FrameKind, payload: Mapping[str, str]) -> Iterator[Written]:
        now_ms = self._wall_ms()
        frame = encode(Frame(kind, stamp_ms(self._config, now_ms), payload=orjson.dumps(payload)))
        return (Written(self._names.log, number, frame, at_ms=now_ms) for number in partitions)


def keep_ms(config: Config) -> int:
    """Return for how long a book is kept after it was the active one; 0: forever."""
    hours = (config.log.log_hours_max, config.log.journal_hours_max)
    return (max(hours) + SEGMENT_HOURS) * HOUR_MS if all(hours) else 0
