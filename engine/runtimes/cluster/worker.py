"""One worker of the cluster, as a process: what must fit before it starts, how it runs, its exit status."""

import asyncio
from typing import Any

import faust

from connectors.kafka import BrokerError
from connectors.kafka.topics import check
from engine.book.loader import Loader
from engine.book.shelf import BooksInMemory
from engine.runtimes.cluster.app import make_app
from engine.runtimes.cluster.shared.control_topic import ControlTopic
from engine.runtimes.cluster.shared.topics import topics_of
from engine.runtimes.interpreter import settle, share
from engine.settings.config import Config


async def require_topics(config: Config) -> None:
    """Hold the topics, and the format of what is in them, against what a worker needs.

    BrokerError names the faults of the topics, NewerFormatError says that a newer release has begun to write.
    """
    faults = await check(config.cluster, topics_of(config))
    if faults:
        raise BrokerError("; ".join(faults) + "; opportune topics check lists them all")
    control_topic = ControlTopic(config, BooksInMemory())
    try:
        await control_topic.start()
    finally:
        await control_topic.stop()


def run_worker(config: Config) -> int:
    """Run a worker until a signal ends it, or a fault does; return the exit status."""
    (config.data.directory / "faust").mkdir(parents=True, exist_ok=True)  # Faust makes folders, but none above them
    share()
    settle()
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
    return 1 if status or app.services.failure is not None else 0
