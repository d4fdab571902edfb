"""Customer: all that is kept of one subscriber, printed or erased.

`export` prints lines of JSON: state (features, attributes, lists), contacts, and the decisions with what became of
them. State and contacts are asked of the running engine, in a cluster of the worker that owns the number's partition.

`erase` goes into the log as a row `owner` that says `erased`: from there on nothing is known of the subscriber, and a
replay forgets it at the same place. What waits is withdrawn. The lists that exclude stay, and with them the number, so
that an opt-out holds. What was written before is not changed: the log keeps its frames for `log.log_hours_max`, the
journal its decisions for `log.journal_hours_max`; texts of those frames, dead letters and what gateways wrote stay for
as long as they are kept. After that the number stands on its lists alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.commands.shared import control
from engine.commands.shared.msisdn import number
from engine.commands.shared.out import say

if TYPE_CHECKING:
    from engine.answers.history import Ends
    from engine.answers.records import Record
    from engine.settings.config import Config

HELP = "Print all that is kept of a customer, or erase it: opportune customer export|erase MSISDN"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do, and the subscriber."""
    parser.add_argument("action", choices=("export", "erase"))
    parser.add_argument("msisdn", help="the subscriber's number, + before a foreign one")
    parser.add_argument("--cluster", action="store_true", help="decisions from the cluster's topics")
    control.add_data_directory(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the running engine, or any worker; of an erasure returns when the log has it."""
    import asyncio

    from engine.commands.shared.client import ask

    config = control.config_of(args)
    subscriber = number(args.msisdn, config.numbers.plan())
    answer = ask(config, f"/customers/{args.action}", {"subscriber": f"+{subscriber}"})
    if args.action == "erase":
        say(f"{args.msisdn}: erased; lists that exclude, like optout, are kept")
        return 0
    lines = [{"kind": "state", **answer["state"]}, *({"kind": "contact", **one} for one in answer["contacts"])]
    _print(lines)
    _print(asyncio.run(_of_topics(config, subscriber)) if args.cluster else _of_files(config, subscriber))
    return 0


def _of_files(config: Config, subscriber: int) -> Sequence[Record]:
    """Return the decisions about a subscriber that the data directory holds, with what became of them."""
    from engine.answers.records import Wanted
    from engine.commands.shared.reader import opened
    from engine.dispatch.words import words_of

    with opened(config) as reader:
        records = list(reader.records(Wanted(subscriber=subscriber)))
        words = words_of(reader.datadir, {one["id"] for one in records if one["gate"] is None})
        ends = reader.ends(subscriber, records)
    return [_decision(one, ends) | {"words": words.get(one["id"])} for one in records]


async def _of_topics(config: Config, subscriber: int) -> Sequence[Record]:
    """Return the same as the topics hold it."""
    from engine.answers.records import Wanted
    from engine.runtimes.cluster.ask.reading import reading

    async with reading(config) as reader:
        records = [one async for one in reader.records(Wanted(subscriber=subscriber))]
        ends = await reader.ends(subscriber, records)
    return [_decision(one, ends) for one in records]


def _decision(record: Record, ends: Ends) -> Record:
    return {"kind": "decision", **record, "sent": ends.get(record["id"], [])}


def _print(lines: Sequence[Record]) -> None:
    from engine.commands.shared.reader import ndjson

    for line in lines:
        sys.stdout.write(ndjson(line))
