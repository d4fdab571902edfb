"""Check: read a book as the engine would, compare the configuration with it, and print every fault at once.

Nothing is started or touched. Against a data directory it says which features would start their history anew. Where a
book is named and there is no `config.toml`, the book is checked alone. `--lint` adds advice (`rules.lint`).
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.shared.error import CommandError
from engine.commands.shared.out import say

if TYPE_CHECKING:
    from engine.settings.config import Config
    from rules.lint import Lint
    from rules.model import Book

PARTS_MAX = 3

HELP = "Check a rule book and whether the configuration fits it; every fault at once, with file, line and column."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the book's folder."""
    parser.add_argument("book", nargs="?", type=Path, help="folder of the book (default: the configured one)")
    parser.add_argument(
        "--lint", action="store_true", help="advice as well: contradictions, unused names, no tests ..."
    )
    parser.add_argument("--data", action="store_true", help="with --lint: texts that no event of the log has had")
    parser.add_argument("--parts", type=int, default=PARTS_MAX, help="messages a text may be (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Print what the book holds, or its faults, or what does not fit it; 1 where advice is given."""
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
    for rule, feature in book.timers.items():
        if feature.timer is not None and feature.timer.due_slot >= 0:
            keys = feature.timer.keys_max
            say(f"rule {rule} watches {keys} keys of a subscriber at a time; further ones are not watched")
    beside = f"{args.config} fits it" if config is not None else "no config.toml beside it"
    say(
        f"{folder}: {len(book.rules)} rules, {len(book.features)} features, {len(book.tests)} tests; "
        f"version {book.version}; {beside}"
    )
    return _lint(args, folder, config, book) if args.lint else 0


def _lint(args: argparse.Namespace, folder: Path, config: "Config | None", book: "Book") -> int:
    """Print advice; 1 where there is any."""
    from rules.lint import lint

    found = lint(book, _lint_by(args, folder, config, book))
    for one in found:
        for line in (*str(one).split("\n"), ""):
            say(line)
    say(f"{len(found)} warning{'' if len(found) == 1 else 's'}")
    return 1 if found else 0


def _lint_by(args: argparse.Namespace, folder: Path, config: "Config | None", book: "Book") -> "Lint":
    """Return what advice goes by."""
    from connectors.gateways.text import parts_count
    from engine.settings.config import DispatchConfig
    from rules.lint import Lint, compared_texts

    if args.data and config is None:
        raise CommandError("--data needs a configuration, which says where the data directory is")
    seen = None
    if args.data and config is not None:
        from engine.flow.datadir import DataDir
        from engine.runtimes.backtest.recorded import Recording
        from engine.runtimes.seen_texts import seen_texts

        rules = [(rule.when, rule.on) for rule in book.rules]
        wheres = [(one.where, one.source_type) for one in book.features if one.where is not None]
        compared = {
            (one.event, one.field)
            for expr, on in (*rules, *wheres)
            for one in compared_texts(expr, book.schema.types[on].name)
        }
        recording = Recording(DataDir(config.data.directory))
        try:
            seen = seen_texts(recording, compared)
        finally:
            recording.close()
    words = (config.dispatch if config is not None else DispatchConfig()).optout_words
    ignored = sorted(one.name for one in folder.iterdir() if one.name not in book.sources)
    return Lint(words, parts_count, args.parts, seen, ignored)


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
