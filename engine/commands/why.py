"""Why: everything that was considered for one subscriber, in order: what fired, what stopped it, on which facts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.commands.shared.msisdn import number
from engine.commands.shared.out import complain, say

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from engine.answers.history import Ends
    from engine.answers.records import Record
    from engine.settings.config import Config

HELP = "Say why a subscriber got what it got, and why it did not get the rest."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subscriber."""
    parser.add_argument("msisdn", help="the subscriber's number, + before a foreign one")
    parser.add_argument("--cluster", action="store_true", help="from the cluster's topics, not the data directory")
    parser.add_argument("--format", choices=("table", "ndjson"), default="table", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print the story of one subscriber."""
    import asyncio

    from engine.answers.records import Wanted, longer_numbers
    from engine.commands.shared.reader import opened
    from engine.dispatch.words import words_of
    from engine.settings.reading import load_config

    config = load_config(args.config)
    subscriber = number(args.msisdn, config.numbers.plan())
    if args.cluster:
        return asyncio.run(_print_cluster(config, args, subscriber))
    with opened(config) as reader:
        records = sorted(reader.records(Wanted(subscriber=subscriber)), key=_time)
        words = words_of(reader.datadir, {record["id"] for record in records if record["gate"] is None})
        for record in records:
            record["words"] = words.get(record["id"])
        _print(args, records, reader.ends(subscriber, records), reader.zone)
        longer = longer_numbers(reader.journals, subscriber) if not records else []
    if longer:
        complain(f"hint: was the country code left off? there is {' and '.join(map(str, longer))}")
    return 0


async def _print_cluster(config: Config, args: argparse.Namespace, subscriber: int) -> int:
    """Print the story as the topics hold it."""
    from engine.answers.records import Wanted
    from engine.runtimes.cluster.ask.reading import reading

    async with reading(config) as reader:
        records = sorted([one async for one in reader.records(Wanted(subscriber=subscriber))], key=_time)
        _print(args, records, await reader.ends(subscriber, records), reader.zone)
    return 0


def _print(args: argparse.Namespace, records: Sequence[Record], ends: Ends, zone: ZoneInfo) -> None:
    from engine.commands.shared.reader import ndjson

    for record in records:
        record["sent"] = ends.get(record["id"], [])
        sys.stdout.write(ndjson(record) if args.format == "ndjson" else _story(record, zone))
    if not records and args.format == "table":
        say(f"{args.msisdn}: no rule was ever a candidate")


def _time(record: Record) -> int:
    return int(record["at_ms"])


def _story(record: Record, zone: ZoneInfo) -> str:
    """Return a record as a paragraph."""
    from engine.commands.shared.reader import local_text
    from state.visible import visible

    if record["gate"] is None:
        how = f"decided on {record['channel']}"
    else:
        how = f"stopped by gate {record['gate']}" + (f": {record['detail']}" if record["detail"] else "")
    facts = ", ".join(f"{name} = {_fact(value)}" for name, value in record["facts"].items())
    lines = [
        f"{local_text(record['at_ms'], zone)}  {record['rule']}: {how}",
        f"    facts: {facts}",
        f"    campaign {record['campaign']}, offer {record['offer'] or 'none'}",
        f"    book {record['book']}, id {record['id']}",
    ]
    if record.get("keeps"):
        lines.append(f"    kept on the list {record['keeps']}")
    if "after" in record:
        armed_ms = record["facts"]["armed"]
        lines.insert(1, f"    a deadline: armed by {record['after']} of {local_text(armed_ms, zone)}")
    if record.get("words"):
        lines.append(f"    words: {record['words']}")
    lines += [f"    {local_text(time_ms, zone)} {what}" for time_ms, what in record["sent"]]
    return "\n".join(map(visible, lines)) + "\n"


def _fact(value: object) -> str:
    return "unknown" if value is None else str(value)
