"""What a worker has below its Faust app: the control topic, intake, the partitions it owns and sends, its HTTP front.

It is one service. It starts before Faust's consumer, so that everything is there when the first partitions come, and
stops behind it; what is opened last is closed first. A part that fails ends the worker.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import orjson
from mode import Service

from connectors.desk.desk import Desk
from connectors.desk.routes import add_routes as add_desk_routes
from connectors.kafka.writer import Writer
from engine.book.compiled import CompiledBook
from engine.book.loader import Loader
from engine.book.shelf import BookShelf
from engine.book.watch import BookWatcher
from engine.counter.desk_reporter import DeskReporter
from engine.dispatch import Scope
from engine.flow.clock import WallClock
from engine.flow.core import open_strings
from engine.flow.datadir import DataDir, Fixed
from engine.flow.feedback import Feedback
from engine.metrics import GaugeReader, Metrics
from engine.runtimes.cluster.decide.arrivals import Arrivals
from engine.runtimes.cluster.decide.owned import Owned
from engine.runtimes.cluster.decide.service import Decide
from engine.runtimes.cluster.dispatch.service import Dispatch
from engine.runtimes.cluster.intake.service import Intake
from engine.runtimes.cluster.shared.appender import TopicAppender
from engine.runtimes.cluster.shared.control_topic import ControlTopic
from engine.runtimes.cluster.shared.publisher import Publisher
from engine.runtimes.cluster.shared.texts import TopicTexts
from engine.runtimes.cluster.shared.topics import MESSAGE_BYTES_MAX, Names
from engine.runtimes.cluster.shared.watchdog import Watchdog
from engine.runtimes.cluster.shared.worker_desk import has_counters, make_desk
from engine.serve.controls import control_record, list_change
from engine.serve.front import Front
from engine.settings.config import Config
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
        self.intake: Intake | None = None
        self.decide: Decide | None = None
        self.dispatch: Dispatch | None = None
        self.desk: Desk | None = None
        self.arrivals: Arrivals | None = None
        self.port = 0
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
        self.control_topic = ControlTopic(config, self.shelf)
        await self.control_topic.start()
        closing.push_async_callback(self.control_topic.stop)
        self.publisher = Publisher(config, self.control_topic, self.writer)
        await self.publisher.announce()
        self.book = await self._first_book()
        self.metrics.gauges.book(lambda: {"version": self._active().version})
        appender = TopicAppender(config, self.writer, lambda: self._active().schema)
        self.feedback = Feedback(appender, WallClock().now_ms, self.metrics.count_outcome)
        if "dispatch" in config.cluster.agents or has_counters(config.desk):
            await self._open_texts()
        if has_counters(config.desk):
            await self._open_desk()
        if "decide" in config.cluster.agents:
            await self._start_decide()
        if "dispatch" in config.cluster.agents:
            await self._start_dispatch()
        closing.push_async_callback(self._end_work)
        self._spawn(self.control_topic.follow())
        if "intake" in config.cluster.agents and config.sources.kafka:
            self.intake = Intake(config, self.book, self.metrics)
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

    async def _end_intake(self, intake: Intake, working: "asyncio.Task[None]") -> None:
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
        running worker is a decision and is published, whatever it changes to.
        """
        sources = read_folder(self.config.book.folder)
        book = (await asyncio.to_thread(self.shelf.compile, sources, None)).book
        if self.control_topic.active is None or not self.control_topic.was_published(book.version):
            await self.publisher.publish(book)
        return self._active()

    async def _open_texts(self) -> None:
        config, closing = self.config, self._closing
        strings = await asyncio.to_thread(open_strings, config, self.datadir, self.datadir.disk)
        closing.callback(strings.close)
        self.texts = TopicTexts(config, strings)
        await self.texts.start()
        closing.push_async_callback(self.texts.stop)
        self._spawn(self.texts.follow())

    async def _open_desk(self) -> None:
        config = self.config
        desk = self.desk = make_desk(config.desk, DeskReporter(self.feedback, self.metrics), self._desk_forgot)
        await desk.start()
        self._closing.push_async_callback(desk.stop)
        if "decide" in config.cluster.agents:
            self.arrivals = Arrivals(desk, self.texts, self._active)
            self._spawn(self.arrivals.run())

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
            config, store, self.shelf, self.control_topic, self.publisher, self.metrics, self.fail, self.arrivals
        )
        await self.decide.start()
        self._closing.push_async_callback(self.decide.stop)
        owned = self.decide.owned
        self.watchdog = Watchdog(
            config, Names(config.cluster.prefix).log, lambda: {number: one.folded for number, one in owned.items()}
        )
        await self.watchdog.start()
        self._closing.push_async_callback(self.watchdog.stop)
        self._spawn(self.decide.settle())
        self._spawn(self.watchdog.run())
        if config.book.watch:
            self._spawn(self._watch_book())
        self._add_gauges()

    async def _start_dispatch(self) -> None:
        self.dispatch = Dispatch(
            self.config, self.shelf, self.control_topic, self.metrics, self.writer, self.feedback, self.texts, self.desk
        )
        await self.dispatch.start()
        self._closing.push_async_callback(self.dispatch.stop)
        for work in self.dispatch.work():
            self._spawn(work)
        self.dispatch.add_gauges()

    def _add_gauges(self) -> None:
        """Show the partitions that are ours."""
        decide, gauges = self.decide, self.metrics.gauges
        assert decide is not None

        def by_partition(read: Callable[[Owned], float]) -> GaugeReader:
            return lambda: (({"partition": str(one.number)}, float(read(one))) for one in decide.owned.values())

        for name, text, read in (
            ("subscribers", "Subscribers in memory.", lambda one: one.fold.table.count),
            ("sleeping_subscribers", "Subscribers asleep on disk.", lambda one: one.fold.flusher.sleeping),
            ("dirty_pages", "Pages changed since they were flushed.", lambda one: one.fold.flusher.dirty_pages),
            ("repeated_events", "Events left out that an intake packed twice.", lambda one: one.fold.counts.repeated),
            ("clock_ahead_seconds", "How far the intakes' clock is ahead of ours.", _clock_ahead_s),
            ("restore_seconds", "What it took to take the partition over.", lambda one: one.restored.seconds),
        ):
            gauges.add(
                f"opportune_{name}",
                text,
                ("partition",),
                by_partition(read),
            )
        gauges.add(
            "opportune_lag_frames",
            "Frames of the log that wait to be folded.",
            ("partition",),
            lambda: (({"partition": str(number)}, float(lag)) for number, lag in self.watchdog.lags.items()),
        )
        gauges.add(
            "opportune_missing_frames",
            "Frames that Kafka has deleted and the partition still needs: it is not decided, or goes on without them.",
            ("partition",),
            lambda: (({"partition": str(number)}, float(count)) for number, count in decide.missing.items()),
        )

    async def _serve(self) -> None:
        config = self.config.http
        self.front = Front(config.token.read() if config.token is not None else None)
        self.front.read("/health", self._health)
        self.front.read("/status", self._status)
        self.front.write("/control", self._control)
        self.front.write("/lists", self._lists)
        self.front.page("/metrics", "text/plain; version=0.0.4; charset=utf-8", self.metrics.page)
        if self.desk is not None:
            add_desk_routes(self.front.app, self.desk)
        self.port = await self.front.start(config.host, config.port)
        if self.desk is not None:
            self.desk.where = f"{config.host}:{self.port}"
        self._closing.push_async_callback(self.front.stop)
        path = self.datadir.address
        path.write_bytes(orjson.dumps({"host": config.host, "port": self.port, "engine": self.front.name}))
        self._closing.callback(path.unlink, missing_ok=True)

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

    async def _watch_book(self) -> None:
        watcher = BookWatcher(
            self.config.book.folder,
            self.shelf.compile,
            self._publish,
            lambda result: self.metrics.reloads.labels(result).inc(),
        )
        watcher.begin(self.book)
        while True:
            await asyncio.sleep(self.config.book.poll_ms / 1000)
            await asyncio.to_thread(watcher.look)

    def _publish(self, compiled: CompiledBook) -> None:
        """Publish a changed book; called in the watcher's thread."""
        book = compiled.book
        if self.intake is not None:
            self.intake.check(book)
        asyncio.run_coroutine_threadsafe(self.publisher.publish(book), self._loop).result()

    async def _control(self, body: dict[str, Any]) -> Mapping[str, Any]:
        """Pause, resume or kill, in every partition of the cluster; says how many queued sends of this worker it is."""
        record = control_record(self._active(), body)
        touched = self.dispatch.queued(Scope(record["kind"]), record["name"]) if self.dispatch is not None else 0
        await self.publisher.control(record)
        return {"touched": touched}

    async def _lists(self, body: dict[str, Any]) -> Mapping[str, Any]:
        """Put subscribers on a list or take them off; answered when their partitions of the log have it."""
        subscribers, name, member = list_change(self._active(), body, self.config.numbers.plan())
        if subscribers:
            await self.feedback.members(subscribers, name, member=member)
        return {"changed": len(subscribers)}

    async def _health(self, _: Any) -> Mapping[str, Any]:
        return {"ok": self.failure is None, "fault": str(self.failure) if self.failure else ""}

    async def _status(self, _: Any) -> Mapping[str, Any]:
        owned, held = (self.decide.owned, self.decide.held) if self.decide is not None else ({}, {})
        sent = self.dispatch
        standby = self.decide.standby.offsets if self.decide is not None else {}
        active = self.control_topic.active
        return {
            "agents": list(self.config.cluster.agents),
            "book": active.version if active is not None else "",
            "desk": self.desk.status() if self.desk is not None else {},
            "held": {str(number): str(fault) for number, fault in held.items()},
            "standby": {str(number): offset for number, offset in standby.items()},
            "partitions": {
                str(number): {
                    "position": one.folded,
                    "events": one.fold.counts.events,
                    "repeated": one.fold.counts.repeated,
                    "subscribers": one.fold.table.count,
                    "redo_from": one.fold.flusher.redo_from,
                    "sweeps": one.fold.flusher.sweeps,
                    "restored": asdict(one.restored),
                }
                for number, one in owned.items()
            },
            **({"dispatch": sent.status(), "gateways": sent.gateways()} if sent is not None else {}),
        }


def _clock_ahead_s(one: Owned) -> float:
    """Return by how much the time that a partition folds at is ahead of this worker's clock."""
    return max(0.0, one.fold.clock_ms / 1000 - time.time())
