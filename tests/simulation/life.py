"""One life of the engine, between two crashes: the real parts, put together without threads and without a loop.

What the runtime's threads do is here in methods that the world calls: decode, fold, commit. The dispatcher is the real
one; the world takes its turns, and what it launches goes to the world. Nothing is checked here, and nothing outlives
the life but what is on the machine.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from connectors.contract import Receipt
from connectors.sources.contract import Chunk, padded
from connectors.sources.mapping import Mapping as LineMapping
from engine.book.compiled import CompiledBook, compile_texts
from engine.dispatch.core import DispatchCore
from engine.dispatch.dispatcher import Dispatcher
from engine.dispatch.doors import Door
from engine.dispatch.feeder import Feeder
from engine.dispatch.model import Decided, Report, Send, Withdrawn
from engine.dispatch.orphans import Orphans
from engine.dispatch.outbox import LocalOutbox
from engine.dispatch.policy import ChannelPolicy, Policy
from engine.dispatch.rates import Rates
from engine.dispatch.shared import Shared
from engine.dispatch.wording import reworded
from engine.flow.committer import commit
from engine.flow.core import Core, Sizes
from engine.flow.datadir import DataDir, Fixed
from engine.flow.dead_letters import DeadLetters
from engine.flow.decoders import Decoders, Source
from engine.flow.fold import Appended, FoldLimits
from engine.flow.partition import Item, Partition
from engine.flow.stages import items_of
from engine.flow.tickets import Ticket
from engine.settings.config import Config
from engine.settings.send_windows import SendWindow
from rules.model import Book
from state.batch import Row, Value, from_rows, select
from state.disk import DiskFullError
from state.frame import FrameKind
from state.hashing import rows_by_partition
from tests.simulation.machine import Machine
from tests.simulation.network import Flight, Network

ROOT = Path("/sim")
DEDUPE_WINDOW_MS = 3_600_000
IDS_MAX = 256


@dataclass(frozen=True)
class Size:
    """How large a world is, and how it is set; drawn from the seed."""

    partitions: int = 2
    capacity: int = 512
    memory_subscribers: int = 1 << 20
    contacts_max: int = 12
    batch_rows_max: int = 16
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
        self._retain()


@dataclass(slots=True)
class Told:
    """Outcomes on their way into the log."""

    ticket: Ticket
    reports: list[Report]


@dataclass(slots=True)
class Taker:
    """Dispatch as the feeder sees it."""

    dispatch: DispatchCore
    now_ms: int
    idle: bool = True

    def room(self) -> int:
        """Return the room of dispatch."""
        return self.dispatch.room()

    def offer(self, decided: Sequence[Decided], cursors: Mapping[str, int]) -> None:
        """Pass decisions on."""
        self.dispatch.offer(decided, cursors, self.now_ms)

    def withdraw(self, withdrawn: Sequence[Withdrawn]) -> None:
        """Pass on what the fold took back."""
        self.dispatch.withdraw(withdrawn, self.now_ms)


def _nothing() -> None:
    """Nothing happens."""


class SimulatedOutbox(LocalOutbox):
    """The outbox on the simulated disk: the world says what happens where there is no room, and while it writes."""

    refused: Callable[[], None] = staticmethod(_nothing)
    writing: Callable[[], None] = staticmethod(_nothing)

    def flush(self, now_ms: int) -> None:
        """Append what was collected; without room the dispatcher waits until there is."""
        try:
            super().flush(now_ms)
        except DiskFullError:
            self.refused()
            super().flush(now_ms)

    async def commit(self) -> None:
        """Make what was flushed durable, in this thread."""
        self.writing()
        self.sync()


class Launcher:
    """In the place of the tasks that fly: each attempt goes to the world as soon as it is launched."""

    def __init__(self) -> None:
        self.launch: Callable[[Send], None] = lambda _: None


class Idle:
    """In the place of the reporter: the world carries outcomes to the log itself."""

    def step(self) -> None:
        """Report nothing."""


class SimulatedDispatcher(Dispatcher):
    """The real dispatcher, whose turns the world takes one by one."""

    def __init__(
        self, policy: Policy, outbox: LocalOutbox, doors: Mapping[str, Door], now_ms: Callable[[], int]
    ) -> None:
        shared = Shared(doors, Rates(policy.gateway_rates, policy.channel_rates), Orphans())
        super().__init__(policy, {}, None, cast("Any", None), now_ms, outbox, shared=shared)
        self.launcher = Launcher()
        self._flights, self._reporter = cast("Any", self.launcher), cast("Any", Idle())

    def turn(self) -> None:
        """Take a turn; nothing in it waits, so its coroutine runs through at once."""
        turning = self._turn()
        try:
            turning.send(None)
        except StopIteration:
            return
        raise AssertionError("a turn waits for something that is not there")

    async def _rest(self) -> None:
        """Let the world pass time."""


class Life:
    """The engine from a start to its end."""

    def __init__(self, size: Size, machine: Machine, network: Network, book: CompiledBook, now_ms: int) -> None:
        self.size = size
        self.network = network
        datadir = DataDir(ROOT, machine)
        datadir.hold()
        datadir.fix(Fixed(size.partitions, size.contacts_max))
        self.core = SimulatedCore(size, datadir, machine)
        self.core.recover()
        self.waiting: list[deque[Item]] = [deque() for _ in self.core.partitions]
        self.uncommitted: list[list[Appended]] = [[] for _ in self.core.partitions]
        self.core.activate(book, now_ms)
        self.reading = self.core.resume_positions()
        self.doors = Decoders([Source("files", MAPPING), Source("tcp", MAPPING)], book.book.schema)
        self.now_ms = now_ms
        self.outbox = SimulatedOutbox(datadir.outbox, machine, segment_bytes=size.segment_bytes // 4)
        self.gateways = network.doors()
        self.dispatcher = SimulatedDispatcher(size.policy(), self.outbox, self.gateways, lambda: self.now_ms)
        self.dispatcher.recover()
        self.dispatch = self.dispatcher.core
        self.follow(book.book)
        self.taker = Taker(self.dispatch, now_ms)
        self.feeder = asyncio.run(self._make_feeder())
        self.core.dispatched_entry = self._entry
        self.flights: list[Flight] = []
        self.told: Told | None = None
        self.receipts: list[Receipt] = []  # taken, and not yet durable

    async def _make_feeder(self) -> Feeder:
        core = self.core
        return Feeder(
            core.partitions,
            core.shelf,
            core.strings,
            self.taker,
            self.follow,
            self.dispatch.cursors,
            None,
            lambda _p, _position: None,
        )

    def follow(self, book: Book) -> None:
        """Let dispatch judge and word what waits by a book, as the runtime does."""
        self.dispatch.follow(
            replace(
                self.size.policy(),
                book=book.version,
                rules={rule.id: rule.enabled for rule in book.rules},
                words=lambda what: reworded(what, book),
            )
        )

    def _entry(self, partition: Partition) -> int:
        return self.dispatch.durable_cursors.get(str(partition.number), 0)

    # From lines to decisions.

    def offer(self, source: str, key: str, data: bytes, start: int, line: int, now_ms: int) -> Ticket:
        """Decode a chunk and let its rows wait for their partitions."""
        chunk = Chunk(
            source, key, padded(data), len(data), start, start + len(data), not key, False, now_ms * 1_000_000, line
        )
        ticket = Ticket(chunk.length)
        decoded = self.doors.decode(chunk)
        self.core.decoded(chunk, decoded)
        if decoded.dead:
            self.core.dead(decoded.dead)
        count = len(self.core.partitions)
        ticket.expect(count)
        for waiting, item in zip(self.waiting, items_of(chunk, decoded, ticket, count), strict=True):
            waiting.append(item)
        return ticket

    def append(self, rows: Sequence[Row]) -> Ticket:
        """Let rows that the engine makes itself wait for their partitions."""
        ticket = Ticket()
        batch = from_rows(self.doors.schema, rows)
        count = len(self.core.partitions)
        parts = rows_by_partition(batch.subscriber, count)
        ticket.expect(sum(part.shape[0] > 0 for part in parts))
        for waiting, part in zip(self.waiting, parts, strict=True):
            if part.shape[0]:
                waiting.append(Item(ticket, select(batch, part)))
        return ticket

    def broadcast(self, kind: FrameKind, payload: bytes) -> Ticket:
        """Let a frame wait for every partition."""
        ticket = Ticket()
        ticket.expect(len(self.waiting))
        for waiting in self.waiting:
            waiting.append(Item(ticket, kind=kind, payload=payload))
        return ticket

    def activate(self, compiled: CompiledBook) -> None:
        """Put a book into the log of every partition, as the runtime does."""
        payload = self.core.put_book(compiled)
        self.doors.schema = compiled.book.schema
        self.broadcast(FrameKind.ACTIVATION, payload)

    def commit(self, p: int) -> None:
        """Make a partition's frames durable and acknowledge them."""
        taken, self.uncommitted[p] = self.uncommitted[p], []
        commit(self.core.partitions[p], taken)
        for frame in taken:
            for ticket in frame.tickets:
                ticket.done()

    @property
    def busy(self) -> bool:
        """Whether anything waits to be folded or committed."""
        return any(self.waiting) or any(self.uncommitted)

    # What dispatch's loop does.

    def feed(self, now_ms: int) -> None:
        """Let the feeder offer some entries; nothing in it waits, so its coroutine runs through at once."""
        self.taker.now_ms = now_ms
        while self.feeder.look_ahead():
            continue
        if self.dispatch.room() > 0:
            feeding = self.feeder._feed()
            try:
                feeding.send(None)
            except StopIteration:
                return
            raise AssertionError("the feeder waits for something that is not there")

    def turn(self, now_ms: int) -> None:
        """Let the dispatcher take, commit and launch."""
        self.now_ms = now_ms
        self.dispatcher.turn()

    def tell(self, now_ms: int) -> None:
        """Carry outcomes to the log, one bundle at a time."""
        if self.told is not None:
            if not self.told.ticket.future.done():
                return
            self.dispatch.mark_reported(self.told.reports)
            self.told = None
        reports = self.dispatch.reports(50)
        if reports:
            self.told = Told(
                self.append([outcome_row(report, now_ms, self.dispatch.contact_ms(report)) for report in reports]),
                reports,
            )


def outcome_row(report: Report, now_ms: int, contact_ms: int | None) -> Row:
    """Return the event that says what became of a decision."""
    partition, position, row, rule = report.decision_id.split("-")
    values: dict[str, Value] = {
        "partition": int(partition), "position": int(position), "row": int(row), "rule": int(rule, 16),
        "state": int(report.state), "gateway": report.gateway, "error": report.error,
        "contact_ms": now_ms if contact_ms is None else contact_ms,
    }  # fmt: skip
    return Row("outcome", report.subscriber, now_ms, values)


MAPPING = LineMapping(time_format="epoch_ms")


def _compile_once(sources: Mapping[str, str], before: Book | None) -> CompiledBook:
    """Let every life of every world share the compiled books; the files are still read."""
    assert before is None, "a life only reads books that were put whole"
    return _compiled(tuple(sorted(sources.items())))


@lru_cache(maxsize=8192)
def _compiled(sources: tuple[tuple[str, str], ...]) -> CompiledBook:
    return compile_texts(dict(sources), None)
