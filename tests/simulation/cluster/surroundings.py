"""What the product finds around itself in a simulated cluster: settings, clients, disks, clocks, threads.

All names of the product that are replaced stand in `surroundings`; everything else of a worker is real.
"""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import connectors.kafka.client as client_module
import connectors.sources.kafka.client as raw_module
import engine.book.shelf as shelf_module
import engine.flow.datadir as datadir_module
import engine.flow.fold as fold_module
import engine.runtimes.cluster.decide.changelog as changelog_module
import engine.runtimes.cluster.dispatch.service as dispatch_module
import engine.runtimes.cluster.services as services_module
import state.flusher as flusher_module
from engine.book.compiled import CompiledBook, compile_texts
from engine.settings.config import Config
from rules.model import Book
from state.disk import DiskError
from state.page_writer import PageWriter
from tests.simulation.cluster.administrator import Admin
from tests.simulation.cluster.clients import Consumer, Fetches, Producer
from tests.simulation.cluster.loop import VirtualLoop, ask_loop
from tests.simulation.cluster.net import Net
from tests.simulation.cluster.network import Network
from tests.simulation.cluster.node import NodeGateway, current
from tests.simulation.cluster.reach import watched
from tests.simulation.life import IDS_MAX, Size

RAW = "raw"
CAPACITY = 512
SWEEPS_A_TARGET = 75_000
"""Events between two sweeps for each second of the recovery target, where loading takes longer than that: a tenth of
half of what the flusher believes that a second folds."""


@contextmanager
def surroundings(net: Net, network: Network, sources: Mapping[str, str]) -> Iterator[None]:
    """Put the simulated parts in the place of the real ones; `sources` is the book in every worker's folder."""
    loop = net.loop
    threads = SimpleNamespace(Lock=loop.lock, Event=threading.Event)
    with ExitStack() as stack:
        for owner, name, value in (
            (client_module, "AIOKafkaProducer", lambda **words: Producer(net, words.get("transactional_id", ""))),
            (client_module, "AIOKafkaConsumer", lambda **words: Consumer(
                net, isolation_level=words.get("isolation_level", "read_uncommitted"),
                group_id=words.get("group_id", ""),
            )),
            (client_module, "AIOKafkaAdminClient", lambda **_: Admin(net)),
            (raw_module, "Fetches", lambda *_: Fetches(net)),
            (changelog_module, "threading", threads),
            (asyncio, "run_coroutine_threadsafe", ask_loop),
            (shelf_module, "RealDisk", lambda: current().machine),
            (datadir_module, "RealDisk", lambda: current().machine),
            (services_module, "RocksStore", lambda _: current().machine.store),
            (services_module, "read_folder", lambda _: sources),
            (dispatch_module, "open_gateway", lambda name, *_: NodeGateway(name, network)),
            (fold_module, "SLACK_SLOTS", CAPACITY),
            (services_module, "SETTLE_S", 0.2),
            (flusher_module, "EVENTS_A_SUBSCRIBER", 0),
            (time, "time_ns", lambda: net.wall_ms() * 1_000_000),
            (time, "time", lambda: net.wall_ms() / 1000),
            (time, "monotonic", lambda: loop.now_s),
            (time, "thread_time", lambda: 0.0),
            (PageWriter, "start", start_pumping),
            (PageWriter, "close", close_pumping(PageWriter.close)),
        ):  # fmt: skip
            stack.enter_context(patch.object(owner, name, value))
        stack.enter_context(watched(net.broker.counted))
        yield


def start_pumping(writer: PageWriter) -> None:
    """Stand in for the writer's thread: pages are written now and then."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)

    async def pump() -> None:
        while True:
            await asyncio.sleep(loop.chance.choice((0.002, 0.02, 0.1)))
            if writer._closing:
                return
            if writer._ready():
                try:
                    await asyncio.to_thread(writer.pump, 1)
                except DiskError as fault:
                    writer._failure = fault
                    return
                except Exception as fault:  # noqa: BLE001 as the thread does
                    writer._failure = DiskError(f"the writer of pages stopped: {fault!r}")
                    return

    cast("Any", writer).pumping = loop.create_task(pump())


def close_pumping(close: Any) -> Any:
    """Return a `PageWriter.close` that waits for `start_pumping`'s task in place of a thread."""

    def closed(writer: PageWriter, *, drain: bool = False) -> None:
        """Close after the writer's last piece."""
        writer._closing = True
        pumping = getattr(writer, "pumping", None)
        if pumping is not None:
            ask_loop(_ended(pumping), pumping.get_loop()).result()
        close(writer, drain=drain)

    return closed


async def _ended(task: "asyncio.Task[None]") -> None:
    await asyncio.wait([task])


def config_of(size: Size, standby_copies: int, sweep_events: int) -> Config:
    """Return the settings of a world; a sweep of pages begins after about so many events."""
    config = _parsed()
    data = config.data.model_copy(
        update={"directory": Path("/sim"), "partitions": size.partitions, "lateness_s": size.lateness_ms // 1000}
    )
    state = config.state.model_copy(
        update={"contacts_max": size.contacts_max, "memory_subscribers": size.memory_subscribers * size.partitions,
                "recovery_target_s": sweep_events / SWEEPS_A_TARGET, "dedupe_ids_max": IDS_MAX}
    )  # fmt: skip
    limits = config.limits.model_copy(update={"batch_events_max": size.batch_rows_max})
    cluster = config.cluster.model_copy(
        update={"session_timeout_ms": 1_000, "standby_copies": standby_copies, "intake_wait_ms": 20}
    )
    return config.model_copy(update={"data": data, "state": state, "limits": limits, "cluster": cluster})


@lru_cache(maxsize=1)
def _parsed() -> Config:
    return Config.model_validate(
        {
            "http": {"enabled": False},
            "book": {"folder": "/sim/rules", "watch": False},
            "cluster": {"prefix": "sim.", "replicas": 1},
            "sources": {"kafka": [{"name": RAW, "topic": RAW, "mapping": {"time_format": "epoch_ms"}}]},
            "gateways": {
                "main": {"kind": "spool", "folder": "/sim/spool"},
                "backup": {"kind": "spool", "folder": "/sim/spool"},
            },
            "channels": {
                "sms": {
                    "gateway": "main",
                    "reroute": ["backup"],
                    "retry_ms_min": 200,
                    "retry_ms_max": 1000,
                    "attempts_max": 3,
                },
                "alert": {"gateway": "main", "retry_ms_min": 200, "retry_ms_max": 1000, "attempts_max": 3},
            },
        }
    )


def compile_once(sources: Mapping[str, str], before: Book | None) -> CompiledBook:
    """Let every worker of every world share the compiled books."""
    assert before is None
    return _compiled(tuple(sorted(sources.items())))


@lru_cache(maxsize=8192)
def _compiled(sources: tuple[tuple[str, str], ...]) -> CompiledBook:
    return compile_texts(dict(sources), None)
