"""Explain: one rule of a book in plain words, or one line a rule where none is named."""

import argparse
from pathlib import Path

from engine.commands.shared.error import CommandError
from engine.commands.shared.out import say

HELP = "Say in plain words what a rule asks, keeps and offers, what may stop it, and which rules it meets."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the rule and the book's folder."""
    parser.add_argument("rule", nargs="?", help="a rule of the book (default: each with one line)")
    parser.add_argument("--book", type=Path, metavar="FOLDER", help="folder of the book (default: the configured one)")


def run(args: argparse.Namespace) -> int:
    """Print the explanation."""
    from engine.answers.explained import explained, state_bytes
    from engine.settings.reading import load_config
    from rules.diagnostics import nearest
    from rules.load import load_book

    folder: Path = args.book if args.book is not None else load_config(args.config).book.folder
    if not folder.is_dir():
        raise FileNotFoundError(2, "No such folder", str(folder))
    book = load_book(folder)
    if args.rule is None:
        for rule in book.rules:
            size = sum(state_bytes(book, rule).values())
            event = book.schema.types[rule.on].name
            say(f"{rule.id:<32}  on {event:<16}  {size:>5} bytes  {', '.join(rule.channels)}")
        return 0
    if args.rule not in book.by_id:
        raise CommandError(f"rule={args.rule!r} is not in {folder}; {nearest(args.rule, book.by_id)}".rstrip("; "))
    for line in explained(book, book.by_id[args.rule]):
        say(line)
    return 0
