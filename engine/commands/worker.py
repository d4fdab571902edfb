"""Worker: one process of a cluster on Kafka, until a signal."""

import argparse
import asyncio
import logging
import sys

from connectors.kafka.outage import hold_back_outages
from engine.commands import CommandError
from engine.settings.config import Config
from engine.settings.reading import load_config

HELP = "Run a worker of the cluster: intake, decide, dispatch, or some of them."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what differs between the workers of one configuration."""
    parser.add_argument("--agents", help="what it does, as intake,decide,dispatch (default: cluster.agents)")
    parser.add_argument("--data", help="its own data directory (default: data.directory)")
    parser.add_argument("--port", type=int, help="its HTTP port, 0 takes a free one (default: http.port)")


def run(args: argparse.Namespace) -> int:
    """Run the worker."""
    config = changed(load_config(args.config), args)
    if config.data.clock != "wall":
        raise CommandError(f"data.clock={config.data.clock!r} must be 'wall' in a cluster: many write into one log")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for noisy in ("faust", "mode"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    hold_back_outages()
    from engine.runtimes.cluster.worker import require_topics, run_worker  # noqa: PLC0415 loads Faust
    from engine.runtimes.warmup import warm_up  # noqa: PLC0415 loads every kernel

    asyncio.run(require_topics(config))
    warm_up(sys.stderr)
    return run_worker(config)


def changed(config: Config, args: argparse.Namespace) -> Config:
    """Return the configuration of this one worker; what the command line says is held against the same bounds."""
    words = config.model_dump()
    if args.agents is not None:
        words["cluster"]["agents"] = tuple(args.agents.split(","))
    if args.data is not None:
        words["data"]["directory"] = args.data
    if args.port is not None:
        words["http"]["port"] = args.port
    try:
        return Config.model_validate(words)
    except ValueError as fault:
        raise CommandError(str(fault).splitlines()[2].strip()) from fault
