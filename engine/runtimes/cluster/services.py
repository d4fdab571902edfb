"""What a worker has below its Faust app: the control topic, intake, the partitions it owns and sends, its HTTP face.

It is one service. It starts before Faust's consumer, so that everything is there when the first partitions come, and
stops after it; what is opened last is closed first. A part that fails ends the worker.
"""

import asyncio
import contextlib
import logging
import time
from typing import Any

from mode import Service

from connectors.desk.desk import Desk
from connectors.kafka.writer import Writer
from engine.book.compiled import CompiledBook
from engine.book.loader import Loader, LoaderError
from engine.book.shelf import BookShelf
from engine.book.watch import BookWatcher
from engine.counter.desk_reporter import DeskReporter
from engine.flow.clock import Clock, EventsClock, WallClock
from engine.flow.datadir import DataDir, Fixed
from engine.flow.feedback import feedback_of
from engine.metrics import Metrics
from engine.runtimes.cluster.decide.arrivals import TopicArrivals
from engine.runtimes.cluster.decide.gauges import add_owned
from engine.runtimes.cluster.decide.service import SETTLE_S, Decide
from engine.runtimes.cluster.dispatch.service import Dispatch
from engine.runtimes.cluster.intake.paced import PacedIntake
from engine.runtimes.cluster.intake.service import Intake
from engine.runtimes.cluster.operations import TopicOperations
from engine.runtimes.cluster.shared.appender import TopicAppender
from engine.runtimes.cluster.shared.control_topic import ControlTopic
from engine.runtimes.cluster.shared.publisher import Publisher
from engine.runtimes.cluster.shared.record_guard import RecordGuard
from engine.runtimes.cluster.shared.texts import OldTexts
from engine.runtimes.cluster.shared.topics import MESSAGE_BYTES_MAX, Names
from engine.runtimes.cluster.shared.watchdog import Watchdog
from engine.runtimes.cluster.shared.worker_desk import has_counters, make_desk
from engine.runtimes.ticker import Ticker
from engine.serve.face import Face
from engine.serve.gauges import add_book, add_book_fault
from engine.settings.config import Config
from rules.catalogue import OPT_OUT_LIST
from rules.diagnostics import BookErrors
from rules.load import read_folder
from rules.model import Book
from state.store import RocksStore

log = logging.getLogger("opportune.cluster")

END_S = 10.0


class WorkerServices(Service):  # type: ignore[misc]  # mode ships no types
    """What lives below the agent: the control topic, intake, the partitions of decide, the front."""

    def __init__(self, config: Config, loader: Loader, **words: Any) -> None:
        super().__init__(**words)
        self.config = config
        self._loader = loader
        self.failure: BaseException | None = None
        self.intake: Intake | PacedIntake | None = None
        self.decide: Decide | None = None
        self.dispatch: Dispatch | None = None
        self.desk: Desk | None = None
        self.arrivals: TopicArrivals | None = None
        self.texts: OldTexts | None = None
        self.clock: Clock = WallClock()
        """The wall's; or the events', up to where this worker sends."""
        self.port = 0
        self.book_fault = ""
        self._work: list[asyncio.Task[None]] = []
        self._closing = contextlib.AsyncExitStack()

    async def on_start(self) -> None:
        """Open everything, in the order in which one needs the other; what is open is closed in the opposite one."""
        config, closing = self.config, self._closing
        self._loop = asyncio.get_running_loop()
        self.metrics = Metrics()
        self.datadir = DataDir(config.data.directory)
        await asyncio.to_thread(self._take_directory)
        closing.callback(self.datadir.release)
        self.shelf = BookShelf(self.datadir.books, compile_=self._loader.compile)
        self.writer = await Writer(config.cluster, MESSAGE_BYTES_MAX).start()
        closing.push_async_callback(self.writer.stop)
        names = Names(config.cluster.prefix)
        self.guard = RecordGuard(
            names.dead, self.writer.write, lambda topic, code: self.metrics.dead.labels(topic, code).inc()
        )
        closing.push_async_callback(self.guard.flush)
        self.control_topic = ControlTopic(config, self.shelf, self.guard)
        await self.control_topic.start()
        self.guard.catch_up = self.control_topic.catch_up
        closing.push_async_callback(self.control_topic.stop)
        self.publisher = Publisher(config, self.control_topic, self.writer)
        await self.publisher.announce()
        self.book = await self._first_book()
        add_book(self.metrics.gauges, self._active)
        appender = TopicAppender(config, self.writer, lambda: self._active().schema)
        if config.data.clock == "events":
            self.clock = EventsClock()
        self.feedback = feedback_of(appender, lambda: _now_ms(self), self.metrics, self._active)
        self.texts = OldTexts(config, self.guard)
        await self.texts.load()
        if has_counters(config.desk):
            await self._open_desk()
        if "decide" in config.cluster.agents:
            await self._start_decide()
        if "dispatch" in config.cluster.agents:
            await self._start_dispatch()
        closing.push_async_callback(self._end_work)
        self._spawn(self.control_topic.follow())
        self._spawn(self.guard.run())
        if "intake" in config.cluster.agents and config.sources.kafka:
            kind = PacedIntake if config.data.clock == "events" else Intake
            self.intake = kind(config, self.book, self.metrics, time.time_ns)
            self.control_topic.listeners.append(self.intake.follow)
            working = self._spawn(self.intake.run())
            closing.push_async_callback(self._end_intake, self.intake, working)
        if config.http.enabled:
            await self._serve()

    async def finish(self) -> None:
        """Close the partitions of the log with their pages written, while the group is still ours."""
        if self.decide is not None:
            await self.decide.finish()

    async def on_stop(self) -> None:
        """Finish what intake has read; close everything."""
        await self._closing.aclose()

    async def _end_intake(self, intake: Intake | PacedIntake, working: "asyncio.Task[None]") -> None:
        intake.stop()
        await asyncio.wait([working], timeout=END_S)

    async def _end_work(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    # ---- opening

    def _take_directory(self) -> None:
        self.datadir.hold()
        self.datadir.fix(Fixed(self.config.data.partitions, self.config.state.contacts_max))

    async def _first_book(self) -> Book:
        """Return the active book; publish the folder's when it was never published.

        A worker that comes back with an older folder does not take the cluster back; a change of the folder under a
        running worker is a decision and is published, whatever it changes to. Where the folder cannot be read or used,
        an active book serves and `book_fault` says why; without one, the fault is raised.
        """
        try:
            sources = read_folder(self.config.book.folder)
            book = (await asyncio.to_thread(self.shelf.compile, sources, None)).book
        except (BookErrors, LoaderError, OSError) as fault:
            if self.control_topic.active is None:
                raise
            self.book_fault = str(fault)
            log.error("the book of the folder is not used, the active one serves:\n%s", fault)
            return self._active()
        if self.control_topic.active is None or not self.control_topic.was_published(book.version):
            await self.publisher.publish(book)
        return self._active()

    async def _open_desk(self) -> None:
        config = self.config
        desk = self.desk = make_desk(
            config.desk, DeskReporter(self.feedback, self.metrics), self._on_opt_out, self._desk_forgot
        )
        await desk.start()
        self._closing.push_async_callback(desk.stop)
        if "decide" in config.cluster.agents:
            assert self.texts is not None
            self.arrivals = TopicArrivals(desk, self.texts, self._active)
            self._spawn(self.arrivals.run())

    async def _on_opt_out(self, subscriber: int) -> None:
        """Record a customer's opt-out; where no dispatch is here, what waits is judged again by its list alone."""
        if self.dispatch is not None:
            await self.dispatch.opt_out(subscriber)
        else:
            await self.feedback.member(subscriber, OPT_OUT_LIST, member=True)

    def _desk_forgot(self) -> None:
        if self.decide is not None:
            self.decide.hold_against_desk()

    def _active(self) -> Book:
        assert self.control_topic.active is not None
        return self.control_topic.active

    async def _start_decide(self) -> None:
        config = self.config
        store = await asyncio.to_thread(RocksStore, self.datadir.pages)
        self._closing.callback(store.close)
        self.decide = Decide(
            config,
            store,
            self.shelf,
            self.control_topic,
            self.publisher,
            self.metrics,
            self.writer.write,
            self.fail,
            self.arrivals,
            self.guard,
        )
        await self.decide.start()
        self._closing.push_async_callback(self.decide.stop)
        log_topic = Names(config.cluster.prefix).log
        self.watchdog = Watchdog(config, log_topic, self.decide.positions, self.decide.opening)
        await self.watchdog.start()
        self._closing.push_async_callback(self.watchdog.stop)
        self._spawn(Ticker(SETTLE_S, self.decide.settle).run())
        self._spawn(self.watchdog.run())
        if config.book.watch:
            self._spawn(self._book_ticker().run())
        add_owned(self.metrics.gauges, self.decide, self.watchdog)

    async def _start_dispatch(self) -> None:
        assert self.texts is not None
        self.dispatch = Dispatch(
            self.config,
            self.shelf,
            self.control_topic,
            self.metrics,
            self.writer,
            self.feedback,
            self.texts,
            self.desk,
            self.guard,
            self.clock,
        )
        await self.dispatch.start()
        self._closing.push_async_callback(self.dispatch.stop)
        for work in self.dispatch.work():
            self._spawn(work)
        self.dispatch.add_gauges()

    async def _serve(self) -> None:
        assert self.texts is not None
        operations = TopicOperations(
            self.config.cluster.agents,
            self.control_topic,
            self.publisher,
            self.feedback,
            self.decide,
            self.dispatch,
            self.desk,
            self.texts,
            self.config.data.partitions,
            lambda: self.failure,
        )
        face = Face(self.config, operations, self.metrics, self.desk, self.datadir.address)
        self._closing.push_async_callback(face.close)
        self.port = await face.open()
        if self.desk is not None:
            self.desk.where = f"{self.config.http.host}:{self.port}"

    # ---- running

    def _spawn(self, coroutine: Any) -> "asyncio.Task[None]":
        task = asyncio.create_task(coroutine)
        task.add_done_callback(self._ended)
        self._work.append(task)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """A part that fails ends the worker."""
        if not task.cancelled() and (fault := task.exception()) is not None:
            self.fail(fault)

    def fail(self, fault: BaseException) -> None:
        """End the worker with this fault."""
        if self.failure is None:
            self.failure = fault
            log.error("the worker ends: %s", fault, exc_info=fault)
            self._crashing = asyncio.ensure_future(self.crash(fault))

    def _book_ticker(self) -> Ticker:
        watcher = BookWatcher(
            self.config.book.folder,
            self.shelf.compile,
            self._publish,
            lambda result: self.metrics.reloads.labels(result).inc(),
        )
        watcher.begin(self.book, self.book_fault)
        add_book_fault(self.metrics.gauges, lambda: watcher.fault)
        return Ticker(self.config.book.poll_ms / 1000, lambda: asyncio.to_thread(watcher.look))

    def _publish(self, compiled: CompiledBook) -> None:
        """Publish a changed book; called in the watcher's thread."""
        book = compiled.book
        if self.intake is not None:
            self.intake.check(book)
        asyncio.run_coroutine_threadsafe(self.publisher.publish(book), self._loop).result()


def _now_ms(services: WorkerServices) -> int:
    """Return what time it is for what people and outside channels say: of the events' clock, as far as we know."""
    now_ms, decide, intake = services.clock.now_ms(), services.decide, services.intake
    if isinstance(services.clock, WallClock):
        return now_ms
    folded = (one.fold.clock_ms for one in decide.owned.values()) if decide is not None else ()
    return max(now_ms, intake.now_ms if isinstance(intake, PacedIntake) else 0, *folded)
