"""Why: everything that was considered for one subscriber, in order: what fired, what stopped it, on which facts.

With `--rule` also what did not fire: the subscriber's part of the log is folded again, and each event of the rule's
type is shown with the parts of the condition that did not hold.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from engine.commands.shared.error import CommandError
from engine.commands.shared.msisdn import number
from engine.commands.shared.out import complain, say

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from engine.answers.history import Ends
    from engine.answers.records import Record
    from engine.runtimes.refold import Judged
    from engine.settings.config import Config

HELP = "Say why a subscriber got what it got, and why it did not get the rest."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subscriber."""
    parser.add_argument("msisdn", help="the subscriber's number, + before a foreign one")
    parser.add_argument("--rule", help="every event that this rule looks at, also where it did not fire, and why")
    parser.add_argument("--from", dest="start", metavar="TIME", help="with --rule: event time")
    parser.add_argument("--to", dest="end", metavar="TIME", help="with --rule: event time, the first one left out")
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
    if args.rule is not None:
        return _print_rule(config, args, subscriber)
    if args.start is not None or args.end is not None:
        raise CommandError("--from and --to need --rule")
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
    if record.get("arm"):
        lines.append(f"    arm {record['arm']}, drawn with probability {record['probability']:g}")
    if record.get("keeps"):
        lines.append(f"    kept on the list {record['keeps']}")
    if (armed := armed_by(record)) is not None:
        lines.insert(1, f"    a deadline: {armed} {local_text(record['facts']['armed'], zone)}")
    if record.get("words"):
        lines.append(f"    words: {record['words']}")
    lines += [f"    {local_text(time_ms, zone)} {what}" for time_ms, what in record["sent"]]
    return "\n".join(map(visible, lines)) + "\n"


def armed_by(record: Record) -> str | None:
    """Say what armed the deadline that a record is about, up to its time; None for other records."""
    words = {"after": "armed by {} of", "stays": "in area {} since", "leaves": "left area {}, seen outside since"}
    return next((text.format(record[key]) for key, text in words.items() if key in record), None)


def _print_rule(config: Config, args: argparse.Namespace, subscriber: int) -> int:
    """Print every event that a rule looked at."""
    from engine.commands.shared.reader import opened, span_ms
    from engine.flow.fold import limits_of
    from engine.runtimes.backtest.recorded import Recording
    from engine.runtimes.refold import FOREVER_MS, Refold
    from engine.runtimes.warmup import warm_decider
    from state.hashing import partition_of

    if args.cluster:
        raise CommandError("--rule reads the log of a data directory; the log of a cluster is in its topics")
    with opened(config) as reader:
        number_of_rule, zone, (start, end) = reader.rule(args.rule), reader.zone, span_ms(args, reader.zone)
        warm_decider(sys.stderr)
        recording = Recording(reader.datadir)
        try:
            extent = recording.extent()
            partition = partition_of(subscriber, recording.fixed.partitions)
            refold = Refold(recording, extent, subscriber, partition, limits_of(config))
            found = refold.judged(number_of_rule, start or 0, FOREVER_MS if end is None else end)
            _print_judged(args, found, zone)
        finally:
            recording.close()
    if extent.firsts[partition] > 0:
        complain("hint: the log is not kept from its beginning, so what was known before is missing here")
    return 0


def _print_judged(args: argparse.Namespace, found: Iterator[Judged], zone: ZoneInfo) -> None:
    """Print events as they are judged, and how many there were."""
    from collections import Counter
    from dataclasses import asdict

    from engine.commands.shared.reader import ndjson

    count: Counter[str] = Counter()
    for one in found:
        count[_words_of(one)] += 1
        sys.stdout.write(ndjson(asdict(one)) if args.format == "ndjson" else _judged_story(one, zone))
    if args.format == "table":
        counted = ", ".join(f"{word} {times:,}" for word, times in count.most_common())
        say(f"{args.msisdn}: rule {args.rule} looked at {count.total():,} events" + (f": {counted}" if counted else ""))


def _words_of(one: Judged) -> str:
    """Return what came of an event, in few words."""
    if one.note:
        return one.note.partition(",")[0]
    if not one.truth:
        return "unknown" if one.truth is None else "false"
    return f"stopped by {one.gate}" if one.gate is not None else "decided"


def _judged_story(one: Judged, zone: ZoneInfo) -> str:
    """Return an event as a paragraph."""
    from engine.commands.shared.reader import local_text
    from state.visible import visible

    how = f"decided on {one.channel}" if one.truth and one.gate is None else _words_of(one)
    lines = [f"{local_text(one.at_ms, zone)}  {how}{f' ({one.detail})' if one.detail else ''}"]
    for part in one.parts:
        values = ", ".join(f"{name} = {_fact(value)}" for name, value in part.values.items())
        lines.append(
            f"    {'unknown' if part.truth is None else 'false'}: {part.text}{f'   where {values}' if values else ''}"
        )
    if not one.parts and one.values:
        lines.append("    " + ", ".join(f"{name} = {_fact(value)}" for name, value in one.values.items()))
    if one.note:
        lines.append(f"    {one.note}")
    return "\n".join(map(visible, lines)) + "\n"


def _fact(value: object) -> str:
    return "unknown" if value is None else str(value)
