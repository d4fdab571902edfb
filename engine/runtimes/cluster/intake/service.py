"""Intake: raw records to partitioned frames, thousands at a time, below the agents.

    poll ─► chunks, one a raw partition ─► decode (a thread) ─► split ─► one frame a partition of the log ─► commit

It is a service of the Faust app, which starts and stops it, with a consumer group of its own: raw topics and `log`
need not have the same partitions, and an agent would cost 70 microseconds a record.

Chunks of several raw partitions share frames where they are small, because a frame costs its fold the same
however few rows it has; `packed_records` says how a frame keeps their offsets apart.

Dead letters of a chunk are written with its frames; the raw offset is committed when all of them are. What a
crash between the two leaves is written again, and left out by the fold: `packed_records` says why that is exact. A dead
letter's key is the place of its line, the same however often it is written.

A line is counted when its raw offset is committed, so over all workers it is counted once, however often it is packed;
the counts of a worker begin with its process.

Several groups of chunks are under way at once; their frames stand in the log in the order in which they were read,
because one idempotent producer writes them.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from connectors.kafka.client import producer, started
from connectors.sources.contract import Chunk, Decoded, GroupSource, Records
from connectors.sources.kafka.client import RawReader
from engine.flow.decoders import Decoders, Source
from engine.metrics import Metrics
from engine.runtimes.cluster.intake.parts import Part, count_part, letters_of, part_of
from engine.runtimes.cluster.shared.packed_records import pack_offsets
from engine.runtimes.cluster.shared.topics import MESSAGE_BYTES_MAX, Names, worker_name
from engine.settings.config import Config
from rules.model import Book
from state.batch import concat, select
from state.frame import Encoder, Frame, FrameKind
from state.hashing import rows_by_partition

UNDER_WAY_MAX = 8
COMMIT_S = 0.1
"""Between two commits: a group's answer takes milliseconds, for which nothing is read."""
POLL_MS = 100
FEW_EVENTS = 2_000
"""A poll that brought fewer is followed by a wait, so that the next brings more; one record may be a block of them."""
FRAME_S = 0.0015
"""That wait, for each frame that was written: a frame costs its fold half a millisecond, however small, and
other intakes write frames for it too."""
GROUP_BYTES = 1 << 20
"""Chunks of several raw partitions share frames up to here; a frame of more is no cheaper a row."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What chunks that were packed together became."""

    parts: list[Part]
    frames: list[tuple[int, bytes]]
    append_ms: int
    assignment: int

    @property
    def events(self) -> int:
        """Rows of all frames."""
        return sum(part.events for part in self.parts)


def together(polled: Iterable[Records]) -> Iterator[list[Records]]:
    """Yield the chunks of a poll in groups that share frames.

    A group holds one chunk a raw partition, of sources that say the same of `dedupe`, at most `GROUP_BYTES`.
    """
    group: list[Records] = []
    for records in polled:
        chunk = records.chunk
        length = chunk.length + sum(one.chunk.length for one in group)
        keys = {one.chunk.key for one in group}
        if group and (length > GROUP_BYTES or chunk.key in keys or chunk.dedupe != group[0].chunk.dedupe):
            yield group
            group = []
        group.append(records)
    if group:
        yield group


class Packer:
    """Turns chunks into encoded frames; used by one thread; `schema` and `lists` follow the active book."""

    def __init__(self, config: Config, book: Book) -> None:
        self.schema, self.lists = book.schema, tuple(book.lists)
        sources = [Source(one.name, one.mapping, one.id_space, one.deduplicated) for one in config.sources.kafka]
        self.doors = Decoders(sources, book.schema, config.numbers.plan())
        self.doors.check(book.schema)
        self._partitions = config.data.partitions
        self._encoder = Encoder()

    def decode(self, chunk: Chunk) -> Decoded:
        """Turn a chunk into columns, under the schema of the active book."""
        self.doors.lists, self.doors.schema = self.lists, self.schema
        return self.doors.decode(chunk)

    def pack(self, group: Sequence[Records], append_ms: int) -> Packed:
        """Decode chunks that `together` gave; rows keep their order within each partition and raw partition."""
        self.doors.lists = self.lists
        self.doors.schema = self.schema  # one for the group, whatever becomes active meanwhile
        decoded = [self.doors.decode(records.chunk) for records in group]
        batch = concat([one.batch for one in decoded])
        offsets = np.concatenate([records.record_of(one.offsets) for records, one in zip(group, decoded, strict=True)])
        begins = np.cumsum([0, *(one.batch.n for one in decoded)])
        frames = []
        for partition, some in enumerate(rows_by_partition(batch.subscriber, self._partitions)):
            if some.shape[0]:
                cuts = np.searchsorted(some, begins)
                here = np.flatnonzero(np.diff(cuts)).tolist()
                frame = Frame(
                    FrameKind.EVENTS,
                    append_ms,
                    select(batch, some),
                    {group[part].chunk.key: group[part].chunk.end for part in here},
                    group[0].chunk.dedupe,
                    pack_offsets([offsets[some[cuts[part] : cuts[part + 1]]] for part in here]),
                )
                frames.append((partition, bytes(self._encoder.encode(frame))))
        parts = [part_of(records, one) for records, one in zip(group, decoded, strict=True)]
        return Packed(parts, frames, append_ms, group[0].assignment)


class Intake:
    """Reads, packs, writes, commits; `run` ends when stopped or raises what broke it."""

    def __init__(self, config: Config, book: Book, metrics: Metrics, wall_ns: Callable[[], int] = time.time_ns) -> None:
        cluster = config.cluster
        self._config = config
        self._names = Names(cluster.prefix)
        self._metrics = metrics
        self._wall_ns = wall_ns
        self._reader: GroupSource = RawReader(
            cluster,
            config.sources.kafka,
            self._names.intake,
            cluster.session_timeout_ms,
            cluster.intake_records_max,
            worker_name(config),
        )
        self._producer = producer(cluster, max_request_size=MESSAGE_BYTES_MAX)
        self._packer = Packer(config, book)
        self._pool = ThreadPoolExecutor(1, "pack")
        self._under_way: deque[tuple[Packed, list[asyncio.Future[Any]]]] = deque()
        self._written: list[Packed] = []
        self._commit_s = 0.0
        self._stopping = False

    def check(self, book: Book) -> None:
        """Hold the sources' mappings against a book; MappingError says what does not fit."""
        self._packer.doors.check(book.schema)

    def follow(self, book: Book) -> None:
        """Decode under the schema of a new book from now on."""
        self._packer.schema, self._packer.lists = book.schema, tuple(book.lists)

    async def run(self) -> None:
        """Work until `stop`."""
        cluster = self._config.cluster
        await started(self._producer, cluster)
        try:
            await self._reader.start()
            while not self._stopping:
                polled = await self._reader.poll(POLL_MS, self._wall_ns)
                taken = [await self._take(group) for group in together(polled)]
                await self._settle(0 if not polled else UNDER_WAY_MAX)
                if sum(packed.events for packed in taken) < FEW_EVENTS:
                    frames = sum(len(packed.frames) for packed in taken)
                    await asyncio.sleep(max(cluster.intake_wait_ms / 1000, frames * FRAME_S))
            await self._settle(0, at_once=True)
        finally:
            await self._reader.stop()
            await self._producer.stop()
            self._pool.shutdown()

    def stop(self) -> None:
        """Ask it to end once what it has read is written and committed."""
        self._stopping = True

    async def _take(self, group: Sequence[Records]) -> Packed:
        """Pack chunks, send what they became and return it."""
        loop = asyncio.get_running_loop()
        packed = await loop.run_in_executor(self._pool, self._packer.pack, group, self._wall_ns() // 1_000_000)
        sent = []
        for one in letters_of(self._names.dead, packed.parts):
            sent.append(await self._producer.send(one.topic, one.value, key=one.key, partition=0))
        for partition, frame in packed.frames:
            sent.append(
                await self._producer.send(self._names.log, frame, partition=partition, timestamp_ms=packed.append_ms)
            )
        self._under_way.append((packed, sent))
        await self._settle(UNDER_WAY_MAX)
        return packed

    async def _settle(self, keep: int, *, at_once: bool = False) -> None:
        """Wait until at most `keep` groups are under way; commit and count what is written, now and then or `at_once`.

        Groups of an assignment that is over come again, to us or another worker, and are left to then.
        """
        while len(self._under_way) > keep or (self._under_way and all(one.done() for one in self._under_way[0][1])):
            packed, sent = self._under_way.popleft()
            await asyncio.gather(*sent)
            self._written.append(packed)
        now_s = time.monotonic()
        if not at_once and now_s < self._commit_s:
            return
        self._commit_s = now_s + COMMIT_S
        written, self._written = self._written, []
        ours = [part for packed in written if packed.assignment == self._reader.assignment for part in packed.parts]
        if ours and await self._reader.commit({part.key: part.end for part in ours}):
            for part in ours:
                count_part(self._metrics, part)
