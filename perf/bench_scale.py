"""What does an event cost when there are a thousand times as many subscribers?

The small book over 10,000 to 10,000,000 subscribers, 2 partitions, 1 thread; every subscriber is in memory before. The
sweep costs by subscribers and not by events, so it is measured by itself (all pages at once, CPU of the whole process)
and added at the pace that it has under a recovery target of 60 seconds.
"""

import time
from pathlib import Path
from typing import Any

from perf import books, lines
from perf.measure import arguments, isolated, resident_bytes, workplace
from perf.product import configure, running
from perf.report import keep, table

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
QUICK_SIZES = (5_000, 50_000)
BYTES_A_SUBSCRIBER = 1_500
"""Memory and page cache that a size must find free, or it is left out."""
TARGET_S = 60.0


def measure(folder: Path, subscribers: int, events: int) -> dict[str, Any]:
    """Return CPU seconds a million events, without and with their part of a sweep."""
    feed = lines.Feed(subscribers)
    config = configure(
        folder, books.small(), subscribers=subscribers, threads=1, partitions=2, recovery_target_s=TARGET_S
    )
    lines.write_everybody(folder / "warm" / "a.ndjson", feed)
    lines.write_lines(folder / "main" / "a.ndjson", feed, 2 * events)
    with running(config) as engine:
        engine.take_files(folder / "warm")
        (folder / "warm" / "a.ndjson").unlink()
        before = engine.events
        cpu = time.process_time()
        engine.take_files(folder / "main")
        cpu = (time.process_time() - cpu) / (engine.events - before) * 1e6
        sweeping = time.process_time()
        engine.write_pages()
        page_us = (time.process_time() - sweeping) / subscribers * 1e6
        asleep = sum(one.flusher.sleeping for one in engine.core.partitions)
        assert asleep == 0, f"subscribers asleep={asleep}: not all are in memory"
        return {
            "subscribers": subscribers, "cpu_s_per_million": cpu, "sweep_us_per_subscriber": page_us,
            "sweep_every_events": engine.sweep_events,
            "with_sweep": cpu + page_us * subscribers / engine.sweep_events, "resident_mb": resident_bytes() / 1e6,
        }  # fmt: skip


def free_bytes() -> int:
    """Return the memory that can be had."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    """Measure each size for which there is memory."""
    given = arguments(__doc__, events=2_000_000, subscribers=SIZES[-1], quick_events=50_000, quick_subscribers=50_000)
    runs = []
    for size in QUICK_SIZES if given.quick else SIZES:
        if size > given.subscribers or size * BYTES_A_SUBSCRIBER > free_bytes():
            print(f"{size:,} subscribers are left out: more than asked for, or than there is memory")
            continue
        with workplace() as folder:
            runs.append(isolated(measure, folder, size, given.events))
    names = (
        "subscribers",
        "cpu_s_per_million",
        "sweep_us_per_subscriber",
        "sweep_every_events",
        "with_sweep",
        "resident_mb",
    )
    print(f"{2 * given.events:,} events, small book, recovery target {TARGET_S:.0f} s; CPU-s/M")
    print(table(names, [[run[name] for name in names] for run in runs]))
    for name in ("cpu_s_per_million", "with_sweep"):
        print(f"largest / smallest, {name}: {runs[-1][name] / runs[0][name]:.2f}")
    keep("scale", {"runs": runs}, path=given.results)


if __name__ == "__main__":
    main()
