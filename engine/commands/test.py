"""Test: run the tests that stand beside the rules of a book, through the real decider.

What an engine would keep of contacts is taken from the configuration, where there is one.
"""

import argparse
import sys
from pathlib import Path

from engine.commands.shared.out import say

HELP = "Run the tests beside the rules of a book."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the book's folder."""
    parser.add_argument("book", nargs="?", type=Path, help="folder of the book (default: the configured one)")


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
    passed = failed = 0
    for result in run_scenarios(book, CONTACTS_MAX if config is None else config.state.contacts_max):
        if not result.faults:
            passed += 1
            continue
        failed += 1
        scenario = result.scenario
        say(f"{folder / scenario.file}:{scenario.line}: FAILED: {scenario.name}")
        for fault in result.faults:
            say(f"    {fault}")
    say(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
