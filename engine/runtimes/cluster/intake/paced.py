"""Intake on the events' own clock: one worker at a time writes the log, moment after moment.

    1. read     all raw partitions, as far as it takes to know that the next moment has come (`pace`)
    2. write    the rows up to it into the log, then the moment itself
    3. wait     until every partition concerned rests there: all is sent that was due, and its outcomes are in the log
    4. again    in partitions where rows of our own came since: they may have decided something
    5. commit   how far raw partitions are taken, and their clocks

No worker is a leader: the consumer group gives all raw partitions to one of them. One that has lost them and does not
know yet does no harm: it, too, writes a row only after the partition has said that it rests before it, and rows that
stand in the log already are left out by their offsets. A report that does not come is asked for again.

Where no rows come, what waits falls due at the wall's pace.

A moment costs some messages one after the other, a few hundredths of a second: this clock is for rehearsals, replays
and checks, not for the load of a network.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from connectors.kafka import BrokerError
from connectors.kafka.client import producer, started
from connectors.kafka.tail import Tail
from connectors.kafka.writer import Written, send_all
from connectors.seldom import Seldom
from connectors.sources.kafka.client import RawReader
from engine.flow.event_time import QUIET_S
from engine.flow.steps import FOREVER_MS
from engine.metrics import Metrics
from engine.runtimes.cluster.intake.pace import Pace
from engine.runtimes.cluster.intake.parts import count_part, letters_of, part_of
from engine.runtimes.cluster.intake.service import POLL_MS, Packer
from engine.runtimes.cluster.shared.moments import Rested, moment_frame, parse_rested
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from engine.runtimes.cluster.shared.topics import MESSAGE_BYTES_MAX, Names, worker_name
from engine.settings.config import Config
from rules.model import Book

ROWS_MAX = 400_000
"""Rows that wait, above which only those raw partitions are read that all others wait for."""
STAY_S = 1.0
AGAIN_S = 3.0
"""After so long without a report a moment is written again: the partition may have a new owner."""
RETRY_S = 0.5
WARN_S = 15.0

log = logging.getLogger("opportune.cluster")
seldom = Seldom(log)


class PacedIntake:
    """Reads, waits for moments, writes, commits; `run` ends when stopped or raises what broke it."""

    def __init__(self, config: Config, book: Book, metrics: Metrics, wall_ns: Callable[[], int] = time.time_ns) -> None:
        cluster = config.cluster
        self._config = config
        self._names = Names(cluster.prefix)
        self._metrics = metrics
        self._wall_ns = wall_ns
        self._partitions = range(config.data.partitions)
        self._reader = RawReader(
            cluster,
            config.sources.kafka,
            self._names.intake,
            cluster.session_timeout_ms,
            cluster.intake_records_max,
            worker_name(config),
            alone=True,
        )
        self._producer = producer(cluster, max_request_size=MESSAGE_BYTES_MAX)
        self._reports = Tail(cluster, self._names.moments, 0)
        self._ends = Tail(cluster, self._names.log, 0)
        self._guard = RecordGuard()
        self._packer = Packer(config, book)
        self._pool = ThreadPoolExecutor(1, "pack")
        self._pace: Pace | None = None
        self._assignment = -1
        self._unread: set[str] = set()
        self._came_s: dict[str, float] = {}
        self._rested: dict[int, Rested] = {}
        self._idle_since: tuple[int, float] | None = None
        """Time of the events and of the machine when the last row had come."""
        self.now_ms = 0
        """The last moment."""
        self._stopping = False

    def check(self, book: Book) -> None:
        """Hold the sources' mappings against a book; MappingError says what does not fit."""
        self._packer.doors.check(book.schema)

    def follow(self, book: Book) -> None:
        """Decode under the schema of a new book from now on."""
        self._packer.schema, self._packer.lists = book.schema, tuple(book.lists)

    def stop(self) -> None:
        """Ask it to end; what is not committed comes again."""
        self._stopping = True

    async def run(self) -> None:
        """Work until `stop`."""
        await started(self._producer, self._config.cluster)
        try:
            await self._reports.start()
            self._reports.seek(await self._reports.end())
            await self._ends.start()
            await self._reader.start()
            while not self._stopping:
                await self._turn()
        finally:
            await self._reader.stop()
            await self._ends.stop()
            await self._reports.stop()
            await self._producer.stop()
            self._pool.shutdown()

    async def _turn(self) -> None:
        """Do the next moment, or read."""
        if self._assignment != self._reader.assignment:
            self._pace = None
        pace = self._pace
        at_ms = self._next_ms(pace) if pace is not None else None
        if pace is not None and at_ms is not None:
            await self._pass(pace, at_ms)
        await self._read(0 if at_ms is not None else POLL_MS)

    # ---- reading

    async def _read(self, wait_ms: int) -> None:
        """Take in what has come of the raw topics; begin anew where they were given to us."""
        reader = self._reader
        full = self._pace is not None and self._pace.rows > ROWS_MAX
        reader.rest(reader.keys - self._pace.wanted() if full and self._pace is not None else ())
        polled = await reader.poll(wait_ms, self._wall_ns)
        if self._assignment != reader.assignment or self._pace is None:
            if not reader.keys:
                return
            await self._begin()
        pace = self._pace
        if pace is None:
            return
        for records in polled:
            decoded = await asyncio.get_running_loop().run_in_executor(self._pool, self._packer.decode, records.chunk)
            part = part_of(records, decoded)
            await send_all(self._producer, letters_of(self._names.dead, [part]))
            pace.add(records, decoded, partial(count_part, self._metrics, part))
            self._came_s[part.key] = time.monotonic()
            self._idle_since = None
        # Where rows come of a partition that had none left, others may have some again, too.
        if {records.chunk.key for records in polled} - self._unread or (not polled and wait_ms):
            await self._look()

    async def _look(self) -> None:
        """Learn which raw partitions may still bring rows: they are not read to their ends, or were not just now."""
        assignment = self._reader.assignment
        try:
            unread = await self._reader.unread()
        except BrokerError:
            return  # nobody knows: all that may bring rows still may
        if self._assignment == assignment:
            now_s = time.monotonic()
            self._unread = unread | {key for key, came_s in self._came_s.items() if now_s - came_s < QUIET_S}

    async def _begin(self) -> None:
        """Begin where the group has committed, once all partitions have said where they are."""
        reader = self._reader
        self._assignment, self._pace = reader.assignment, None
        self._unread, self._came_s = reader.keys, dict.fromkeys(reader.keys, time.monotonic())
        self._idle_since = None
        pace = Pace(len(self._partitions), self._config.limits.batch_events_max, reader.notes, lambda: self._unread)
        log.info("this worker writes the log on the events' own clock, from %d raw partitions", len(reader.keys))
        self._pace = pace if await self._moment(0, [], self._partitions) else None

    # ---- moments

    def _next_ms(self, pace: Pace) -> int | None:
        """Return the next moment; None where it has not come."""
        held_ms = min(one.held_ms for one in self._rested.values())
        due_ms = min(one.due_ms for one in self._rested.values())
        at_ms = pace.next_ms(min(held_ms, due_ms))
        if at_ms != FOREVER_MS:
            return at_ms
        if self._idle_since is None:
            newest_ms = max(pace.newest_ms, *(one.now_ms for one in self._rested.values()))
            self._idle_since = newest_ms, time.monotonic()
        if held_ms < FOREVER_MS:
            return min(held_ms, due_ms)
        began_ms, began_s = self._idle_since
        return due_ms if due_ms <= began_ms + (time.monotonic() - began_s) * 1000 else None

    async def _pass(self, pace: Pace, at_ms: int) -> None:
        """Do a moment: rows, what is due, outcomes; then commit."""
        frames = pace.take(at_ms)
        due = {number for number, one in self._rested.items() if min(one.held_ms, one.due_ms) <= at_ms}
        if not await self._moment(at_ms, frames, due | {number for number, _ in frames}):
            return
        self.now_ms = max(self.now_ms, at_ms)
        ends, notes, told = pace.ends()
        if ends and await self._reader.commit(ends, notes):
            for say in told:
                say()

    async def _moment(self, at_ms: int, frames: Iterable[tuple[int, bytes]], partitions: Collection[int]) -> bool:
        """Write frames and a moment; return when the partitions rest, and nothing of our own came since.

        False where we are to stop, or the raw partitions were taken back.
        """
        written = [Written(self._names.log, number, frame) for number, frame in frames]
        while partitions:
            ticks = await self._write(written, at_ms, partitions)
            written = []
            if not await self._wait(at_ms, ticks):
                return False
            ends = await self._ends_of(partitions)
            partitions = {number for number in partitions if ends[number] > self._rested[number].position + 1}
        return True

    async def _ends_of(self, partitions: Collection[int]) -> dict[int, int]:
        """Return where partitions of the log end, as soon as a broker says so."""
        while True:
            try:
                return await self._ends.ends(partitions)
            except BrokerError as fault:
                seldom.error("no moment goes on until a broker answers: %s", fault)
                await asyncio.sleep(RETRY_S)

    async def _write(self, frames: list[Written], at_ms: int, partitions: Collection[int]) -> dict[int, int]:
        """Write frames, then the moment; return its position in each partition."""
        tick = moment_frame(at_ms)
        ticks = [Written(self._names.log, number, tick) for number in partitions]
        offsets = await send_all(self._producer, [*frames, *ticks])
        return dict(zip(partitions, offsets[len(frames) :], strict=True))

    async def _wait(self, at_ms: int, ticks: dict[int, int]) -> bool:
        """Return when all partitions rest at a moment; False as `_moment`."""
        began_s = asked_s = stayed_s = warned_s = time.monotonic()
        while waiting := {n for n, tick in ticks.items() if n not in self._rested or self._rested[n].position < tick}:
            await self._hear()
            now_s = time.monotonic()
            if self._stopping or self._assignment != self._reader.assignment:
                return False
            if now_s - stayed_s > STAY_S:
                stayed_s = now_s
                await self._reader.stay()
            if now_s - asked_s > AGAIN_S:
                asked_s = now_s
                await self._write([], at_ms, sorted(waiting))
            if now_s - warned_s > WARN_S:
                warned_s = now_s
                log.warning(
                    "moment %d waits for partitions %s for %.0f s: they are not decided, not sent, or their gateways "
                    "do not answer", at_ms, sorted(waiting), now_s - began_s,
                )  # fmt: skip
        return True

    async def _hear(self) -> None:
        """Take in what partitions report."""
        for record in await self._reports.poll():
            rested = self._guard.read(Place(self._names.moments, 0), record, parse_rested)
            if rested is not None and rested.partition in self._partitions:
                known = self._rested.get(rested.partition)
                if known is None or known.position <= rested.position:
                    self._rested[rested.partition] = rested
