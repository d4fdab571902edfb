"""Lists: put subscribers on a list of the book, or take them off.

The change goes into the log as one `list` event a subscriber, so it takes effect at an exact position of its partition
and is replayed like everything else. Joining twice, or leaving a list that one is not on, changes nothing: a load that
broke off is simply repeated. A membership may end by itself: `--for 90d` after the log's time of the event, or at
`--until` a time, which is the first moment that the subscriber is off the list again. Whoever is put on the list once
more stays as the later command says.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.shared import control
from engine.commands.shared.error import CommandError
from engine.commands.shared.given import text_of
from engine.commands.shared.msisdn import number
from engine.commands.shared.out import say

if TYPE_CHECKING:
    from state.numbers import NumberPlan

SUBSCRIBERS_A_REQUEST = 5_000

HELP = "Put subscribers on a list of the book, or take them off: opportune lists add|remove NAME MSISDN..."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the list, and the subscribers."""
    parser.add_argument("action", choices=("add", "remove"))
    parser.add_argument("name", help="the list's name in the book")
    parser.add_argument("msisdn", nargs="*", help="subscribers' numbers, + before a foreign one")
    parser.add_argument(
        "--for", dest="lasts", metavar="DURATION", default="", help="how long, as in 90d; default: for ever"
    )
    parser.add_argument(
        "--until", metavar="TIME", default="", help="when it ends, as in 2026-12-31; in the book's zone"
    )
    parser.add_argument("--file", type=Path, help="file of numbers, one a line; - is standard input")
    control.add_data_directory(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the running engine, or any worker; returns when the log has it."""
    from engine.commands.shared.client import ask

    if bool(args.msisdn) == (args.file is not None):
        raise CommandError("give numbers, or --file, and not both")
    config = control.config_of(args)
    # A file is read to its end first: a line that is no number is found before anything is changed.
    plan = config.numbers.plan()
    given = [number(text, plan) for text in args.msisdn] if args.file is None else list(_numbers(args.file, plan))
    ends = {key: text for key, text in (("for", args.lasts), ("until", args.until)) if text}
    numbers = iter([f"+{one}" for one in given])
    changed = 0
    while some := list(islice(numbers, SUBSCRIBERS_A_REQUEST)):
        body = {"list": args.name, "member": args.action == "add", "subscribers": some, **ends}
        changed += ask(config, "/lists", body)["changed"]
    what = "are on" if args.action == "add" else "are off"
    say(f"{changed} subscribers {what} the list {args.name}")
    return 0


def _numbers(file: Path, plan: NumberPlan) -> Iterator[int]:
    """Yield the numbers of a file; CommandError names the first line that is none."""
    for count, line in enumerate(text_of(file).splitlines(), 1):
        if line.strip():
            try:
                yield number(line.strip(), plan)
            except CommandError as fault:
                raise CommandError(f"{file}:{count}: {fault}") from fault
