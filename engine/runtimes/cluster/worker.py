"""One worker of the cluster, as a process: what must fit before it starts, how it runs, its exit status."""

import asyncio
import gc
import sys
from typing import Any

import faust

from connectors.kafka import BrokerError
from connectors.kafka.topics import check
from engine.books import BooksInMemory
from engine.config import Config
from engine.loader import Loader
from engine.runtimes.cluster.app import make_app
from engine.runtimes.cluster.commons import Commons
from engine.runtimes.cluster.topics import topics_of

GARBAGE_AFTER = 100_000
"""A poll makes tens of thousands of records, none of them in a cycle: looking at them sooner only costs."""
SWITCH_S = 0.0005
"""How long a thread keeps the interpreter from others: kernels run without it and must have it back soon."""


async def must_fit(config: Config) -> None:
    """Hold the topics, and the format of what is in them, against what a worker needs.

    BrokerError tells the first fault of the topics, NewerFormatError that a newer release has begun to write.
    """
    faults = await check(config.cluster, topics_of(config))
    if faults:
        raise BrokerError("; ".join(faults) + "; opportune topics check tells them all")
    commons = Commons(config, BooksInMemory())
    try:
        await commons.start()
    finally:
        await commons.stop()


def run_worker(config: Config) -> int:
    """Run a worker until a signal ends it, or a fault does; return the exit status."""
    (config.data.directory / "faust").mkdir(parents=True, exist_ok=True)  # Faust makes folders, but none above them
    sys.setswitchinterval(SWITCH_S)
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 100)
    with Loader() as loader:
        app = make_app(config, loader)
        worker = faust.Worker(
            app,
            loglevel="INFO",
            override_logging=False,
            redirect_stdouts=False,
            quiet=True,
            loop=asyncio.new_event_loop(),
        )
        status: Any = 0
        try:
            worker.execute_from_commandline()
        except SystemExit as end:
            status = end.code
    return 1 if status or app.below.failure is not None else 0
