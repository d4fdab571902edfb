"""One life of the engine, between two crashes: the real parts, put together without threads and without a loop.

The pipeline is the real one, whose steps the world takes (`tests.simulation.flow`), and so is the dispatcher
(`tests.simulation.sending`). Nothing is checked here, and nothing outlives the life but what is on the machine.
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from connectors.contract import Receipt
from connectors.sources.mapping import Mapping as LineMapping
from engine.book.compiled import CompiledBook, compile_texts
from engine.dispatch.feeder import Feeder
from engine.dispatch.model import Report
from engine.dispatch.policy import ChannelPolicy, Policy
from engine.dispatch.wording import reworded
from engine.flow.core import Core, Sizes
from engine.flow.datadir import DataDir, Fixed
from engine.flow.dead_letters import DeadLetters
from engine.flow.decoders import Decoders, Source
from engine.flow.fold import FoldLimits
from engine.flow.partition import Partition
from engine.flow.pipeline import Pipeline
from engine.settings.config import Config
from engine.settings.send_windows import SendWindow
from rules.model import Book
from state.batch import Row, from_rows
from tests.simulation.flow import FileFeed, Flow, SideTasks, WorldClock
from tests.simulation.machine import Machine
from tests.simulation.network import Flight, Network
from tests.simulation.sending import SimulatedDispatcher, SimulatedOutbox, Taker, outcome_row
from tests.simulation.traffic import File

ROOT = Path("/sim")
DEDUPE_WINDOW_MS = 3_600_000
IDS_MAX = 256


@dataclass(frozen=True)
class Size:
    """How large a world is, and how it is set; drawn from the seed."""

    partitions: int = 2
    workers: int = 2
    intake_bytes_max: int = 1 << 20
    capacity: int = 1024
    memory_subscribers: int = 1 << 20
    contacts_max: int = 12
    batch_rows_max: int = 16
    lateness_ms: int = 0
    segment_bytes: int = 16 << 10
    fold_events_s: float = 50.0
    log_bytes_max: int = 0
    windows: tuple[str, ...] = ()
    quota_per_day: int | None = None
    rate_per_s: float = float("inf")
    queue_max: int = 1000
    resend_unknown_service: bool = False

    def policy(self) -> Policy:
        """Return how dispatch is to send."""
        windows = tuple(SendWindow.parse(text) for text in self.windows)
        sms = ChannelPolicy(("main", "backup"), "10086", windows, self.quota_per_day, self.rate_per_s, 3, 2_000, 60_000)
        channels = {"sms": sms, "alert": ChannelPolicy(("main",)), "desk": ChannelPolicy(("desk",))}
        return Policy(
            channels, queue_max=self.queue_max, in_flight_max=20, resend_unknown_service=self.resend_unknown_service
        )

    def config(self) -> Config:
        """Return the settings that the durable core reads."""
        config = Config()
        data = config.data.model_copy(update={"directory": ROOT, "partitions": self.partitions})
        log = config.log.model_copy(
            update={"log_bytes_max": self.log_bytes_max, "journal_bytes_max": self.log_bytes_max}
        )
        state = config.state.model_copy(update={"contacts_max": self.contacts_max})
        return config.model_copy(update={"data": data, "log": log, "state": state})

    def sizes(self) -> Sizes:
        """Return small parts."""
        limits = FoldLimits(
            slots=self.capacity,
            memory_subscribers=self.memory_subscribers,
            contacts_max=self.contacts_max,
            batch_rows_max=self.batch_rows_max,
            dedupe_window_ms=DEDUPE_WINDOW_MS,
            dedupe_ids_max=IDS_MAX,
            recovery_target_s=4.0,
            fold_events_s=self.fold_events_s,
            lateness_ms=self.lateness_ms,
        )
        return Sizes(limits, self.segment_bytes, self.segment_bytes // 4)


class SimulatedCore(Core):
    """The durable core with small parts, recovered in one thread."""

    def __init__(self, size: Size, datadir: DataDir, machine: Machine) -> None:
        self._size = size
        super().__init__(
            size.config(), datadir, machine.store, machine, _compile_once, size.sizes(), machine.patience()
        )

    def recover(self) -> None:
        """Recover partition by partition."""
        for partition in self.partitions:
            self.recovery.refolded += self._recover_one(partition)
        self.dead_letters = DeadLetters(
            self.datadir.dead,
            self.disk,
            1 << 30,
            self.resume_positions(),
            self.patience,
            segment_bytes=self._size.segment_bytes,
        )

    def let_go(self) -> None:
        """Remove old segments now."""
        self._retained_s = -1e9
        super()._retain()

    def _retain(self) -> None:
        """The world says when."""


@dataclass(slots=True)
class Told:
    """Outcomes on their way into the log."""

    durable: "Future[None]"
    reports: list[Report]


class Life:
    """The engine from a start to its end; `files` are what it reads."""

    def __init__(
        self,
        size: Size,
        machine: Machine,
        network: Network,
        book: CompiledBook,
        clock: WorldClock,
        files: Sequence[File] = (),
    ) -> None:
        self.size = size
        self.clock = clock
        self.network = network
        datadir = DataDir(ROOT, machine)
        datadir.hold()
        datadir.fix(Fixed(size.partitions, size.contacts_max))
        self.core = SimulatedCore(size, datadir, machine)
        self.core.recover()
        self.core.activate(book, clock.now_ms)
        self.doors = Decoders([Source("files", MAPPING), Source("tcp", MAPPING)], book.book.schema)
        self._start_flow(files)
        self.outbox = SimulatedOutbox(datadir.outbox, machine, segment_bytes=size.segment_bytes // 4)
        self.gateways = network.doors()
        self.dispatcher = SimulatedDispatcher(size.policy(), self.outbox, self.gateways, clock)
        self.dispatcher.recover()
        self.dispatch = self.dispatcher.core
        self.follow(book.book)
        self.taker = Taker(self.dispatch, clock)
        self.feeder = asyncio.run(self._make_feeder())
        self.core.dispatched_entry = self._entry
        self.flights: list[Flight] = []
        self.told: Told | None = None
        self.receipts: list[Receipt] = []  # taken, and not yet durable

    def _start_flow(self, files: Sequence[File]) -> None:
        size, clock, chance = self.size, self.clock, self.network.chance
        side = SideTasks()
        self.pipeline = Pipeline(
            self.core.partitions,
            self.doors.decode,
            self.core,
            threads=size.workers,
            queue_bytes_max=size.intake_bytes_max,
            wall_ns=lambda: clock.now_ms * 1_000_000,
            monotonic_s=lambda: clock.passed_s,
            syncing=side,
        )
        self.flow = Flow(self.pipeline, side, size.workers, chance)
        positions = self.core.resume_positions()
        self.feeds = [FileFeed(file, positions.get(file.key, 0), chance, clock) for file in files]
        for feed in self.feeds:
            self.pipeline.add_source(feed)

    async def _make_feeder(self) -> Feeder:
        core = self.core
        return Feeder(
            core.partitions,
            core.shelf,
            core.strings,
            self.taker,
            self.follow,
            self.dispatch.cursors,
            lambda _p, _position: None,
        )

    def follow(self, book: Book) -> None:
        """Let dispatch judge and word what waits by a book, as the runtime does."""
        self.dispatch.follow(
            replace(
                self.size.policy(),
                book=book.version,
                rules={rule.id: rule.sends for rule in book.rules},
                words=lambda what: reworded(what, book),
            )
        )

    def _entry(self, partition: Partition) -> int:
        return self.dispatch.durable_cursors.get(str(partition.number), 0)

    # Into the log.

    def append(self, rows: Sequence[Row]) -> "Future[None]":
        """Append rows that the engine makes itself."""
        return self.pipeline.append(from_rows(self.doors.schema, rows))

    def put_book(self, compiled: CompiledBook) -> bytes:
        """Keep a book and let the decoders follow, as the runtime does; return what its activation says."""
        payload = self.core.put_book(compiled)
        self.doors.schema = compiled.book.schema
        return payload

    @property
    def read(self) -> bool:
        """Whether the files are read to their present ends."""
        return all(feed.exhausted for feed in self.feeds)

    @property
    def busy(self) -> bool:
        """Whether anything that was taken is not durable yet."""
        return self.flow.busy

    # What dispatch's loop does.

    def feed(self) -> None:
        """Let the feeder offer some entries; nothing in it waits, so its coroutine runs through at once."""
        while self.feeder.look_ahead():
            continue
        if self.dispatch.room() > 0:
            feeding = self.feeder._feed()
            try:
                feeding.send(None)
            except StopIteration:
                return
            raise AssertionError("the feeder waits for something that is not there")

    def tell(self) -> None:
        """Carry outcomes to the log, one bundle at a time."""
        if self.told is not None:
            if not self.told.durable.done():
                return
            self.dispatch.mark_reported(self.told.reports)
            self.told = None
        now_ms = self.clock.now_ms
        reports = self.dispatch.reports(50)
        if reports:
            rows = [outcome_row(report, now_ms, self.dispatch.contact_ms(report)) for report in reports]
            self.told = Told(self.append(rows), reports)


MAPPING = LineMapping(time_format="epoch_ms")


def _compile_once(sources: Mapping[str, str], before: Book | None) -> CompiledBook:
    """Let every life of every world share the compiled books; the files are still read."""
    assert before is None, "a life only reads books that were put whole"
    return _compiled(tuple(sorted(sources.items())))


@lru_cache(maxsize=8192)
def _compiled(sources: tuple[tuple[str, str], ...]) -> CompiledBook:
    return compile_texts(dict(sources), None)
