"""A worker that stands by takes over from its own copy of the pages, also when the owner's disk is gone."""

import asyncio
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from perf import books
from perf.lines import Feed, blocks
from tests.parts.kafka.rig import records_of
from tests.parts.kafka.workers import PARTITIONS, Cluster, Worker, cluster_on, decided_embedded, rows

pytestmark = [pytest.mark.parts, pytest.mark.slow]

EVENTS = 60_000
PART = 2_500
SUBSCRIBERS = 2_000


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    settings = {"recovery_target_s": 0.0005, "cluster_settings": "standby_copies = 1"}
    with cluster_on(tmp_path, books.small(), **settings) as made:
        yield made


async def ends_of_pages(bootstrap: str) -> dict[str, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        ends = await consumer.end_offsets([TopicPartition("opportune.pages", number) for number in range(PARTITIONS)])
        return {str(place.partition): end for place, end in ends.items()}
    finally:
        await consumer.stop()


def wait_until_copied(cluster: Cluster, workers: Iterable[Worker], seconds: float = 30) -> None:
    """Wait until every partition has a copy on the worker that does not own it, whole but for the last end mark."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ends = asyncio.run(ends_of_pages(cluster.broker.bootstrap))
        copied: dict[str, int] = {}
        for worker in workers:
            copied |= cluster.status(worker).get("standby", {})
        if copied.keys() == ends.keys() and all(
            ends[number] > 0 and copied[number] >= ends[number] - 1 for number in ends
        ):
            return
        time.sleep(0.2)
    raise AssertionError(f"copies at {copied}, pages end at {ends}")


def test_a_standby_takes_over_without_reading_the_pages_again(tmp_path: Path, cluster: Cluster) -> None:
    lines = b"".join(bytes(block) for block in blocks(Feed(SUBSCRIBERS), EVENTS)).splitlines()
    expected = decided_embedded(tmp_path / "embedded", books.small(), lines)
    one, other = cluster.worker("a"), cluster.worker("b")
    cluster.wait_until_owned(2)
    kept = set(cluster.status(other)["partitions"])
    for start in range(0, EVENTS // 2, PART):  # page sweeps go on with frames: a few, so that each partition ends one
        cluster.produce(lines[start : start + PART])
    while cluster.folded(one) + cluster.folded(other) < EVENTS // 2:
        time.sleep(0.05)
    wait_until_copied(cluster, (one, other))

    cluster.workers.remove(one)
    one.kill()
    shutil.rmtree(cluster.folder / one.name)
    cluster.wait_until_owned(1)
    taken_over = {number: part for number, part in cluster.status(other)["partitions"].items() if number not in kept}
    cluster.produce(lines[EVENTS // 2 :])
    reader = cluster.read_until(lambda reader: rows(reader.batches) >= rows(expected))

    assert len(taken_over) == PARTITIONS // 2
    assert [part["restored"]["rows"] for part in taken_over.values()] == [0] * len(taken_over)
    assert all(part["subscribers"] > 100 for part in taken_over.values())
    assert records_of(reader.batches) == records_of(expected)
