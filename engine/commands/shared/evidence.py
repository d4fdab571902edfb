"""What `report`, `lift` and `export` share: a data directory joined, and the terminals' seats."""

import argparse
import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.commands.shared.error import CommandError
from engine.commands.shared.given import text_of
from engine.commands.shared.out import complain
from engine.commands.shared.reader import Reader, local_text, opened
from engine.evidence import Joined, Prefix, joined
from engine.evidence.joined import BucketReader
from engine.evidence.tally import Keys, Seat
from engine.settings.config import Config
from rules.model import Book, Goal
from state import calendar
from state.disk import GoneError

SEAT_KEYS = ("city", "hall", "clerk")


class Source:
    """A data directory opened for reading, up to one moment."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.prefix = Prefix(reader.datadir, reader.journals)
        newest = reader.shelf.newest()
        if newest is None:
            raise CommandError(f"{reader.datadir.root} has no book: nothing was ever decided there")
        self.book = self.book_of(newest)
        self.transitions = calendar.transitions(reader.zone.key)

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The goals of the book that was active last."""
        return self.book.goals

    def book_of(self, version: str) -> Book:
        """Return a book by its version."""
        return self.reader.shelf.get(version).book

    @contextmanager
    def joined(self, *each_bucket: BucketReader) -> Iterator[Joined]:
        """Join it; CommandError when the engine lets go of files meanwhile."""
        try:
            with joined(self.prefix, self.book_of, self.book, self.reader.strings, each_bucket=each_bucket) as found:
                yield found
        except GoneError as fault:
            raise CommandError(f"the engine let go of old files while they were read, ask again: {fault}") from fault


@contextmanager
def source(config: Config) -> Iterator[Source]:
    """Open the data directory of a configuration; standard error says what is left out."""
    with opened(config) as reader:
        found = Source(reader)
        try:
            for line in left_out(found):
                complain(line)
            yield found
        finally:
            found.prefix.close()


def left_out(found: Source) -> Iterator[str]:
    """Yield a line for each partition whose log begins later than its journal."""
    for partition, begins_ms in found.prefix.begins_late():
        begins = local_text(begins_ms, found.reader.zone)
        yield (
            f"opportune: partition {partition}: the log is kept from {begins} on; decisions from before are left out, "
            "because what became of them is not known (log.log_hours_max)"
        )


def seats_of(path: Path | None) -> dict[str, Seat]:
    """Read who and what is at each terminal, CSV with the columns terminal, hall, city and clerk."""
    if path is None:
        return {}
    rows = csv.DictReader(io.StringIO(text_of(path), newline=""))
    try:
        if "terminal" not in (rows.fieldnames or ()):
            raise CommandError(f"{path} must have a column `terminal`, and may have {', '.join(SEAT_KEYS)}")
        found = {}
        for row in rows:
            seat = {name: (row.get(name) or "").strip() for name in SEAT_KEYS}
            seat["hall"] = seat["hall"] or row["terminal"].rpartition("-")[0] or row["terminal"]
            found[row["terminal"]] = Seat(**seat)
    except csv.Error as fault:
        raise CommandError(f"{path}:{rows.line_num}: this is no line of a CSV file: {fault}") from fault
    return found


def keys_of(args: argparse.Namespace, found: Source) -> Callable[[Joined], Keys]:
    """Return what makes the keys of a join."""
    seats = seats_of(args.terminals)
    return lambda one: Keys(one, found.transitions, seats)
