"""A data directory opened for reading, beside a running engine or without one; and records as lines of text."""

import argparse
import difflib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

import orjson

from engine.answers.history import Ends, history
from engine.answers.records import Record, Wanted, read_records
from engine.book.shelf import BookShelf
from engine.commands.shared.error import CommandError
from engine.commands.shared.out import complain
from engine.flow.datadir import DataDir
from engine.settings.config import Config
from rules.model import Book
from state.disk import RealDisk
from state.hashing import stable_id
from state.journal import Journal
from state.log import Log
from state.strings import Strings
from state.visible import visible, visible_json

WRITING_S = 0.3


class Reader:
    """The journals, books and texts of a data directory."""

    def __init__(self, config: Config) -> None:
        disk = RealDisk()
        self.datadir = DataDir(config.data.directory, disk)
        self.partitions = self.datadir.fixed().partitions
        self.shelf = BookShelf(self.datadir.books, disk)
        self.strings = Strings(disk, self.datadir.strings / "texts")
        self.journals = [
            (number, Journal(self.datadir.journal(number), disk, read_only=True)) for number in range(self.partitions)
        ]
        self.zone = ZoneInfo(self._zone_name())

    def records(self, wanted: Wanted) -> Iterator[Record]:
        """Yield the wanted records."""
        return read_records(self.journals, self.shelf, self.strings, wanted)

    def ends(self, subscriber: int, records: list[Record]) -> Ends:
        """Return what became of the decided ones of a subscriber's records, by decision id."""
        decided = [record for record in records if record["gate"] is None]
        if not decided:
            return {}
        log = Log(self.datadir.log(decided[0]["partition"]), read_only=True)
        try:
            return history(log, subscriber, min(record["position"] for record in decided), self.strings)
        finally:
            log.close()

    def rule(self, name: str) -> int:
        """Return the number of a rule of any book that was ever active; CommandError when there is none."""
        return rule_number(name, self._books())

    def early_ends(self) -> list[str]:
        """Return a line for each journal whose end does not read back: records may be missing from what was shown.

        A running engine may be writing just then, so a journal is looked at twice.
        """
        before = [(number, journal, journal.unread_bytes(), journal.next_position) for number, journal in self.journals]
        doubtful = [one for one in before if one[2]]
        if doubtful:
            time.sleep(WRITING_S)
        return [
            f"journal of partition {number} stops early: {journal.unread_bytes()} bytes after record {end - 1} do not "
            "read back; the engine was ended while it wrote them, or they are damaged"
            for number, journal, _, end in doubtful
            if journal.unread_bytes() and journal.next_position == end
        ]

    def close(self) -> None:
        """Close the files."""
        for _, journal in self.journals:
            journal.close()
        self.strings.close()

    def _zone_name(self) -> str:
        return next((book.zone for book in self._books()), "UTC")

    def _books(self) -> Iterator[Book]:
        """Yield every book that was ever active, the newest first."""
        paths = sorted(self.datadir.books.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        return (self.shelf.get(path.stem).book for path in paths)


@contextmanager
def opened(config: Config) -> Iterator[Reader]:
    """Open the data directory of a configuration for reading; standard error says what could not be read of it."""
    reader = Reader(config)
    try:
        yield reader
        for line in reader.early_ends():
            complain(f"opportune: {line}")
    finally:
        reader.close()


def span_ms(args: argparse.Namespace, zone: ZoneInfo) -> tuple[int | None, int | None]:
    """Read --from and --to; CommandError when nothing can lie between them."""
    start, end = moment_ms(args.start, zone), moment_ms(args.end, zone)
    if start is not None and end is not None and end <= start:
        raise CommandError(f"to={args.end!r} must be later than from={args.start!r}")
    return start, end


def moment_ms(text: str | None, zone: ZoneInfo) -> int | None:
    """Read a time of the command line; one without a zone is the operator's."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as fault:
        raise CommandError(f"time={text!r} must look like 2008-11-04T09:00:00+08:00") from fault
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)


def rule_number(name: str, books: Iterable[Book]) -> int:
    """Return the number of a rule of any of the books; CommandError when there is none."""
    names: set[str] = set()
    for book in books:
        names |= book.by_id.keys()
        if name in names:
            return stable_id(name)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise CommandError(f"rule={name!r} was never in a book{hint}")


def local_text(time_ms: int, zone: ZoneInfo) -> str:
    """Return a time in the operator's zone, to the second."""
    return datetime.fromtimestamp(time_ms / 1000, zone).isoformat(sep=" ", timespec="seconds")[:19]


def line_of(record: Record, zone: ZoneInfo) -> str:
    """Return a record as a line of the table."""
    how = record["channel"] if record["gate"] is None else f"- {record['gate']} ({record['detail']})"
    return visible(f"{local_text(record['at_ms'], zone)}  {record['subscriber']}  {record['rule']:<30}  {how}") + "\n"


def ndjson(record: Record) -> str:
    """Return a record as a line of JSON."""
    return visible_json(orjson.dumps(record).decode()) + "\n"
