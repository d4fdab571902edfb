"""Why: everything that was considered for one subscriber, in order: what fired, what stopped it, on which facts."""

import argparse
import sys

from engine.commands import CommandError
from engine.commands.decisions import FORMATS, Reader, ndjson, opened
from engine.config import load_config
from engine.records import Record, Wanted

HELP = "Say why a subscriber got what it got, and why it did not get the rest."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subscriber."""
    parser.add_argument("msisdn", help="the subscriber's number, digits with the country code")
    parser.add_argument("--format", choices=FORMATS, default="table", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print the story of one subscriber."""
    digits = args.msisdn.removeprefix("+")
    if not digits.isascii() or not digits.isdigit() or not 0 < len(digits) <= 15:
        raise CommandError(f"msisdn={args.msisdn!r} must be up to 15 digits")
    with opened(load_config(args.config)) as reader:
        records = sorted(reader.records(Wanted(subscriber=int(digits))), key=lambda record: record["at_ms"])
        ends = reader.ends(int(digits), records)
        for record in records:
            record["sent"] = ends.get(record["id"], [])
            sys.stdout.write(ndjson(record) if args.format == "ndjson" else _story(reader, record))
        if not records and args.format == "table":
            sys.stdout.write(f"{args.msisdn}: no rule was ever a candidate\n")
    return 0


def _story(reader: Reader, record: Record) -> str:
    """Return a record as a paragraph."""
    if record["gate"] is None:
        how = f"decided on {record['channel']}"
    else:
        how = f"stopped by gate {record['gate']}" + (f": {record['detail']}" if record["detail"] else "")
    facts = ", ".join(f"{name} = {_fact(value)}" for name, value in record["facts"].items())
    lines = [
        f"{reader.shown(record['at_ms'])}  {record['rule']}: {how}",
        f"    facts: {facts}",
        f"    campaign {record['campaign']}, offer {record['offer'] or 'none'}",
        f"    book {record['book']}, id {record['id']}",
    ]
    lines += [f"    {reader.shown(at_ms)} {what}" for at_ms, what in record["sent"]]
    return "\n".join(lines) + "\n"


def _fact(value: object) -> str:
    return "unknown" if value is None else str(value)
