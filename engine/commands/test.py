"""Test: run the tests that stand beside the rules of a book, through the real decider."""

import argparse
import sys
from pathlib import Path

HELP = "Run the tests beside the rules of a book."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the book's folder."""
    parser.add_argument("book", nargs="?", type=Path, help="folder of the book (default: the configured one)")


def run(args: argparse.Namespace) -> int:
    """Print every failed test with its faults, and the count; 1 when any failed."""
    from engine.answers.rehearsal import run_scenarios
    from engine.settings.reading import load_config
    from rules.load import load_book

    folder = args.book or load_config(args.config).book.folder
    if not folder.is_dir():
        raise FileNotFoundError(2, "No such folder", str(folder))
    passed = failed = 0
    for result in run_scenarios(load_book(folder)):
        if not result.faults:
            passed += 1
            continue
        failed += 1
        scenario = result.scenario
        sys.stdout.write(f"{folder / scenario.file}:{scenario.line}: FAILED: {scenario.name}\n")
        for fault in result.faults:
            sys.stdout.write(f"    {fault}\n")
    sys.stdout.write(f"{passed} passed, {failed} failed\n")
    return 1 if failed else 0
