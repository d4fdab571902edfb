"""What does a reload of a 1,000-rule book cost while events come in?

Events are offered over TCP (see `perf.offered`); every two seconds files of the book change and are read again, in the
way the embedded runtime does it. Told is the time from "the files have changed" until every partition decides by the
new book, and what the events of that time waited, beside what events wait when nothing is reloaded.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.watch import BookWatcher
from perf import books, lines
from perf.measure import arguments, isolated, workplace
from perf.offered import offer, shares
from perf.product import Engine, configure, running, write_book
from perf.report import keep, table
from rules.model import Book
from state.frame import FrameKind

RULES = 1_000
RATE = 50_000
EVERY_S = 2.0


async def reload_often(engine: Engine, watcher: BookWatcher, rules: int, spans: list[tuple[float, float]]) -> None:
    """Change the book and read it again, over and over; note begin and end of each reload, epoch ms."""
    variant = 0
    while True:
        await asyncio.sleep(EVERY_S)
        variant += 1
        write_book(engine.config.book.folder, books.sized(rules, variant))
        began = time.time() * 1000
        await asyncio.to_thread(watcher.reload)
        spans.append((began, time.time() * 1000))


def measure(folder: Path, subscribers: int, rate: int, seconds: float, rules: int) -> dict[str, Any]:
    """Return what reloads took and what events waited."""
    config = configure(folder, books.sized(rules), subscribers=subscribers, threads=2, partitions=2)
    with running(config) as engine:
        engine.take_files(folder / "warm")

        def activate(book: Book) -> None:
            engine.doors.check(book.schema)
            payload = engine.core.put_book(book)
            engine.doors.schema = book.schema
            engine.pipeline.broadcast(FrameKind.ACTIVATION, payload).result()

        told: list[str] = []
        watcher = BookWatcher(config.book.folder, activate, told.append)
        watcher.begin(engine.book)
        spans: list[tuple[float, float]] = []
        before = engine.events

        async def run() -> Any:
            reloads = asyncio.create_task(reload_often(engine, watcher, rules, spans))
            waits = await offer(engine, lines.Feed(subscribers), rate, seconds)
            reloads.cancel()
            return waits

        due_ms, waited_ms = asyncio.run(run()).of(engine)
        assert set(told) == {"ok"}, told
        spans = [span for span in spans if span[0] >= due_ms[0] and span[1] <= due_ms[-1]]
        during = np.zeros(due_ms.shape[0], np.bool_)
        for began, ended in spans:
            during |= (due_ms >= began - 10) & (due_ms <= ended + 10)
        took = sorted(ended - began for began, ended in spans)
        return {
            "rules": rules, "rate": rate, "reloads": len(took), "median_ms": took[len(took) // 2], "max_ms": took[-1],
            "lost": int(rate * seconds) - (engine.events - before),
            "during": shares(waited_ms[during]), "otherwise": shares(waited_ms[~during]),
        }  # fmt: skip


def main() -> None:
    """Reload under load."""
    given = arguments(__doc__, events=1_000_000, subscribers=1_000_000, quick_events=150_000, quick_subscribers=20_000)
    rules = 100 if given.quick else RULES
    with workplace() as folder:
        lines.write_everybody(folder / "warm" / "a.ndjson", lines.Feed(given.subscribers))
        rate = RATE // 2 if given.quick else RATE
        run = isolated(measure, folder, given.subscribers, rate, given.events / rate, rules)
    rows = [
        ("reload, median ms", run["median_ms"]),
        ("reload, longest ms", run["max_ms"]),
        ("reloads", run["reloads"]),
        ("events lost", run["lost"]),
        *((f"events during a reload, {name}", value) for name, value in run["during"].items()),
        *((f"events at other times, {name}", value) for name, value in run["otherwise"].items()),
    ]
    print(table((f"{run['rules']:,} rules, {run['rate']:,} events/s over TCP", ""), rows))
    keep("reload", run, path=given.results)


if __name__ == "__main__":
    main()
