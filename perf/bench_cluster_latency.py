"""How long does an event of a raw topic wait until its decision can be read, at 20,000 events a second? A real broker.

A process of its own writes single records; each event carries the moment at which it was due as its event time and is
sent then or later, never earlier. A reader of the decisions topic, in this process, takes the time from that moment,
cut to the millisecond below, to the one at which it holds the record: waiting in producer and broker counts as well.
Only candidates have records, one event in a hundred; the first seconds do not count.
"""

import asyncio
import multiprocessing
import time
from typing import Any

import numpy as np
from aiokafka import AIOKafkaProducer
from numpy.typing import NDArray

from perf import books, lines
from perf.measure import arguments, workplace
from perf.offered import shares
from perf.report import keep, table
from tests.parts.kafka.rig import Reader
from tests.parts.kafka.workers import PARTITIONS, RAW_PARTITIONS, Cluster, Worker, cluster_on

RATE = 20_000
TICK_S = 0.002
LEAD_S = 1.5
SKIP_S = 3.0
DRAIN_S = 2.0
SESSION_MS = 10_000


def main() -> None:
    """Measure with one worker and with two."""
    given = arguments(__doc__, events=20 * RATE, subscribers=400_000, quick_events=2 * RATE, quick_subscribers=20_000)
    workers = (("a",),) if given.quick else (("a",), ("a", "b"))
    runs = [measure(given.subscribers, given.events, names, given.quick) for names in workers]
    print(f"due to readable decision at {RATE:,} events/s, milliseconds")
    words = ("workers", "p50_ms", "p99_ms", "p99.9_ms", "max_ms", "packed_p50_ms", "decisions", "cores", "broker_cores")
    print(table(words, [[run[word] for word in words] for run in runs]))
    keep("cluster-latency", {"rate": RATE, "subscribers": given.subscribers, "runs": runs}, path=given.results)


def measure(subscribers: int, events: int, names: tuple[str, ...], quick: bool) -> dict[str, Any]:
    """Offer events to that many workers; return what their decisions waited."""
    settings = {"recovery_target_s": 10, "session_timeout_ms": SESSION_MS}
    with workplace() as folder, cluster_on(folder, books.small(), **settings) as cluster:
        workers = [cluster.worker(name) for name in names]
        cluster.wait_until_owned(len(names), 120)
        return asyncio.run(offered(cluster, workers, lines.Feed(subscribers), events, 0.5 if quick else SKIP_S))


async def offered(
    cluster: Cluster, workers: list[Worker], feed: lines.Feed, events: int, skip_s: float
) -> dict[str, Any]:
    """Read decisions while another process offers the events; return percentiles, and the cores that it took."""
    reader = await Reader(cluster.broker.bootstrap, "opportune.decisions", PARTITIONS).start()
    process = multiprocessing.get_context("spawn").Process(target=offer, args=(cluster.broker.bootstrap, feed, events))
    process.start()
    cpu, broker = [one.cpu_s() for one in workers], cluster.broker.cpu_s()
    due: list[NDArray[np.int64]] = []
    waited: list[NDArray[np.float64]] = []
    packed: list[NDArray[np.int64]] = []
    try:
        end_s = None
        while end_s is None or time.monotonic() < end_s:
            seen = len(reader.batches)
            await reader.poll()
            now_ms = time.time_ns() / 1e6
            for _, batch in reader.batches[seen:]:
                due.append(batch.at_ms)
                waited.append(np.asarray(now_ms - batch.at_ms, np.float64))
                packed.append(batch.append_ms - batch.at_ms)
            if end_s is None and not process.is_alive():
                end_s = time.monotonic() + DRAIN_S
    finally:
        process.join()
        await reader.stop()
    assert process.exitcode == 0, f"the producer ended with {process.exitcode}"
    all_due, all_waited = np.concatenate(due), np.concatenate(waited)
    counted = all_waited[all_due >= all_due.min() + skip_s * 1000]
    seconds = events / RATE
    return {
        "workers": len(workers),
        **shares(counted),
        "packed_p50_ms": float(np.median(np.concatenate(packed))),
        "decisions": int(counted.shape[0]),
        "cores": sum(one.cpu_s() - was for one, was in zip(workers, cpu, strict=True)) / seconds,
        "broker_cores": (cluster.broker.cpu_s() - broker) / seconds,
    }


def offer(bootstrap: str, feed: lines.Feed, events: int) -> None:
    """Prepare the lines, then write each when it is due."""
    asyncio.run(_offer(bootstrap, feed, events))


async def _offer(bootstrap: str, feed: lines.Feed, events: int) -> None:
    start_ms = int((time.time() + LEAD_S + events / 200_000) * 1000)
    number: lines.Int64s = np.arange(events)
    rng = np.random.default_rng(feed.seed)
    subscriber: lines.Int64s = rng.integers(0, feed.subscribers, events) + lines.FIRST_MSISDN
    due_ms: lines.Int64s = number * 1000 // RATE + start_ms
    blocks = [
        bytes(lines.lay(rng, subscriber[part], due_ms[part], 2_000_000_000 + number[part]))
        for part in (slice(first, first + lines.BLOCK) for first in range(0, events, lines.BLOCK))
    ]
    rows = b"".join(blocks).splitlines()
    partitions = (subscriber % RAW_PARTITIONS).tolist()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        offered = 0
        while offered < events:
            await asyncio.sleep(TICK_S)
            due = min(events, max(0, int((time.time() * 1000 - start_ms) * RATE / 1000)))
            batches = [producer.create_batch() for _ in range(RAW_PARTITIONS)]
            for row, partition in zip(rows[offered:due], partitions[offered:due], strict=True):
                if batches[partition].append(key=None, value=row, timestamp=None) is None:
                    await send(producer, batches, partition)
                    batches[partition].append(key=None, value=row, timestamp=None)
            for partition in range(RAW_PARTITIONS):
                if batches[partition].record_count():
                    await send(producer, batches, partition)
            offered = due
    finally:
        await producer.stop()


async def send(producer: AIOKafkaProducer, batches: list[Any], partition: int) -> None:
    """Send one batch, put an empty one in its place."""
    batches[partition].close()
    await producer.send_batch(batches[partition], "raw", partition=partition)
    batches[partition] = producer.create_batch()


if __name__ == "__main__":
    main()
