"""Feed: generate an operator's day and send it into files, a TCP port, an HTTP route or a Kafka topic.

Equal options make equal bytes. A day that already lies in the folder, under a name made of its options, is kept.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.shared.error import CommandError
from engine.commands.shared.out import progress, say

if TYPE_CHECKING:
    from engine.feed.day import DayPlan
    from engine.feed.run import FeedReport
    from engine.feed.send import Target

HELP = "Generate a seeded operator's day and send it into files, a TCP port, an HTTP route or a Kafka topic."
DESTINATIONS = ("files", "tcp", "http", "kafka")
PROGRESS_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add sizes, seed, destination, rate and faults."""
    from datetime import date

    add = parser.add_argument
    add(
        "--to",
        nargs=2,
        required=True,
        metavar=("KIND", "TARGET"),
        help="files FOLDER, tcp HOST:PORT, http URL or kafka HOST:PORT/TOPIC",
    )
    add("--subscribers", type=int, default=100_000, help="how many subscribers (default: %(default)s)")
    add("--events", type=int, default=1_000_000, help="how many events (default: %(default)s)")
    add("--seed", type=int, default=1, help="another seed is another day (default: %(default)s)")
    add("--day", type=date.fromisoformat, default=date(2008, 11, 4), help="its date (default: %(default)s)")
    add("--rate", type=float, default=0.0, help="events a second; 0 sends as fast as they are taken")
    add("--live", action="store_true", help="stamp events from now on at --rate in place of the day's curve")
    add("--late", type=float, default=0.0, help="share of events that come late, 0 to 1")
    add("--doubled", type=float, default=0.0, help="share of events that come twice, 0 to 1")
    add("--broken", type=float, default=0.0, help="share of lines that are broken, 0 to 1")
    add("--no-profiles", action="store_true", help="leave out the subscribers' profiles and lists")
    add("--rows-per-file", type=int, default=1_000_000, help="lines in a file (default: %(default)s)")
    add("--gzip", action="store_true", help="pack the files")
    add("--token-env", metavar="NAME", help="environment variable with the token of the HTTP route")


def run(args: argparse.Namespace) -> int:
    """Send the day and print what was sent."""
    from engine.feed.faults import FaultShares
    from engine.feed.run import feed
    from engine.feed.send import FeedError, Files

    try:
        plan, shares = _plan(args), FaultShares(args.late, args.doubled, args.broken)
        target = _target(args)
        if isinstance(target, Files) and target.exists():
            say(f"feed: {target.path(0)} is there already and holds this day; kept")
            return 0
        report = feed(plan, target, shares, args.rate, not args.no_profiles, _progress(args.events))
    except (ValueError, FeedError) as fault:
        raise CommandError(str(fault)) from fault
    for line in _summary(args, report):
        say(line)
    return 0


def _plan(args: argparse.Namespace) -> DayPlan:
    from engine.feed.day import DayPlan

    if args.live and args.rate <= 0:
        raise ValueError(f"rate={args.rate} must be > 0 with --live")
    live_rate = args.rate if args.live else 0.0
    now_ms = time.time_ns() // 1_000_000
    return DayPlan(args.subscribers, args.events, args.seed, args.day, live_rate=live_rate, start_ms=now_ms)


def _target(args: argparse.Namespace) -> Target:
    from engine.feed.send import Files, Http, Kafka, Tcp

    kind, where = args.to
    if kind == "files":
        faults = "".join(
            f".{name}{getattr(args, name)}" for name in ("late", "doubled", "broken") if getattr(args, name)
        )
        when = f"live{time.time_ns() // 1_000_000}" if args.live else args.day.isoformat()
        profiles = ".bare" if args.no_profiles else ""
        name = f"{when}.seed{args.seed}.{args.subscribers}x{args.events}{profiles}{faults}"
        if args.rows_per_file < 1:
            raise ValueError(f"rows_per_file={args.rows_per_file} must be >= 1")
        return Files(Path(where), name, args.rows_per_file, args.gzip)
    if kind == "tcp":
        return Tcp(where)
    if kind == "http":
        return Http(where, _token(args.token_env))
    if kind == "kafka":
        return Kafka(where)
    raise ValueError(f"kind={kind!r} must be one of {', '.join(DESTINATIONS)}")


def _token(name: str | None) -> str | None:
    if name is not None and name not in os.environ:
        raise ValueError(f"environment variable {name} is not set")
    return os.environ[name] if name is not None else None


def _progress(events: int) -> Callable[[int], None]:
    """Show a line that counts, on a terminal only."""
    shown = [time.monotonic()]

    def show(lines: int) -> None:
        if time.monotonic() - shown[0] > PROGRESS_S:
            shown[0] = time.monotonic()
            progress(f"feed: {lines:,} of {events:,} lines")

    return show


def _summary(args: argparse.Namespace, report: FeedReport) -> list[str]:
    kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(report.kinds.items(), key=lambda item: -item[1]))
    faults = [f"{getattr(report, name):,} {name}" for name in ("late", "doubled", "broken") if getattr(report, name)]
    rate = report.lines / max(report.seconds, 1e-9)
    lines = [
        f"feed: {report.lines:,} event lines and {report.profiles:,} profiles to {' '.join(args.to)}",
        f"      in {report.seconds:.1f} s, {rate:,.0f} a second, from {report.first} to {report.last}",
        f"      {kinds}",
    ]
    return [*lines, *([f"      of these {', '.join(faults)}"] if faults else [])]
