"""Does the cluster decide what one machine decides? Millions of events through both, every record compared.

Three workers, eight partitions, a real broker; half of the events before the workers start, half while they run. Equal
means: the same records in every field but position, row and time of appending. Exit status 1 when they differ.

`--clock events`: on the events' own clock, with dispatch. Then texts and their times are compared too, workers are
killed on the way, and the cluster's log is folded once more, in one process; a moment takes a few hundredths of a
second, so it takes fewer events.
"""

import argparse
import sys
import time
from pathlib import Path

from perf import books
from perf.lines import Feed, blocks
from perf.measure import arguments, workplace
from perf.report import keep, table
from tests.parts.kafka.broker import Broker
from tests.parts.kafka.events_day import BothWays, differences, the_end
from tests.parts.kafka.rig import partition_of_line, records_of
from tests.parts.kafka.workers import PARTITIONS, RAW_PARTITIONS, cluster_on, decided_embedded, rows

EVENTS_CLOCK_EVENTS, EVENTS_CLOCK_SUBSCRIBERS = 100_000, 5_000
"""Two hours of events, which are 240 moments."""
END_MS = 1_762_128_000_000 + 48 * 3_600_000
SPOOL = """
[gateways.spool]
kind = "spool"
folder = "spool"
rate_per_s = 1000000.0
[channels.sms]
gateway = "spool"
rate_per_s = 1000000.0
"""
"""A rate would be shared out by partition, and times would not be those of one machine."""


def main() -> int:
    """Run both and compare."""
    clock = argparse.ArgumentParser(add_help=False)
    clock.add_argument("--clock", choices=("wall", "events"), default="wall")
    chosen, sys.argv[1:] = clock.parse_known_args()
    if chosen.clock == "events":
        sizes = {"events": EVENTS_CLOCK_EVENTS, "subscribers": EVENTS_CLOCK_SUBSCRIBERS}
    else:
        sizes = {"events": 5_000_000, "subscribers": 1_000_000}
    given = arguments(__doc__, **sizes, quick_events=100_000, quick_subscribers=5_000)
    lines = b"".join(bytes(block) for block in blocks(Feed(given.subscribers), given.events)).splitlines()
    with workplace() as folder:
        run = on_the_events_clock if chosen.clock == "events" else on_the_walls_clock
        figures = {"events": given.events, "clock": chosen.clock, **run(folder, lines, given.subscribers)}
    print(table(("embedded and cluster", ""), list(figures.items())))
    keep("cluster-equal", figures, path=given.results)
    return 0 if figures["equal"] else 1


def on_the_walls_clock(folder: Path, lines: list[bytes], subscribers: int) -> dict[str, object]:
    """Return how the records of both compare."""
    expected = decided_embedded(folder / "embedded", books.small(), lines, subscribers=subscribers)
    with cluster_on(folder, books.small(), recovery_target_s=10, session_timeout_ms=10_000) as cluster:
        began = time.monotonic()
        cluster.produce(lines[: len(lines) // 2])
        for name in ("a", "b", "c"):
            cluster.worker(name)
        cluster.produce(lines[len(lines) // 2 :])
        reader = cluster.read_until(lambda one: rows(one.batches) >= rows(expected), 900)
    left, right = records_of(reader.batches), records_of(expected)
    return {
        "records": len(right),
        "missing": len(set(right) - set(left)),
        "surplus": len(left) - len(right) + len(set(right) - set(left)),
        "equal": left == right,
        "doubled_and_dropped": reader.dropped,
        "seconds": time.monotonic() - began,
    }


def on_the_events_clock(folder: Path, lines: list[bytes], subscribers: int) -> dict[str, object]:
    """Return how texts and records of both compare, and the log with the journal."""
    files: dict[str, list[bytes]] = {f"feed-{number}": [] for number in range(RAW_PARTITIONS)}
    for line in lines:
        files[f"feed-{partition_of_line(line, RAW_PARTITIONS)}"].append(line)
    files["feed-0"] += the_end(END_MS)
    (book,) = books.small().values()
    both = BothWays(folder, book, files, SPOOL, PARTITIONS, max(1000, 2 * subscribers))
    expected = both.on_one_machine()
    with Broker(folder / "kafka") as broker:
        began = time.monotonic()
        found = both.in_a_cluster(broker, expected, kills=3)
    said = differences(expected, found)
    for one in said:
        print(one)
    return {
        "records": len(expected.decided),
        "texts": len(expected.sent),
        "unknown": found.unknown.total(),
        "equal": not said,
        "seconds": time.monotonic() - began,
    }


if __name__ == "__main__":
    sys.exit(main())
