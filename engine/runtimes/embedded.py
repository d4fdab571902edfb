"""The embedded runtime: one process, a local log, nothing else to install.

Start: take the data directory, recover the partitions, activate the book, start the pipeline, open the doors.
Stop: close the doors that let events and visits in, end dispatch and the desk while the log still takes what they
report, let the pipeline finish, close what is durable. With `drain` it stops by itself when the file sources are
exhausted and everything is decided and dispatched.

One asyncio loop serves HTTP, gateways, desk and watching; the pipeline's threads decode, fold and commit.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from connectors.desk.desk import Desk, NotDurableError
from connectors.desk.model import Customer, Visit
from connectors.sources.config import SourceConfig
from connectors.sources.contract import Opening, PulledSource, ServedSource, Source
from connectors.sources.opened import open_source, replay_config
from engine.book.compiled import CompiledBook
from engine.book.loader import Loader
from engine.book.watch import BookWatcher
from engine.counter.customers import customer_of
from engine.counter.desk_reporter import DeskReporter
from engine.flow.clock import Clock, EventsClock, WallClock
from engine.flow.core import Core, open_core
from engine.flow.decoders import Decoders
from engine.flow.decoders import Source as DecodedSource
from engine.flow.event_time import QUIET_S
from engine.flow.feedback import LocalAppender, feedback_of
from engine.flow.pipeline import Pipeline
from engine.runtimes.interpreter import settle, share
from engine.runtimes.local_desk import make_desk
from engine.runtimes.local_face import make_face
from engine.runtimes.operations import LocalOperations
from engine.runtimes.sending import Sending
from engine.runtimes.ticker import Ticker
from engine.serve.face import Face
from engine.serve.gauges import add_book_fault, add_local
from engine.serve.status import Status, StatusBoard
from engine.settings.config import Config
from rules.model import Book
from state.frame import FrameKind

DRAIN_POLL_S = 0.02
WATCH_S = 0.25
"""After which a fault that ended the flow is noticed."""

log = logging.getLogger("opportune")


def call_on_signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Have `stop` called when the process is asked to end, where the platform lets a loop hear of it."""
    for name in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(name, stop)


class Embedded:
    """One engine in this process; see the module.

    Args:
        config: checked settings.
        file: where they were read, for what the console has other processes do; without it there is no console.
        drain: whether it ends when the file sources are exhausted.
    """

    def __init__(self, config: Config, file: Path | None = None, *, drain: bool = False) -> None:
        self.config = config
        self.file = file
        self.drain = drain
        self.port = 0
        self._serving = False
        self._stopping = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._face: Face | None = None
        self._sources: list[Source] = []

    async def run(self, started: Callable[["Embedded"], None] = lambda _: None) -> Status:
        """Run until stopped; return the last status. Raises what stopped the pipeline, if a fault did."""
        share()
        with Loader() as loader:
            return await self._run(loader, started)

    async def _run(self, loader: Loader, started: Callable[["Embedded"], None]) -> Status:
        core = await asyncio.to_thread(open_core, self.config, compile_=loader.compile)
        try:
            book = await asyncio.to_thread(core.first_book, self._make_decoders)
            try:
                await self._start(core, book)
                settle()
                started(self)
                await self._wait()
                if core.patience.fault is not None:
                    raise core.patience.fault  # nothing can be made durable now, so an end waits for nothing
            except BaseException as fault:
                await self._abandon(fault)
                raise
            return await self._stop()
        finally:
            await asyncio.to_thread(core.close)

    def stop(self) -> None:
        """Ask the engine to stop; from the loop's thread."""
        self._stopping.set()

    # ---- starting

    async def _start(self, core: Core, book: Book) -> None:
        config = self.config
        self.core = core
        self._loop = asyncio.get_running_loop()
        self.pipeline = Pipeline(
            core.partitions,
            self.decoders.decode,
            core,
            threads=min(config.data.threads, config.data.partitions),
            queue_bytes_max=config.limits.intake_bytes_max,
            gated=True,
            quiet_s=None if self.drain else QUIET_S,
        )
        self.clock: Clock = EventsClock() if config.data.clock == "events" else WallClock()
        appender = LocalAppender(self.pipeline, lambda: self.decoders.schema)
        self.feedback = feedback_of(appender, self.clock.now_ms, core.metrics, core.active_book)
        self.desk_reporter = DeskReporter(self.feedback, core.metrics)
        self.desk: Desk | None = None
        if config.desk.enabled:
            self.desk = make_desk(config.desk, core, self._on_visit, self.desk_reporter.answer, self.clock.now_ms)
        self.sending = Sending(config, book, core, self.desk, self.feedback, self.clock, self.pipeline.events)
        core.dispatched_entry = self.sending.entry
        self.watcher = BookWatcher(config.book.folder, core.shelf.compile, self._activate, self._reloaded)
        self.watcher.begin(book, core.book_fault)
        self.board = StatusBoard(core, self.pipeline, lambda: self.watcher.fault)
        add_book_fault(core.metrics.gauges, lambda: self.watcher.fault)
        for partition in core.partitions:
            partition.flusher.start()
        self.pipeline.start()
        self._serving = True
        if self.desk is not None:
            await self.desk.start()
            self.board.doors["desk"] = self.desk.status
        await self.sending.start()
        self.board.doors["dispatch"] = self.sending.status
        self.board.doors["gateways"] = self.sending.gateways
        self.board.doors["sources"] = self._source_figures
        core.listeners.append(self.sending.committed)
        add_local(core, self.pipeline, self.sending.gateways)
        positions = core.resume_positions()
        self._make_sources(positions)
        if config.http.enabled:
            await self._serve()
        await self._forget_positions(positions)
        await self.sending.report_owed(self._stopping.is_set, self._raise_failure)
        await self._start_sources()
        if config.book.watch:
            watching = Ticker(config.book.poll_ms / 1000, self._look_at_book, self._stopping)
            self._watching = asyncio.create_task(watching.run(), name="book")
        call_on_signals(self._loop, self.stop)

    def _make_decoders(self, book: Book) -> None:
        """Hold the sources' mappings against the first book; MappingError says what does not fit."""
        sources = [
            DecodedSource(source.name, source.mapping, source.id_space, source.deduplicated)
            for source in self.config.sources.every
        ]
        self.decoders = Decoders(sources, book.schema, self.config.numbers.plan())
        self.decoders.lists = tuple(book.lists)
        self.decoders.check(book.schema)

    async def _serve(self) -> None:
        operations = LocalOperations(self.core, self.pipeline, self.sending, self.feedback, self.board)
        face = self._face = make_face(self.config, self.file, self.core, operations, self.desk, self._sources)
        self.port = await face.open()

    def _make_sources(self, positions: Mapping[str, int]) -> None:
        """Make the configured sources that this run reads, and the folders of their replayed lines."""
        opening = Opening(self.pipeline, positions, self.drain)
        for config in [*self.config.sources.every, *self._replay_configs()]:
            source = open_source(config, opening)
            served = isinstance(source, ServedSource)
            if served and not self.config.http.enabled:
                continue
            # A drained run ends when what it pulls is exhausted; a listener would have to be told when to end.
            if served or isinstance(source, PulledSource) or not self.drain:
                self._sources.append(source)

    def _replay_configs(self) -> Iterator[SourceConfig]:
        """Yield, for every source, the folder where `opportune dead replay` puts lines of its own back."""
        for source in self.config.sources.every:
            folder = self.core.datadir.replay / source.name
            folder.mkdir(parents=True, exist_ok=True)
            yield replay_config(source, folder)

    async def _forget_positions(self, positions: Mapping[str, int]) -> None:
        """Drop the stored positions of what no source holds any more, as of files that were removed."""
        pulled: dict[str, list[PulledSource]] = {}
        for source in self._sources:
            if isinstance(source, PulledSource):
                pulled.setdefault(source.config.name, []).append(source)
        owners = {key: pulled.get(key.partition(":")[0], []) for key in positions}
        gone = [key for key, some in owners.items() if some and not any(source.holds(key) for source in some)]
        if gone:
            payload = orjson.dumps({"action": "forget", "keys": gone})
            await asyncio.wrap_future(self.pipeline.broadcast(FrameKind.CONTROL, payload))

    async def _start_sources(self) -> None:
        for source in self._sources:
            await source.start()
        self.pipeline.add_sources([source for source in self._sources if isinstance(source, PulledSource)])

    # ---- running

    async def _wait(self) -> None:
        """Return when asked to stop or drained; raise what ended the pipeline or dispatch."""
        moves, moved_s = (-1, -1), self._loop.time()
        while not self._stopping.is_set():
            self._raise_failure()
            if self.drain and self.pipeline.exhausted:
                if self.pipeline.idle and self.sending.idle:
                    return
                if self.sending.disk_full is not None:
                    raise self.sending.disk_full
                moved = self.sending.moves, self.pipeline.queued_bytes
                if moves != moved:
                    moves, moved_s = moved, self._loop.time()
                elif self._loop.time() - moved_s > self.config.dispatch.drain_wait_s:
                    log.warning("nothing was sent for %g s; the rest waits", self.config.dispatch.drain_wait_s)
                    return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), DRAIN_POLL_S if self.drain else WATCH_S)

    def _raise_failure(self) -> None:
        fault = self.pipeline.failure or self.sending.failure
        if fault is not None:
            raise fault

    async def _stop(self) -> Status:
        await self._close_doors()
        await self.sending.stop()
        if self.desk is not None:
            await self.desk.stop()
        await asyncio.to_thread(self.pipeline.stop)
        for source in self._sources:
            source.close()
        self._raise_failure()
        status = self.board.read()
        await asyncio.to_thread(self.core.finish)
        return status

    async def _abandon(self, fault: BaseException) -> None:
        """After a fault: end the threads before what they use is closed. What was not acknowledged comes again."""
        if self._serving:
            self.pipeline.fail(fault)
            await self.sending.abandon()
            await self._close_doors()
            if self.desk is not None:
                await self.desk.stop()
            await asyncio.to_thread(self.pipeline.stop)

    async def _close_doors(self) -> None:
        """Let nothing in any more, neither events nor visits, commands or books."""
        self.core.patience.end()
        self._stopping.set()
        if self._watching is not None:
            await self._watching
        if self._face is not None:
            await self._face.close()
        for source in self._sources:
            await source.stop()

    async def _look_at_book(self) -> None:
        try:
            await asyncio.to_thread(self.watcher.look)
        except Exception:
            log.exception("the book could not be looked at; the running one keeps serving")

    def _activate(self, compiled: CompiledBook) -> None:
        """Put a new book into the log of every partition; decoders follow at once, dispatch by the journal."""
        book = compiled.book
        self.decoders.check(book.schema)
        payload = self.core.put_book(compiled)
        self.decoders.schema, self.decoders.lists = book.schema, tuple(book.lists)
        self.pipeline.broadcast(FrameKind.ACTIVATION, payload).result()

    def _reloaded(self, result: str) -> None:
        self.core.metrics.reloads.labels(result).inc()

    def _source_figures(self) -> Mapping[str, Any]:
        """Return the figures of every source, by name; a source and its replay folder share one."""
        figures: dict[str, dict[str, Any]] = {}
        for source in self._sources:
            shown = figures.setdefault(source.config.name, {})
            shown |= source.status()
            shown["faults"] = [*shown.get("faults", ()), *map(str, source.faults)]
        return figures

    # ---- the desk's callbacks

    async def _on_visit(self, visit: Visit) -> Customer | None:
        """Write a visit into the log; return what the state knows of the customer.

        On the events' own clock there is no time before the first event, so the visit waits on its panel until then.
        """
        if self.clock.now_ms() == 0:
            raise NotDurableError("no event has come yet, and the clock is theirs")
        self.sending.arrivals.own(visit.id)
        await self.desk_reporter.visit(visit)
        return await customer_of(self.pipeline, self.core, visit.subscriber) if visit.open else None
