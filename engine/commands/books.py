"""Books: every version that was ever in force here, what changed between two, and an earlier one put back.

The data directory keeps the texts of every book that was active. `rollback` writes those of an earlier one into the
book's folder, whole, where a running engine finds them within a second. What stands in the folder must be kept already,
or it would be lost: a book that was never in force, or is not one, needs `--force`.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.shared.error import CommandError
from engine.commands.shared.out import say

if TYPE_CHECKING:
    from engine.book.shelf import BookShelf
    from engine.commands.shared.reader import Reader
    from engine.settings.config import Config

HELP = "List the versions of the book, compare two, or put an earlier one back."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do, and with which versions."""
    parser.add_argument("action", choices=("list", "diff", "rollback"), help="what to do")
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="one or two for diff, one for rollback")
    parser.add_argument("--force", action="store_true", help="roll back also over what was never in force")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from engine.commands.shared.reader import opened
    from engine.settings.reading import load_config

    config = load_config(args.config)
    counts = {"list": (0,), "diff": (1, 2), "rollback": (1,)}[args.action]
    if len(args.versions) not in counts:
        raise CommandError(f"{args.action} takes {' or '.join(map(str, counts))} versions, not {len(args.versions)}")
    with opened(config) as reader:
        if args.action == "list":
            for line in _listed(reader):
                say(line)
        elif args.action == "diff":
            old = _kept(reader.shelf, args.versions[0])
            new = _kept(reader.shelf, args.versions[1]) if len(args.versions) > 1 else _folder(config.book.folder)
            for line in _changes(old, new):
                say(line)
        else:
            _roll_back(config, reader.shelf, args.versions[0], force=args.force)
    return 0


def _listed(reader: Reader) -> Iterator[str]:
    """Yield a line for each time that a book became the active one, by the journal of the first partition."""
    from engine.commands.shared.reader import local_text
    from state.decisions import decode

    _, journal = reader.journals[0]
    shown = set()
    active = ""
    lines = []
    for entry in journal.read(journal.first_position):
        batch = decode(entry.payload)
        if batch.activates:
            active = batch.book
            shown.add(active)
            rules = len(reader.shelf.get(active).book.rules)
            when = local_text(batch.append_ms, reader.zone) if batch.append_ms else "at the first start "
            lines.append((active, f"{active}  {when}  {rules} rules"))
    for version in _versions(reader.shelf):
        if version not in shown:
            yield f"{version}  {'before the journal':<19}  {len(reader.shelf.get(version).book.rules)} rules"
    for index, (version, line) in enumerate(lines):
        yield line + ("  active" if version == active and index == len(lines) - 1 else "")


def _versions(shelf: BookShelf) -> list[str]:
    """Return every version kept, the oldest first."""
    return [path.stem for path in sorted(shelf.folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)]


def _kept(shelf: BookShelf, begin: str) -> dict[str, str]:
    """Return the texts of the one version that begins so, tables included."""
    from rules.load import is_book_file

    found = [version for version in _versions(shelf) if version.startswith(begin)]
    if len(found) != 1:
        what = "is none that was kept" if not found else f"may be {' or '.join(found)}"
        raise CommandError(f"version={begin!r} {what}; `opportune books list` shows all")
    return {name: text for name, text in shelf.sources(found[0]).items() if is_book_file(name)}


def _folder(folder: Path) -> dict[str, str]:
    from rules.load import read_folder

    return read_folder(folder)


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a unified diff of all files."""
    for name in sorted({*old, *new}):
        before, after = old.get(name, "").splitlines(), new.get(name, "").splitlines()
        yield from difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm="")


def _roll_back(config: Config, shelf: BookShelf, begin: str, *, force: bool) -> None:
    """Write a version's texts into the book's folder."""
    from rules.diagnostics import BookErrors
    from rules.load import book_files, version_of

    texts, folder = _kept(shelf, begin), config.book.folder
    try:
        present = version_of(_folder(folder))
    except BookErrors:
        present = ""
    if present == version_of(texts):
        say(f"{folder} holds version {present} already")
        return
    if not force and present not in _versions(shelf):
        raise CommandError(f"{folder} holds a book that was never in force, and would be lost: save it, or say --force")
    for name, text in texts.items():
        draft = folder / f".{name}.draft"
        draft.write_text(text, encoding="utf-8")
        draft.rename(folder / name)
    for path in book_files(folder):
        if path.name not in texts:
            path.unlink()
    say(f"{folder} holds version {version_of(texts)} again; a running engine takes it up within a second")
