"""Check: read a book as the engine would, and tell every fault at once; nothing is started or touched."""

import argparse
import sys
from pathlib import Path

from engine.config import load_config
from rules.load import load_book

HELP = "Check the configuration and a rule book; every fault at once, with file, line and column."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the book's folder."""
    parser.add_argument("book", nargs="?", type=Path, help="folder of the book (default: the configured one)")


def run(args: argparse.Namespace) -> int:
    """Print what the book holds, or its faults."""
    folder = args.book or load_config(args.config).book.folder
    if not folder.is_dir():
        raise FileNotFoundError(2, "No such folder", str(folder))
    book = load_book(folder)
    sys.stdout.write(
        f"{folder}: {len(book.rules)} rules, {len(book.features)} features, {len(book.tests)} tests; "
        f"version {book.version}\n"
    )
    return 0
