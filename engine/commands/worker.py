"""Worker: one process of a cluster on Kafka, until a signal."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from engine.commands.shared.error import CommandError

if TYPE_CHECKING:
    from engine.settings.config import Config

HELP = "Run a worker of the cluster: intake, decide, dispatch, or some of them."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what differs between the workers of one configuration."""
    parser.add_argument("--agents", help="what it does, as intake,decide,dispatch (default: cluster.agents)")
    parser.add_argument("--data", help="its own data directory (default: data.directory)")
    parser.add_argument("--port", type=int, help="its HTTP port, 0 takes a free one (default: http.port)")


def run(args: argparse.Namespace) -> int:
    """Run the worker."""
    import asyncio
    import logging

    from connectors.kafka.outage import hold_back_outages
    from engine.commands.shared.logs import start_logging
    from engine.settings.reading import load_config
    from engine.settings.secrets import check_secrets

    config = changed(load_config(args.config), args)
    if config.data.clock == "events":
        check_events_clock(config)
    if config.console.users:
        raise CommandError("console.users must be empty: a worker serves no console, opportune run does")
    agents = config.cluster.agents
    used = {"sources": "intake" in agents, "gateways": "dispatch" in agents}
    check_secrets(config, ("http", "desk", "cluster", *(section for section, needed in used.items() if needed)))
    start_logging()
    for noisy in ("faust", "mode"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    hold_back_outages()
    from engine.runtimes.cluster.worker import (
        require_topics,
        run_worker,
    )  # Faust reads its settings on import: logging stands first
    from engine.runtimes.warmup import warm_up

    asyncio.run(require_topics(config))
    warm_up(sys.stderr)
    return run_worker(config)


def check_events_clock(config: Config) -> None:
    """Refuse what cannot be had on the events' own clock."""
    for source in config.sources.kafka:
        if source.blocks:
            raise CommandError(
                f"sources.kafka {source.name!r}: blocks=true must be false where data.clock='events': a record is one "
                "event there, with a moment of its own"
            )
    if config.desk.enabled and config.desk.queue == "redis":
        raise CommandError(
            "desk.queue='redis' must not be where data.clock='events' in a cluster: panels keep the wall's time"
        )


def changed(config: Config, args: argparse.Namespace) -> Config:
    """Return the configuration of this one worker; the command line has the bounds of the file."""
    from engine.settings.config import Config

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
