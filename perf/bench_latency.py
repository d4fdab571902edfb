"""How long does an event wait for its decision at 100,000 events a second over TCP?

Offered by another process (see `perf.offered`), with a page sweep under way all the time, an
id on every event and the dedupe window on. The first two seconds do not count.

What was written before, by us or others, is put on disk first: the system does that after half a minute, in one burst
that every sync then waits for. The last columns are the syncs of a bare file meanwhile (`perf.bare_disk`).
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perf import bare_disk, books, lines
from perf.measure import arguments, isolated, workplace
from perf.offered import offer, shares
from perf.product import Engine, configure, running
from perf.report import keep, table

RATE = 100_000
SKIP_MS = 2_000
SWEEP_TARGET_S = 0.5
"""A recovery target so short that a sweep follows the other as fast as the flusher lets it: two events a subscriber."""


def measure(
    folder: Path, subscribers: int, rate: int, seconds: float, skip_ms: int, sweep_target_s: float | None
) -> dict[str, Any]:
    """Offer events for some seconds; return what they waited, and the share of a core that it took."""
    config = configure(
        folder, books.small(), subscribers=subscribers, threads=2, partitions=2, recovery_target_s=sweep_target_s
    )
    with running(config) as engine:
        engine.take_files(folder / "warm")
        engine.take_files(folder / "main")
        pages = count_pages(engine)
        before = engine.events
        os.sync()
        cpu, began = time.process_time(), time.monotonic()
        with bare_disk.watched(folder) as bare:
            waits = asyncio.run(offer(engine, lines.Feed(subscribers), rate, seconds))
        cpu, wall = time.process_time() - cpu, time.monotonic() - began
        due_ms, waited_ms = waits.of(engine)
        counted = waited_ms[due_ms >= due_ms[0] + skip_ms]
        return shares(counted) | {
            "rate": rate, "events": engine.events - before, "lost": int(rate * seconds) - (engine.events - before),
            "cores": cpu / seconds, "cpu_s_per_million": cpu / (rate * seconds) * 1e6, "seconds": wall,
            "pages_per_s": pages.total() / seconds, "sweep": "shipped" if sweep_target_s is None else "all the time",
            "bare_p50_ms": bare.p50_ms, "bare_p99.9_ms": bare.p999_ms, "bare_max_ms": bare.max_ms,
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
    """Measure at a tenth of the rate, at the rate, at twice the rate; and at the rate with the sweep as shipped."""
    given = arguments(__doc__, events=2_000_000, subscribers=1_000_000, quick_events=100_000, quick_subscribers=20_000)
    cases: tuple[tuple[int, float | None], ...] = (
        (RATE // 10, SWEEP_TARGET_S), (RATE, SWEEP_TARGET_S), (2 * RATE, SWEEP_TARGET_S), (RATE, None)
    )  # fmt: skip
    if given.quick:
        cases = ((RATE // 2, SWEEP_TARGET_S),)
    with workplace() as folder:
        runs = []
        for number, (rate, sweep_target_s) in enumerate(cases):
            here = folder / str(number)
            lines.write_everybody(here / "warm" / "a.ndjson", lines.Feed(given.subscribers))
            lines.write_lines(here / "main" / "a.ndjson", lines.Feed(given.subscribers), 2 * given.subscribers)
            seconds = given.events / max(rate, RATE // 2)
            skip_ms = 500 if given.quick else SKIP_MS
            runs.append(isolated(measure, here, given.subscribers, rate, seconds, skip_ms, sweep_target_s))
    print(f"scheduled arrival to durable decision, {given.subscribers:,} subscribers, sweep on; milliseconds")
    names = (
        "rate", "sweep", "p50_ms", "p99_ms", "p99.9_ms", "max_ms", "lost", "cores", "cpu_s_per_million", "pages_per_s",
        "bare_p50_ms", "bare_p99.9_ms", "bare_max_ms",
    )  # fmt: skip
    print(table(names, [[run[name] for name in names] for run in runs]))
    keep("latency", {"subscribers": given.subscribers, "runs": runs}, path=given.results)


if __name__ == "__main__":
    main()
