"""Decisions: one record a candidate, from the journals, whether or not an engine runs."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.settings.config import Config

HELP = "Print decision records: every candidate, what stopped it or where it went, and the facts."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the filters."""
    parser.add_argument("--from", dest="start", metavar="TIME", help="event time, as 2008-11-04T09:00[:00][+08:00]")
    parser.add_argument("--to", dest="end", metavar="TIME", help="event time, the first one left out")
    parser.add_argument("--rule", help="of this rule only")
    parser.add_argument("--cluster", action="store_true", help="from the cluster's topics, not the data directory")
    parser.add_argument("--decided", action="store_true", help="only what was decided")
    parser.add_argument("--format", choices=("table", "ndjson"), default="table", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print the records."""
    import asyncio

    from engine.answers.records import Wanted
    from engine.commands.shared.reader import line_of, ndjson, opened, span_ms
    from engine.settings.reading import load_config

    config = load_config(args.config)
    if args.cluster:
        return asyncio.run(_print_cluster(config, args))
    with opened(config) as reader:
        rule = reader.rule(args.rule) if args.rule else None
        wanted = Wanted(None, rule, *span_ms(args, reader.zone), decided_only=args.decided)
        for record in reader.records(wanted):
            sys.stdout.write(ndjson(record) if args.format == "ndjson" else line_of(record, reader.zone))
    return 0


async def _print_cluster(config: Config, args: argparse.Namespace) -> int:
    """Print the records that stand in the topics now."""
    from engine.answers.records import Wanted
    from engine.commands.shared.reader import line_of, ndjson, rule_number, span_ms
    from engine.runtimes.cluster.ask.reading import reading

    async with reading(config) as reader:
        rule = rule_number(args.rule, reader.control_topic.books()) if args.rule else None
        wanted = Wanted(None, rule, *span_ms(args, reader.zone), decided_only=args.decided)
        async for record in reader.records(wanted):
            sys.stdout.write(ndjson(record) if args.format == "ndjson" else line_of(record, reader.zone))
    return 0
