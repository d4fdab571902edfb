"""Backtest: recorded events once more, under the book that ran and under others, before anything goes live.

Nothing is written into the data directory and nothing is sent; an engine may run there meanwhile.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.shared.error import CommandError

if TYPE_CHECKING:
    from engine.runtimes.backtest.lane import LaneResult, Span
    from engine.runtimes.backtest.recorded import Recording
    from engine.runtimes.backtest.side import Backtest, Progress, Side

HELP = "Run recorded events again under other books, beside the one that ran; nothing is sent."
PROGRESS_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the books, the span and the forms."""
    add = parser.add_argument
    add("book", nargs="*", type=Path, help="folders of books; without one the running book alone is rehearsed")
    add("--from", dest="start", metavar="TIME", help="the log's time, as 2008-11-04T09:00[:00][+08:00]")
    add("--to", dest="end", metavar="TIME", help="the log's time, the first one left out")
    add("--warm", action="store_true", help="other books are in force from the beginning of the log, not from --from")
    add("--sample", type=_part, default=1.0, metavar="1%", help="part of the subscribers; figures are scaled")
    add("--refuse", type=_part, default=0.0, metavar="2%", help="part of attempts that a gateway refuses for good")
    add("--format", choices=("table", "csv", "ndjson"), default="table", help="default: %(default)s")
    add("--html", type=Path, metavar="FILE", help="write a page as well")


def run(args: argparse.Namespace) -> int:
    """Run every book and print what it did; 1 where the running book did not decide what it did live."""
    from engine.flow.datadir import DataDir
    from engine.runtimes.backtest.output import Shown, csv, ndjson, table
    from engine.runtimes.backtest.page import page
    from engine.runtimes.backtest.recorded import Recording
    from engine.runtimes.backtest.sample import Sample
    from engine.runtimes.backtest.side import Backtest, BacktestError
    from engine.settings.reading import load_config

    config = load_config(args.config)
    if args.sample <= 0:
        raise CommandError(f"sample={args.sample:g} must be > 0")
    recording = Recording(DataDir(config.data.directory))
    try:
        span = _span(args, recording)
        sample = Sample(args.sample, recording.fixed.partitions)
        backtest = Backtest(config, recording.extent(), sample, span, args.refuse)
        sides = _sides(args.book)
        try:
            results = _run(backtest, sides)
        except BacktestError as fault:
            raise CommandError(str(fault)) from fault
        shown = Shown.of(backtest, sides, results, recording)
    finally:
        recording.close()
    sys.stdout.write({"table": table, "csv": csv, "ndjson": ndjson}[args.format](shown))
    if args.html is not None:
        args.html.write_text(page(shown), encoding="utf-8")
    return 1 if shown.disagrees else 0


def _part(text: str) -> float:
    """Read a part of a whole, as 2% or 0.02."""
    number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= number <= 1:
        raise ValueError(text)
    return number


def _span(args: argparse.Namespace, recording: Recording) -> Span:
    from engine.commands.shared.reader import span_ms
    from engine.runtimes.backtest.lane import Span

    whole = Span()
    start, end = span_ms(args, recording.zone)
    return Span(whole.from_ms if start is None else start, whole.to_ms if end is None else end, args.warm)


def _sides(folders: Sequence[Path]) -> list[Side]:
    """Return what ran and the books beside it; two folders of one name are told apart by their paths."""
    from engine.runtimes.backtest.side import RUNNING, Side, compiled_folder

    names = [folder.resolve().name for folder in folders]
    alike = len({RUNNING, *names}) <= len(names)
    shown = [str(folder) for folder in folders] if alike else names
    return [Side(RUNNING), *(Side(name, compiled_folder(one)) for name, one in zip(shown, folders, strict=True))]


def _run(backtest: Backtest, sides: Sequence[Side]) -> list[LaneResult]:
    """Run every side, with a line of progress."""
    from engine.commands.shared.out import progress
    from engine.runtimes.warmup import warm_up

    warm_up(sys.stderr)
    results = backtest.run(sides, _progress(backtest, sides))
    progress("")
    return results


def _progress(backtest: Backtest, sides: Sequence[Side]) -> Progress:
    """Return what shows how far all sides together are, on a terminal only."""
    from engine.commands.shared.out import progress

    frames = max(1, backtest.frames * len(sides))
    began_s = time.monotonic()
    shown_s = [began_s]

    def show(done: Sequence[int]) -> None:
        now_s = time.monotonic()
        if now_s - shown_s[0] < PROGRESS_S:
            return
        shown_s[0] = now_s
        share = min(1.0, sum(done) / frames)
        left_s = (now_s - began_s) * (1 - share) / share if share else 0.0
        progress(f"backtest: {share:4.0%} of {len(sides)} books, about {left_s:.0f} s left{'':<12}")

    return show
