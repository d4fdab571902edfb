"""Check: read a book as the engine would, compare the configuration with it, and print every fault at once.

Nothing is started or touched. Against a data directory it says which features would start their history anew. Where a
book is named and there is no `config.toml`, the book is checked alone.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.shared.out import say

if TYPE_CHECKING:
    from engine.settings.config import Config
    from rules.model import Book

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
    for name in _renewed(config, book) if config is not None else ():
        say(f"feature {name} changed: its history would start anew")
    for rule in book.timed:
        timer = book.timers[rule.id].timer
        assert timer is not None
        if timer.due_slot >= 0:
            say(f"rule {rule.id} watches {timer.keys_max} keys of a subscriber at a time; further ones are not watched")
    beside = f"{args.config} fits it" if config is not None else "no config.toml beside it"
    say(
        f"{folder}: {len(book.rules)} rules, {len(book.features)} features, {len(book.tests)} tests; "
        f"version {book.version}; {beside}"
    )
    return 0


def _renewed(config: "Config", book: "Book") -> tuple[str, ...]:
    """Return the features whose history starts anew when `book` follows the active one of the data directory."""
    from engine.book.shelf import BookShelf
    from engine.flow.datadir import DataDir
    from rules.features import renewed
    from rules.load import load_text

    folder = DataDir(config.data.directory).books
    if not folder.is_dir():
        return ()
    shelf = BookShelf(folder)
    version = shelf.newest()
    return renewed(load_text(shelf.sources(version)), book) if version is not None else ()
