"""Books: every version that was ever in force here, what changed between two, and an earlier one put back.

The data directory keeps the texts of every book that was active; `engine.book.versions` says what a roll back may do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from engine.commands.shared.error import CommandError
from engine.commands.shared.out import say

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from engine.commands.shared.reader import Reader

HELP = "List the versions of the book, compare two, or put an earlier one back."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do, and with which versions."""
    parser.add_argument("action", choices=("list", "diff", "rollback"), help="what to do")
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="one or two for diff, one or none for rollback")
    parser.add_argument("--force", action="store_true", help="roll back also over what was never in force")
    parser.add_argument("--reason", default="", help="why it is rolled back, for the audit log")
    parser.add_argument("--format", choices=("table", "ndjson"), default="table", help="of list (default: %(default)s)")


@dataclass(frozen=True, slots=True)
class Listed:
    """A time when a version became the active one; 0 where that was before the journal that is kept."""

    version: str
    since_ms: int
    rules: int
    active: bool = False
    first: bool = False

    def line(self, zone: ZoneInfo) -> str:
        """Return it as a line to read."""
        from engine.commands.shared.reader import local_text

        when = local_text(self.since_ms, zone) if self.since_ms else f"{_unknown(self):<19}"
        return f"{self.version}  {when}  {self.rules} rules{'  active' if self.active else ''}"


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from engine.book.versions import changes, kept, roll_back
    from engine.commands.shared.reader import ndjson, opened
    from engine.commands.shared.trail import audited
    from engine.settings.reading import load_config
    from rules.load import read_folder

    config = load_config(args.config)
    counts = {"list": (0,), "diff": (1, 2), "rollback": (0, 1)}[args.action]
    if len(args.versions) not in counts:
        raise CommandError(f"{args.action} takes {' or '.join(map(str, counts))} versions, not {len(args.versions)}")
    with opened(config) as reader:
        if args.action == "list":
            for one in _listed(reader):
                if args.format == "ndjson":
                    sys.stdout.write(ndjson(asdict(one)))
                else:
                    say(one.line(reader.zone))
        elif args.action == "diff":
            old = kept(reader.shelf, args.versions[0])
            new = kept(reader.shelf, args.versions[1]) if len(args.versions) > 1 else read_folder(config.book.folder)
            for line in changes(old, new):
                say(line)
        else:
            version = args.versions[0] if args.versions else _before(reader)
            with audited(reader.datadir, "roll back", f"book {version}", args.reason) as answer:
                answer.text = roll_back(config.book.folder, reader.shelf, version, force=args.force)
            say(answer.text)
    return 0


def _listed(reader: Reader) -> Iterator[Listed]:
    """Yield each time that a book became the active one, by the journal of the first partition."""
    from engine.book.versions import versions
    from state.decisions import decode

    _, journal = reader.journals[0]
    found = []
    for entry in journal.read(journal.first_position):
        batch = decode(entry.payload)
        if batch.activates:
            rules = len(reader.shelf.get(batch.book).book.rules)
            found.append(Listed(batch.book, batch.append_ms, rules, first=not batch.append_ms))
    shown = {one.version for one in found}
    for version in versions(reader.shelf):
        if version not in shown:
            yield Listed(version, 0, len(reader.shelf.get(version).book.rules))
    for place, one in enumerate(found):
        yield Listed(one.version, one.since_ms, one.rules, active=place == len(found) - 1, first=one.first)


def _before(reader: Reader) -> str:
    """Return the version that was in force before the one that is."""
    last = [one.version for one in _listed(reader) if one.since_ms or one.first]
    others = [version for version in last if version != last[-1]]
    if not others:
        raise CommandError("no other book was in force here; `opportune books list` shows all")
    return others[-1]


def _unknown(one: Listed) -> str:
    return "at the first start" if one.first else "before the journal"
