"""How long does an event wait for its decision at 100,000 events a second over TCP?

Offered by another process (see `perf.offered`), with a page sweep under way all the time, an
id on every event and the dedupe window on. The first two seconds do not count.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perf import books, lines
from perf.measure import arguments, isolated, workplace
from perf.offered import offer, shares
from perf.product import Engine, configure, running
from perf.report import keep, table

RATE = 100_000
SKIP_MS = 2_000
SWEEP_TARGET_S = 0.5
"""A recovery target so short that a sweep follows the other as fast as the flusher lets it: two events a subscriber."""


def measure(folder: Path, subscribers: int, rate: int, seconds: float, skip_ms: int) -> dict[str, Any]:
    """Offer events for some seconds; return what they waited, and the share of a core that it took."""
    config = configure(
        folder, books.small(), subscribers=subscribers, threads=2, partitions=2, recovery_target_s=SWEEP_TARGET_S
    )
    with running(config) as engine:
        engine.take_files(folder / "warm")
        engine.take_files(folder / "main")
        pages = count_pages(engine)
        before = engine.events
        cpu, began = time.process_time(), time.monotonic()
        waits = asyncio.run(offer(engine, lines.Feed(subscribers), rate, seconds))
        cpu, wall = time.process_time() - cpu, time.monotonic() - began
        due_ms, waited_ms = waits.of(engine)
        counted = waited_ms[due_ms >= due_ms[0] + skip_ms]
        return shares(counted) | {
            "rate": rate, "events": engine.events - before, "lost": int(rate * seconds) - (engine.events - before),
            "cores": cpu / seconds, "cpu_s_per_million": cpu / (rate * seconds) * 1e6, "seconds": wall,
            "pages_per_s": pages.total() / seconds,
        }  # fmt: skip


def count_pages(engine: Engine) -> Counter[int]:
    """Count from now on, by partition, the pages that are packed."""
    pages: Counter[int] = Counter()

    def counting(number: int, step: Callable[[int, int], int]) -> Callable[[int, int], int]:
        def counted(position: int, pages_max: int) -> int:
            packed = step(position, pages_max)
            pages[number] += packed
            return packed

        return counted

    for partition in engine.core.partitions:
        partition.flusher.step = counting(partition.number, partition.flusher.step)  # type: ignore[method-assign, assignment]  # to count
    return pages


def main() -> None:
    """Measure at a tenth of the rate, at the rate, and at twice the rate."""
    given = arguments(__doc__, events=2_000_000, subscribers=1_000_000, quick_events=100_000, quick_subscribers=20_000)
    rates = (RATE // 2,) if given.quick else (RATE // 10, RATE, 2 * RATE)
    with workplace() as folder:
        runs = []
        for rate in rates:
            here = folder / str(rate)
            lines.write_everybody(here / "warm" / "a.ndjson", lines.Feed(given.subscribers))
            lines.write_lines(here / "main" / "a.ndjson", lines.Feed(given.subscribers), 2 * given.subscribers)
            seconds = given.events / max(rate, RATE // 2)
            runs.append(isolated(measure, here, given.subscribers, rate, seconds, 500 if given.quick else SKIP_MS))
    print(f"scheduled arrival to durable decision, {given.subscribers:,} subscribers, sweep on; milliseconds")
    names = ("rate", "p50_ms", "p99_ms", "p99.9_ms", "max_ms", "lost", "cores", "cpu_s_per_million", "pages_per_s")
    print(table(names, [[run[name] for name in names] for run in runs]))
    keep("latency", {"subscribers": given.subscribers, "runs": runs}, path=given.results)


if __name__ == "__main__":
    main()
