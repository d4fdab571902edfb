"""Check: read a book as the engine would, compare the configuration with it, and print every fault at once.

Nothing is started or touched. Where a book is named and there is no `config.toml`, the book is checked alone.
"""

import argparse
import sys
from pathlib import Path

HELP = "Check a rule book and whether the configuration fits it; every fault at once, with file, line and column."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the book's folder."""
    parser.add_argument("book", nargs="?", type=Path, help="folder of the book (default: the configured one)")


def run(args: argparse.Namespace) -> int:
    """Print what the book holds, or its faults, or what of the configuration does not fit it."""
    from engine.settings.compatibility import check_compatibility
    from engine.settings.reading import load_config
    from rules.load import load_book

    alone = args.book is not None and args.config == Path("config.toml") and not args.config.exists()
    config = None if alone else load_config(args.config)
    folder: Path = args.book if config is None or args.book else config.book.folder
    if not folder.is_dir():
        raise FileNotFoundError(2, "No such folder", str(folder))
    book = load_book(folder)
    if config is not None:
        check_compatibility(config, args.config, book)
    beside = f"{args.config} fits it" if config is not None else "no config.toml beside it"
    sys.stdout.write(
        f"{folder}: {len(book.rules)} rules, {len(book.features)} features, {len(book.tests)} tests; "
        f"version {book.version}; {beside}\n"
    )
    return 0
