"""The embedded runtime: one process, a local log, nothing else to install.

Start: take the data directory, recover the partitions, take up the book, start the pipeline, open the doors.
Stop: close the doors that let events in, let the pipeline finish, end dispatch, close what is durable. With `drain` it
stops by itself when the file sources are exhausted and everything is decided and dispatched.

One asyncio loop serves HTTP, gateways, desk and watching; the pipeline's threads decode, fold and commit.
"""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from connectors.desk.desk import Desk
from connectors.desk.model import Answer, Card, Customer, Visit
from connectors.desk.queue import MemoryQueue, Queue
from connectors.desk.routes import add_routes as add_desk_routes
from connectors.sources.files.client import FilesSource
from connectors.sources.files.config import FilesConfig
from connectors.sources.http.client import HttpSource
from connectors.sources.tcp.client import TcpSource
from engine.clock import Clock, EventsClock, WallClock
from engine.config import Config
from engine.core import Core, open_core
from engine.customers import customer_of
from engine.doors import Doors, Source
from engine.feedback import Feedback, LogAppender
from engine.http import Front
from engine.pipeline import Pipeline
from engine.runtimes.gauges import add_gauges
from engine.runtimes.sending import Sending
from engine.status import Status, StatusBoard
from engine.watch import BookWatcher
from rules.model import Book
from state.decisions import OutcomeState
from state.frame import FrameKind

SWITCH_INTERVAL_S = 0.0005
"""How soon a thread that computes in Python lets another one go on; a commit must not wait for a decode."""
LOOK_S = 0.02

log = logging.getLogger("opportune")


class Embedded:
    """One engine in this process; see the module.

    Args:
        config: checked settings.
        drain: end when the file sources are exhausted.
    """

    def __init__(self, config: Config, *, drain: bool = False) -> None:
        self.config = config
        self.drain = drain
        self.port = 0
        self._serving = False
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._files: list[FilesSource] = []
        self._servers: list[TcpSource] = []

    async def run(self, started: Callable[["Embedded"], None] = lambda _: None) -> Status:
        """Run until stopped; return the last status. Raises what stopped the pipeline, if a fault did."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        core = await asyncio.to_thread(open_core, self.config)
        try:
            book = await asyncio.to_thread(core.first_book)
            try:
                await self._start(core, book)
                started(self)
                await self._wait()
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
        self.doors = Doors([Source(source.name, source.mapping) for source in config.sources.every], book.schema)
        self.doors.check(book.schema)
        self.pipeline = Pipeline(
            core.partitions,
            self.doors.decode,
            core,
            threads=min(config.data.threads, config.data.partitions),
            queue_bytes_max=config.limits.intake_bytes_max,
        )
        self.clock: Clock = EventsClock() if config.data.clock == "events" else WallClock()
        appender = LogAppender(self.pipeline, lambda: self.doors.schema, core.strings)
        self.feedback = Feedback(appender, self.clock.now_ms, core.metrics.count_outcome)
        self.desk = self._make_desk() if config.desk.enabled else None
        self.sending = Sending(config, book, core, self.desk, self.feedback, self.clock)
        core.dispatched_entry = self.sending.entry
        self.watcher = BookWatcher(config.book.folder, self._activate, self._reloaded)
        self.watcher.begin(book)
        self.board = StatusBoard(core, self.pipeline, lambda: self.watcher.fault)
        for partition in core.partitions:
            partition.flusher.start()
        self.pipeline.start()
        self._serving = True
        if self.desk is not None:
            await self.desk.start()
            self.board.doors["desk"] = self.desk.status
        await self.sending.start()
        self.board.doors["dispatch"] = self.sending.status
        core.listeners.append(self.sending.committed)
        add_gauges(core, self.pipeline)
        if config.http.enabled:
            await self._serve()
        await self._open_sources()
        self._spawn(self._watch_book())
        for name in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError, RuntimeError):
                self._loop.add_signal_handler(name, self.stop)

    def _make_desk(self) -> Desk:
        config = self.config.desk
        queue: Queue
        if config.queue == "redis":
            from connectors.desk.redis import RedisQueue  # noqa: PLC0415 only who uses Redis loads it

            queue = RedisQueue(config.visit_idle_ms, config.retry_ms, config.redis)
        else:
            queue = MemoryQueue(config.visit_idle_ms, config.retry_ms)
        return Desk(queue, self._on_visit, self._on_answer, config, self.clock.now_ms)

    async def _serve(self) -> None:
        config = self.config
        token = config.http.token.read() if config.http.token is not None else None
        sources = config.sources.http
        body_max = max((source.body_bytes_max for source in sources), default=1 << 20)
        front = self.front = Front(token, body_max)
        front.read("/health", self._health)
        front.read("/status", self._status)
        front.write("/control", self._control)
        front.write("/dead/replayed", self._replayed)
        front.page("/metrics", "text/plain; version=0.0.4; charset=utf-8", self.core.metrics.page)
        if self.desk is not None:
            add_desk_routes(front.app, self.desk)
        for source in sources:
            front.app.router.add_routes(HttpSource(source, self.pipeline).routes())
        self.port = await front.start(config.http.host, config.http.port)
        record = {"host": config.http.host, "port": self.port, "engine": front.name}
        (self.core.datadir.root / "http.json").write_bytes(orjson.dumps(record))

    async def _open_sources(self) -> None:
        positions = self.core.resume_positions()
        gone = list(self._gone(positions))
        if gone:
            payload = orjson.dumps({"action": "forget", "keys": gone})
            await asyncio.wrap_future(self.pipeline.broadcast(FrameKind.CONTROL, payload))
        for files in [*self.config.sources.files, *self._replayed_files()]:
            source = FilesSource(files, positions, drain=self.drain)
            source.open()
            self._files.append(source)
            self.pipeline.add_source(source)
        if self.drain:
            return
        for tcp in self.config.sources.tcp:
            server = TcpSource(tcp, self.pipeline)
            await server.start()
            self._servers.append(server)

    def _gone(self, positions: Mapping[str, int]) -> Iterator[str]:
        """Yield the keys of files that were removed from their directory: their positions need not be kept."""
        folders = {source.name: source.directory for source in self.config.sources.files}
        for key in positions:
            source, _, rest = key.partition(":")
            name = rest.rpartition("#")[0]
            if source in folders and name and not (folders[source] / name).exists():
                yield key

    def _replayed_files(self) -> Iterator[FilesConfig]:
        """Yield, for every source, the folder where `opportune dead replay` puts lines of its own back."""
        for source in self.config.sources.every:
            folder = self.core.datadir.replay / source.name
            folder.mkdir(parents=True, exist_ok=True)
            yield FilesConfig(name=source.name, directory=folder, pattern="*.lines", mapping=source.mapping)

    # ---- running

    async def _wait(self) -> None:
        """Return when asked to stop, when drained, or when the pipeline failed (then raise its fault)."""
        while not self._stopping.is_set():
            if self.pipeline.failure is not None:
                raise self.pipeline.failure
            if self.sending.failure is not None:
                raise self.sending.failure
            if self.drain and self.pipeline.idle and self.sending.idle:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), LOOK_S)

    async def _stop(self) -> Status:
        for server in self._servers:
            await server.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.sending.stop()
        if self.desk is not None:
            await self.desk.stop()
        if self.config.http.enabled:
            await self.front.stop()
            (self.core.datadir.root / "http.json").unlink(missing_ok=True)
        await asyncio.to_thread(self.pipeline.stop)
        for source in self._files:
            source.close()
        if self.pipeline.failure is not None:
            raise self.pipeline.failure
        status = self.board.read()
        await asyncio.to_thread(self.core.finish)
        return status

    async def _abandon(self, fault: BaseException) -> None:
        """After a fault: end the threads before what they use is closed. What was not acknowledged comes again."""
        if self.port:
            (self.core.datadir.root / "http.json").unlink(missing_ok=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._serving:
            self.pipeline.fail(fault)
            await asyncio.to_thread(self.pipeline.stop)
            self.sending.abandon()

    def _spawn(self, coroutine: Any) -> None:
        self._tasks.append(asyncio.create_task(coroutine))

    async def _watch_book(self) -> None:
        if not self.config.book.watch:
            return
        while True:
            await asyncio.sleep(self.config.book.poll_ms / 1000)
            await asyncio.to_thread(self.watcher.look)

    def _activate(self, book: Book) -> None:
        """Put a new book into the log of every partition; decoders follow at once."""
        self.doors.check(book.schema)
        payload = self.core.put_book(book)
        self.doors.schema = book.schema
        self._loop.call_soon_threadsafe(self.sending.follow, book)
        self.pipeline.broadcast(FrameKind.ACTIVATION, payload).result()

    def _reloaded(self, result: str) -> None:
        self.core.metrics.reloads.labels(result).inc()

    # ---- the front's answers

    async def _health(self, _: Any) -> Mapping[str, Any]:
        failure = self.pipeline.failure
        return {"ok": failure is None, "fault": str(failure) if failure else ""}

    async def _status(self, _: Any) -> Status:
        return self.board.read()

    async def _control(self, body: dict[str, Any]) -> Mapping[str, Any]:
        """Pause, resume or kill; dispatch obeys at once, the log remembers."""
        action, kind, name = body["action"], body["kind"], body["name"]
        active = self.core.active
        assert active is not None
        known = {"rule": active.book.by_id, "campaign": active.book.campaigns, "channel": active.book.channels}
        if action not in {"pause", "resume", "kill"}:
            raise ValueError(f"action={action!r} must be pause, resume or kill")
        if kind not in known:
            raise ValueError(f"kind={kind!r} must be rule, campaign or channel")
        if name not in known[kind] and action != "resume":
            raise ValueError(f"{kind}={name!r} is not in the book")
        touched = await self.sending.control(action, kind, name)
        payload = orjson.dumps({"action": action, "kind": kind, "name": name})
        await asyncio.wrap_future(self.pipeline.broadcast(FrameKind.CONTROL, payload))
        log.info("%s: %s %s, queued sends touched: %d", action, kind, name, touched)
        return {"touched": touched}

    async def _replayed(self, body: dict[str, Any]) -> Mapping[str, Any]:
        numbers = [str(number) for number in body["numbers"]]
        await asyncio.to_thread(self.core.dead_letters.mark_replayed, numbers, time.time_ns() // 1_000_000)
        return {"marked": len(numbers)}

    # ---- the desk's callbacks

    async def _on_visit(self, visit: Visit) -> Customer | None:
        """Tell the log of a visit; return what the state knows of the customer."""
        cause = visit.cause.value if visit.cause is not None else ""
        self.sending.visitors.own(visit.id)
        await self.feedback.visit(visit.subscriber, visit.terminal, visit.id, opened=visit.open, cause=cause)
        return await customer_of(self.pipeline, self.core, visit.subscriber) if visit.open else None

    async def _on_answer(self, card: Card, answer: Answer) -> None:
        """Tell the log how a card ended; one that no page ever drew gives its caps their place back."""
        self.core.metrics.cards.labels(answer.kind).inc()
        await self.feedback.answer(card.decision_id, card.subscriber, card.title, answer.kind, answer.note)
        if not answer.shown:
            await self.feedback.outcome(card.decision_id, card.subscriber, OutcomeState.REFUNDED, "desk", answer.kind)
