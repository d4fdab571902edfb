"""Audit: who commanded what, when, why and from where, and what it was answered; the newest first."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from engine.commands.shared.out import say

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from connectors.audit import Entry

HELP = "Show who commanded what, when, why and from where, the newest first."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how much is shown."""
    from pathlib import Path

    parser.add_argument("--words", default="", help="only what holds these words, such as a user, a rule or a number")
    parser.add_argument("--from", dest="start", metavar="TIME", help="as 2026-11-04T09:00[:00][+08:00]")
    parser.add_argument("--to", dest="end", metavar="TIME", help="the first one left out")
    parser.add_argument("--data", type=Path, help="data directory of the engine or of a worker")
    parser.add_argument("--format", choices=("table", "ndjson"), default="table", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print the log."""
    from zoneinfo import ZoneInfo

    from connectors.audit import read_entries
    from connectors.console.past import holds
    from engine.commands.shared.control import config_of
    from engine.commands.shared.reader import ndjson, span_ms
    from engine.flow.datadir import DataDir

    zone = ZoneInfo("UTC")
    start, end = span_ms(args, zone)
    for one in read_entries(DataDir(config_of(args).data.directory).audit):
        if start is not None and one.at_ms < start:
            break
        if holds(one, args.words) and (end is None or one.at_ms < end):
            if args.format == "ndjson":
                sys.stdout.write(ndjson(one.record()))
            else:
                say(_line(one, zone))
    return 0


def _line(one: Entry, zone: ZoneInfo) -> str:
    from engine.commands.shared.reader import local_text

    caller, act = one.caller, one.act
    who = f"{caller.who} ({caller.role})" if caller.role else caller.who
    why = f", because: {act.why}" if act.why else ""
    answer = one.answer if one.answered_ms else "no answer is known"
    return f"{local_text(one.at_ms, zone)}Z  {who} from {caller.source}: {act.act} {act.what}{why}; {answer}"
