"""How many bytes of memory does a subscriber take, with the shipped book, and with the one that was shipped before?

A generated day, profiles included, is decided on an empty engine; what the process has grown by is divided by the
subscribers that it then knows. Columns, index, contacts and texts are in it, and the buffers of the intake, which do
not grow with subscribers; the engine before its first event is not.

The target is held against `perf/book`, the book as it was shipped before areas and deadlines came into it (commit
08aa18b of 30 November 2026), so that figures stay comparable. The shipped book has grown since: it is measured beside
it, and what each construct that came takes is stated.
"""

from pathlib import Path
from typing import Any

from engine.answers.explained import state_bytes_of
from engine.feed.day import DayPlan
from engine.feed.run import feed
from engine.feed.send import Files
from engine.settings.config import BookConfig
from perf.measure import arguments, isolated, resident_bytes, workplace
from perf.product import configure, running
from perf.report import ROOT, keep, table
from rules.load import load_book

BEFORE = ROOT / "perf" / "book"
SHIPPED = ROOT / "rules" / "book"


def measure(folder: Path, day: Path, subscribers: int, book: Path) -> dict[str, Any]:
    """Decide the day; return bytes a subscriber, and where they lie."""
    config = configure(folder, {}, subscribers=subscribers, threads=2, partitions=2)
    data = config.data.model_copy(update={"clock": "events"})
    config = config.model_copy(update={"book": BookConfig(folder=book), "data": data})
    with running(config) as engine:
        before = resident_bytes()
        engine.take_files(day)
        grown = resident_bytes() - before
        tables = [partition.table for partition in engine.core.partitions]
        contacts = [partition.contacts for partition in engine.core.partitions]
        known = sum(one.count for one in tables)
        blocks = sum(int(one.arrays.meta[0]) - 1 for one in contacts)
        return {
            "subscribers": known, "events": engine.events, "bytes": grown / known,
            "columns": tables[0].row_bytes(), "contacts": 4 + sum(one.used_bytes for one in contacts) / known,
            "with_contacts": blocks / known, "resident_mb": resident_bytes() / 1e6,
        }  # fmt: skip


def constructs() -> dict[str, int]:
    """Return the bytes a subscriber of each feature that the shipped book has and the one before had not."""
    before, now = (
        {f"{one.kind} {one.name}": size for one, size in state_bytes_of(book, book.features).items()}
        for book in map(load_book, (BEFORE, SHIPPED))
    )
    return {name: size for name, size in now.items() if name not in before}


def main() -> None:
    """Measure a generated day with each book."""
    given = arguments(__doc__, events=6_000_000, subscribers=1_000_000, quick_events=100_000, quick_subscribers=10_000)
    with workplace() as folder:
        plan = DayPlan(given.subscribers, given.events, seed=1)
        feed(plan, Files(folder / "day", "day", 1_000_000))
        before, now = (
            isolated(measure, folder / name, folder / "day", given.subscribers, book)
            for name, book in (("before", BEFORE), ("shipped", SHIPPED))
        )
    came = constructs()
    lines = {
        "bytes of memory a subscriber": "bytes",
        "of these: columns and index": "columns",
        "of these: contacts": "contacts",
        "subscribers with contacts, share": "with_contacts",
        "subscribers": "subscribers",
        "events": "events",
        "process, MB": "resident_mb",
    }
    rows = [(line, before[name], now[name]) for line, name in lines.items()]
    rows += [(f"columns of {name}", "", size) for name, size in came.items()]
    print(table(("", "book before", "shipped book"), rows))
    keep("memory", {**before, "shipped": {**now, "constructs": came}}, path=given.results)


if __name__ == "__main__":
    main()
