"""Topics: make what a cluster needs on Kafka, or say what is wrong with what is there."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from engine.commands.shared.out import say

if TYPE_CHECKING:
    from engine.settings.config import Config

HELP = "Make the cluster's Kafka topics, or check those that exist: opportune topics create|check."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do."""
    parser.add_argument("action", choices=("create", "check"))
    parser.add_argument(
        "--raw", type=int, default=0, metavar="N", help="also create missing raw topics, of N partitions"
    )


def run(args: argparse.Namespace) -> int:
    """Create or check; the exit status of a check says whether all is well."""
    import asyncio

    from connectors.kafka.topics import create
    from engine.runtimes.cluster.shared.topics import topics_of
    from engine.settings.reading import load_config

    config = load_config(args.config)
    if args.action == "create":
        for name in asyncio.run(create(config.cluster, topics_of(config, args.raw))):
            say(f"made {name}")
    return _check(config)


def _check(config: Config) -> int:
    import asyncio

    from connectors.kafka.topics import check
    from engine.runtimes.cluster.shared.topics import topics_of

    faults = asyncio.run(check(config.cluster, topics_of(config)))
    for fault in faults:
        say(fault)
    if not faults:
        say(f"all {len(topics_of(config))} topics are as they must be")
    return 1 if faults else 0
