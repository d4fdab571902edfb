"""Test: run the tests that stand beside the rules of a book, through the real decider.

What an engine would keep of contacts is taken from the configuration, where there is one. `--coverage` says which rules
no test reaches, and which gates and channels of a rule none has shown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.shared.error import CommandError
from engine.commands.shared.out import say

if TYPE_CHECKING:
    from engine.runtimes.rehearsal import Result
    from rules.model import Book
    from rules.promises import Scenario

HELP = "Run the tests beside the rules of a book."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the book's folder."""
    parser.add_argument("book", nargs="?", type=Path, help="folder of the book (default: the configured one)")
    parser.add_argument("-k", dest="words", metavar="WORDS", help="only tests whose name or rules have these words")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the results as JUnit's XML as well")
    parser.add_argument("--coverage", action="store_true", help="say what of each rule the tests have shown")


def run(args: argparse.Namespace) -> int:
    """Print every failed test with its faults, and the count; 1 when any failed."""
    from engine.settings.reading import load_config
    from rules.load import load_book

    alone = args.book is not None and args.config == Path("config.toml") and not args.config.exists()
    config = None if alone else load_config(args.config)
    folder: Path = args.book if config is None or args.book else config.book.folder
    if not folder.is_dir():
        raise FileNotFoundError(2, "No such folder", str(folder))
    book = load_book(folder)
    from engine.runtimes.rehearsal import CONTACTS_MAX, run_scenarios  # after the book is read: it loads the kernels
    from engine.runtimes.warmup import warm_decider

    warm_decider(sys.stderr)
    wanted = replace(book, tests=tuple(one for one in book.tests if _named(one, args.words)))
    if args.words and not wanted.tests:
        raise CommandError(f"no test of {folder} has the words {args.words!r}")
    results = list(run_scenarios(wanted, CONTACTS_MAX if config is None else config.state.contacts_max))
    failed = [result for result in results if result.faults]
    for result in failed:
        scenario = result.scenario
        say(f"{folder / scenario.file}:{scenario.line}: FAILED: {scenario.name}")
        for fault in result.faults:
            say(f"    {fault}")
    if args.coverage:
        for line in _coverage(book, results):
            say(line)
    left_out = f", {len(book.tests) - len(results)} left out" if args.words else ""
    say(f"{len(results) - len(failed)} passed, {len(failed)} failed{left_out}")
    if args.junit is not None:
        args.junit.write_text(_junit(folder, results), encoding="utf-8")
    return 1 if failed else 0


def _named(scenario: Scenario, words: str | None) -> bool:
    """Return whether a test has all the words, in its name or the names of the rules that it expects."""
    text = " ".join([scenario.name, *(wanted.rule for wanted in scenario.expect)]).casefold()
    return all(word in text for word in (words or "").casefold().split())


def _coverage(book: Book, results: Sequence[Result]) -> Iterator[str]:
    """Yield, for each rule, what the tests that ran have shown of it."""
    for rule in book.rules:
        wanted = [one for result in results for one in result.scenario.expect if one.rule == rule.id]
        if not wanted:
            yield f"{rule.id}: no test expects anything of it"
            continue
        channels = {one.channel for one in wanted if one.gate is None}
        named = ", ".join(sorted(filter(None, channels))) or "any channel"
        decided = f"decided on {named}" if channels else "never decided"
        missing = [name for name in rule.channels if name not in channels] if None not in channels else []
        not_on = f", not on {', '.join(missing)}" if missing else ""
        gates = ", ".join(sorted({one.gate for one in wanted if one.gate is not None})) or "nothing"
        yield f"{rule.id}: {decided}{not_on}; stopped by {gates}"


def _junit(folder: Path, results: Sequence[Result]) -> str:
    """Return the results as JUnit's XML."""
    from xml.sax.saxutils import escape, quoteattr

    from state.visible import visible

    cases = []
    for result in results:
        one = result.scenario
        place = f'classname={quoteattr(visible(one.file))} name={quoteattr(visible(one.name))} line="{one.line}"'
        faults = "".join(f"<failure>{escape(visible(fault))}</failure>" for fault in result.faults)
        cases.append(f"<testcase {place}>{faults}</testcase>")
    failed = sum(bool(result.faults) for result in results)
    head = f'<testsuite name={quoteattr(visible(str(folder)))} tests="{len(results)}" failures="{failed}">'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}{"".join(cases)}</testsuite>\n'
