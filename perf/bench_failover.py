"""How long is a partition without decisions when its worker dies? A million subscribers in each, a real broker.

Two workers share the partitions; every subscriber is in memory, and the pages have been swept once, so that restore and
redo have their work. Then one worker is killed with -9 while events come, and the other one's decisions are awaited:
what counts is the last of the partitions that moved. Once as shipped, once with a standby copy of the pages.
"""

import asyncio
import signal
import time
from collections.abc import Iterable, Iterator
from typing import Any

from perf import books
from perf.lines import BLOCK, Feed, blocks, everybody
from perf.measure import arguments, wait, workplace
from perf.report import keep, table
from tests.parts.kafka.rig import Reader, produce_blocks
from tests.parts.kafka.workers import RAW_PARTITIONS, Cluster, Worker, cluster_on

PARTITIONS = 4
SESSION_MS = 6_000
RECOVERY_S = 3.0
QUICK_S = 0.02
RECORD_BYTES = 900_000
STEP_BYTES = 92_500
"""500 events, every 50 ms: 10,000 a second."""
STEP_S = 0.05
STEP_EVENTS_MAX = 1 << 22
LEAD_S = 2.0
LAST_WORDS_S = 1.0
"""What the dead worker had sent is read within this."""
WAIT_S = 60.0
FILL_S = 300.0
FILL_EVENTS = 8 * BLOCK


def main() -> None:
    """Measure and report."""
    given = arguments(__doc__, events=0, subscribers=4_000_000, quick_events=0, quick_subscribers=40_000)
    figures = [
        moved(given.subscribers, QUICK_S if given.quick else RECOVERY_S, copies)
        for copies in ((1,) if given.quick else (0, 1))
    ]
    rows = [
        (one["copies"], one["first_s"], one["last_s"], one["restore_s"], one["rows_read"], one["refolded"])
        for one in figures
    ]
    print(table(("standby copies", "first s", "last s", "of it restore", "pages read", "events redone"), rows))
    keep(
        "failover",
        {"subscribers": given.subscribers, "session_s": SESSION_MS / 1000, "runs": figures},
        path=given.results,
    )


def moved(subscribers: int, target_s: float, copies: int) -> dict[str, Any]:
    """Kill one of two workers; return what its partitions waited for."""
    settings = {
        "recovery_target_s": target_s,
        "session_timeout_ms": SESSION_MS,
        "partitions": PARTITIONS,
        "memory_subscribers": 2 * subscribers,
        "blocks": True,
        "cluster_settings": f"standby_copies = {copies}",
    }
    with workplace() as folder, cluster_on(folder, books.small(), **settings) as cluster:
        workers = [cluster.worker("a"), cluster.worker("b")]
        cluster.wait_until_owned(2, 120)
        taken = fill(cluster, workers, subscribers)
        return {"copies": copies, **kill(cluster, workers, Feed(subscribers, first=taken))}


def fill(cluster: Cluster, workers: list[Worker], subscribers: int) -> int:
    """Bring in every subscriber, then events until all pages were swept once; return how many events those were."""
    cluster.produce_blocks(cut(everybody(Feed(subscribers))))
    wait_until_folded(cluster, workers, subscribers)
    taken = 0
    while not all(one["sweeps"] for worker in workers for one in cluster.status(worker)["partitions"].values()):
        cluster.produce_blocks(cut(blocks(Feed(subscribers, first=taken), FILL_EVENTS)))
        taken += FILL_EVENTS
        wait_until_folded(cluster, workers, subscribers + taken)
    return taken


def kill(cluster: Cluster, workers: list[Worker], feed: Feed) -> dict[str, Any]:
    """Kill the first worker under load; return what its partitions waited for."""
    dead, heir = workers
    numbers = {int(number) for number in cluster.status(dead)["partitions"]}
    seen = asyncio.run(first_decisions(cluster, dead, numbers, feed))
    assert set(seen) == numbers, f"partitions without a decision: {numbers - set(seen)}"
    restored = [cluster.status(heir)["partitions"][str(number)]["restored"] for number in numbers]
    return {
        "moved": len(numbers),
        "first_s": min(seen.values()),
        "last_s": max(seen.values()),
        "restore_s": max(one["seconds"] for one in restored),
        "rows_read": sum(one["rows"] for one in restored),
        "refolded": sum(one["refolded"] for one in restored),
    }


async def first_decisions(cluster: Cluster, dead: Worker, numbers: set[int], feed: Feed) -> dict[int, float]:
    """Offer events at a steady rate, kill, and return by partition when its next decision could be read."""
    bootstrap = cluster.broker.bootstrap
    offered = produce_blocks(
        bootstrap, "raw", RAW_PARTITIONS, cut(blocks(feed, STEP_EVENTS_MAX), STEP_BYTES), pause_s=STEP_S
    )
    offering = asyncio.create_task(offered)
    reader = await Reader(bootstrap, "opportune.decisions", PARTITIONS).start()
    try:
        await reader.until(lambda: False, LEAD_S)
        dead.signal(signal.SIGKILL)
        killed = time.monotonic()
        await reader.until(lambda: False, LAST_WORDS_S)
        before = dict(reader.reached)
        seen: dict[int, float] = {}
        while set(seen) < numbers and time.monotonic() < killed + WAIT_S:
            await reader.poll()
            for number in numbers - set(seen):
                if reader.reached[number] > before[number]:
                    seen[number] = time.monotonic() - killed
        return seen
    finally:
        offering.cancel()
        await reader.stop()


def cut(blocks: Iterable[memoryview], size: int = RECORD_BYTES) -> Iterator[bytes]:
    """Cut blocks of lines into records of at most `size` bytes, at ends of lines."""
    for block in blocks:
        data = bytes(block)
        start = 0
        while start < len(data):
            end = data.rfind(b"\n", start, start + size) + 1
            yield data[start : end - 1]
            start = end


def wait_until_folded(cluster: Cluster, workers: list[Worker], events: int) -> None:
    """Wait until the workers have folded that many."""
    wait(f"{events} events are folded", lambda: sum(map(cluster.folded, workers)) >= events, FILL_S)


if __name__ == "__main__":
    main()
