"""How many bytes of memory does a subscriber take, with the shipped book?

A generated day, profiles included, is decided on an empty engine; what the process has grown by is divided by the
subscribers that it then knows. Columns, index, contacts and texts are in it, and the buffers of the intake, which do
not grow with subscribers; the engine before its first event is not.
"""

from pathlib import Path
from typing import Any

from engine.feed.day import DayPlan
from engine.feed.run import feed
from engine.feed.send import Files
from engine.settings.config import BookConfig
from perf.measure import arguments, isolated, resident_bytes, workplace
from perf.product import configure, running
from perf.report import ROOT, keep, table


def measure(folder: Path, subscribers: int) -> dict[str, Any]:
    """Decide the day; return bytes a subscriber, and where they lie."""
    config = configure(folder, {}, subscribers=subscribers, threads=2, partitions=2)
    data = config.data.model_copy(update={"clock": "events"})
    config = config.model_copy(update={"book": BookConfig(folder=ROOT / "rules" / "book"), "data": data})
    with running(config) as engine:
        before = resident_bytes()
        engine.take_files(folder / "day")
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


def main() -> None:
    """Measure a generated day."""
    given = arguments(__doc__, events=6_000_000, subscribers=1_000_000, quick_events=100_000, quick_subscribers=10_000)
    with workplace() as folder:
        plan = DayPlan(given.subscribers, given.events, seed=1)
        feed(plan, Files(folder / "day", "day", 1_000_000))
        run = isolated(measure, folder, given.subscribers)
    rows = [
        ("bytes of memory a subscriber", run["bytes"]),
        ("of these: columns and index", run["columns"]),
        ("of these: contacts", run["contacts"]),
        ("subscribers with contacts, share", run["with_contacts"]),
        ("subscribers", run["subscribers"]),
        ("events", run["events"]),
        ("process, MB", run["resident_mb"]),
    ]
    print(table(("shipped book", ""), rows))
    keep("memory", run, path=given.results)


if __name__ == "__main__":
    main()
