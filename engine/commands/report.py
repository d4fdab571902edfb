"""Report: what was decided and what became of it, counted by rule, campaign, channel, hall, day ..."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from engine.evidence.tally import Group
    from engine.evidence.units import Lift

    Lifts = tuple[Sequence[Lift], Sequence[Lift]]

HELP = "Count what was decided and what became of it: sent, delivered, shown, accepted, converted."
FORMATS = ("table", "csv", "ndjson", "parquet", "html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is counted by, and how it is written."""
    parser.add_argument(
        "--by", default="rule", metavar="KEYS",
        help="rule, campaign, offer, goal, channel, gateway, gate, arm, city, hall, clerk, terminal, day, book; "
        "several with commas (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--from", dest="start", metavar="TIME", help="event time, as 2008-11-04T09:00[:00][+08:00]")
    parser.add_argument("--to", dest="end", metavar="TIME", help="event time, the first one left out")
    parser.add_argument("--terminals", type=Path, metavar="FILE", help="CSV: terminal, and hall, city or clerk")
    parser.add_argument("--format", choices=FORMATS, default="table", help="default: %(default)s")
    parser.add_argument("--to-file", type=Path, metavar="FILE", help="into a file; parquet and html need one")


def run(args: argparse.Namespace) -> int:
    """Count and print, or write."""
    from engine.commands.shared.error import CommandError
    from engine.commands.shared.evidence import keys_of, source
    from engine.commands.shared.reader import span_ms
    from engine.evidence.arm_units import ArmUnits, arm_lifts
    from engine.evidence.tally import KEYS, Span, TooManyGroupsError, tally
    from engine.evidence.units import Units, lifts
    from engine.settings.reading import load_config

    by = [name.strip() for name in args.by.split(",")]
    wrong = [name for name in by if name not in KEYS]
    if wrong or len(set(by)) < len(by):
        raise CommandError(f"by={args.by!r} must name, once each, some of {', '.join(KEYS)}")
    if args.to_file is None and args.format in {"parquet", "html"}:
        raise CommandError(f"format={args.format} is written into a file: add --to-file FILE")
    with source(load_config(args.config)) as found:
        keys = keys_of(args, found)
        span = Span(*span_ms(args, found.reader.zone))
        units = Units(found.goals, found.transitions, span)
        arms = ArmUnits(found.goals, found.transitions, span)
        with found.joined(units.add, arms.add) as joined:
            try:
                groups = tally(keys(joined), by, span)
                days = tally(keys(joined), ["day"], span) if args.format == "html" else []
            except TooManyGroupsError as fault:
                raise CommandError(str(fault)) from fault
            compared = list(lifts(units)), list(arm_lifts(arms, joined.meanings))
        _write(args, by, groups, days, compared, found.reader.zone)
    return 0


def _write(
    args: argparse.Namespace, by: Sequence[str], groups: Sequence[Group], days: Sequence[Group], found: Lifts,
    zone: ZoneInfo,
) -> None:  # fmt: skip
    from engine.evidence.page import page
    from engine.evidence.tally import total

    if args.format == "parquet":
        from engine.evidence.parquet import write_groups

        write_groups(args.to_file, [group.record(by) for group in groups])
        return
    if args.format == "html":
        title = f"{args.start or ''} – {args.end or ''}" if args.start or args.end else ""
        whole, (lifts, arms) = total(groups, len(by)), found
        lines: Iterable[str] = [page(by, groups, days, whole, lifts, arms=arms, span=title, zone=zone.key)]
    else:
        lines = _lines(args.format, by, groups, found)
    if args.to_file is None:
        sys.stdout.writelines(lines)
        return
    with args.to_file.open("w", encoding="utf-8", newline="") as file:
        file.writelines(lines)


def _lines(kind: str, by: Sequence[str], groups: Sequence[Group], found: Lifts) -> Iterator[str]:
    from engine.evidence.table import ARM_HEADS, LIFT_HEADS, lift_lines, report_lines
    from engine.evidence.tally import total
    from engine.evidence.texts import csv_lines, ndjson_lines

    records: list[dict[str, Any]] = [group.record(by) for group in groups]
    if kind == "csv":
        yield from csv_lines(list(total(groups, len(by)).record(by)), records)
    elif kind == "ndjson":
        yield from ndjson_lines(records)
    else:
        yield from (line + "\n" for line in report_lines(by, groups, total(groups, len(by))))
        for lifts, heads in zip(found, (LIFT_HEADS, ARM_HEADS), strict=True):
            if lifts:
                yield "\n"
                yield from (line + "\n" for line in lift_lines(lifts, heads))
