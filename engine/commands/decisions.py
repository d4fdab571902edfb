"""Decisions: one record a candidate, from the journals, whether or not an engine runs."""

import argparse
import asyncio
import difflib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

import orjson

from engine.answers.history import Ends, history
from engine.answers.records import Record, Wanted, read_records
from engine.book.shelf import BookShelf
from engine.commands import CommandError
from engine.flow.datadir import DataDir
from engine.settings.config import Config
from engine.settings.reading import load_config
from rules.model import Book
from state.disk import RealDisk
from state.hashing import stable_id
from state.journal import Journal
from state.log import Log
from state.strings import Strings

HELP = "Print decision records: every candidate, what stopped it or where it went, and the facts."
FORMATS = ("table", "ndjson")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the filters."""
    parser.add_argument("--from", dest="start", metavar="TIME", help="event time, as 2008-11-04T09:00[:00][+08:00]")
    parser.add_argument("--to", dest="end", metavar="TIME", help="event time, the first one left out")
    parser.add_argument("--rule", help="of this rule only")
    parser.add_argument("--cluster", action="store_true", help="from the cluster's topics, not the data directory")
    parser.add_argument("--decided", action="store_true", help="only what was decided")
    parser.add_argument("--format", choices=FORMATS, default="table", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print the records."""
    config = load_config(args.config)
    if args.cluster:
        return asyncio.run(_print_cluster(config, args))
    with opened(config) as reader:
        rule = reader.rule(args.rule) if args.rule else None
        wanted = Wanted(None, rule, *span_ms(args, reader.zone), decided_only=args.decided)
        for record in reader.records(wanted):
            sys.stdout.write(ndjson(record) if args.format == "ndjson" else reader.line(record))
    return 0


async def _print_cluster(config: Config, args: argparse.Namespace) -> int:
    """Print the records that stand in the topics now."""
    from engine.runtimes.cluster.ask.reading import reading  # noqa: PLC0415 only who has a cluster loads its clients

    async with reading(config) as reader:
        rule = rule_number(args.rule, reader.control_topic.books()) if args.rule else None
        wanted = Wanted(None, rule, *span_ms(args, reader.zone), decided_only=args.decided)
        async for record in reader.records(wanted):
            sys.stdout.write(ndjson(record) if args.format == "ndjson" else line_of(record, reader.zone))
    return 0


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


def shown(at_ms: int, zone: ZoneInfo) -> str:
    """Say a time in the operator's zone."""
    return datetime.fromtimestamp(at_ms / 1000, zone).isoformat(sep=" ", timespec="seconds")[:19]


def line_of(record: Record, zone: ZoneInfo) -> str:
    """Return a record as a line of the table."""
    how = record["channel"] if record["gate"] is None else f"- {record['gate']} ({record['detail']})"
    return f"{shown(record['at_ms'], zone)}  {record['subscriber']}  {record['rule']:<30}  {how}\n"


class Reader:
    """A data directory opened for reading, beside an engine or without one."""

    def __init__(self, config: Config) -> None:
        disk = RealDisk()
        self.datadir = DataDir(config.data.directory, disk)
        self.partitions = self.datadir.fixed().partitions
        self.shelf = BookShelf(self.datadir.books, disk)
        texts = self.datadir.strings / "texts"
        self.strings = Strings(disk, texts, config.state.strings_max, writable=False)
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

    def line(self, record: Record) -> str:
        """Return a record as a line of the table."""
        return line_of(record, self.zone)

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
    """Open the data directory of a configuration for reading."""
    reader = Reader(config)
    try:
        yield reader
    finally:
        reader.close()


def ndjson(record: Record) -> str:
    """Return a record as a line of JSON."""
    return orjson.dumps(record).decode() + "\n"
