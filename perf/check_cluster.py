"""Does the cluster decide what one machine decides? Millions of events through both, every record compared.

Three workers, eight partitions, a real broker; half of the events before the workers start, half while they run. Equal
means: the same records in every field but position, row and time of appending. Exit status 1 when they differ.
"""

import sys
import time

from perf import books
from perf.lines import Feed, blocks
from perf.measure import arguments, workplace
from perf.report import keep, table
from tests.parts.kafka.rig import records_of
from tests.parts.kafka.workers import cluster_on, decided_embedded, rows


def main() -> int:
    """Run both and compare."""
    given = arguments(__doc__, events=5_000_000, subscribers=1_000_000, quick_events=100_000, quick_subscribers=5_000)
    lines = b"".join(bytes(block) for block in blocks(Feed(given.subscribers), given.events)).splitlines()
    with workplace() as folder:
        expected = decided_embedded(folder / "embedded", books.small(), lines, subscribers=given.subscribers)
        with cluster_on(folder, books.small(), recovery_target_s=10, session_timeout_ms=10_000) as cluster:
            began = time.monotonic()
            cluster.produce(lines[: given.events // 2])
            for name in ("a", "b", "c"):
                cluster.worker(name)
            cluster.produce(lines[given.events // 2 :])
            reader = cluster.read_until(lambda one: rows(one.batches) >= rows(expected), 900)
    left, right = records_of(reader.batches), records_of(expected)
    figures = {
        "events": given.events,
        "records": len(right),
        "missing": len(set(right) - set(left)),
        "surplus": len(left) - len(right) + len(set(right) - set(left)),
        "equal": left == right,
        "doubled_and_dropped": reader.dropped,
        "seconds": time.monotonic() - began,
    }
    print(table(("embedded and cluster", ""), list(figures.items())))
    keep("cluster-equal", figures, path=given.results)
    return 0 if figures["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
