"""Two workers on a real Kafka, and in every topic of theirs all hostile records that the broker takes."""

import asyncio
import json
import re
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from tests.engine.world import BOOK, call
from tests.hostile.records import CONTROL, DEAD, DECISIONS, LOG, OUTBOX, PAGES, RECEIPTS, TEXTS, KafkaRecord
from tests.parts.kafka.rig import make_topic
from tests.parts.kafka.workers import PARTITIONS, Cluster, cluster_on

pytestmark = [pytest.mark.parts, pytest.mark.slow]

NOW_MS = int(time.time() * 1000) - 600_000
COMPACTED = {"control", "pages"}
BYTES_MAX = 500_000
HOSTILE: dict[str, Iterable[KafkaRecord]] = {
    "control": CONTROL.values(),
    "log": LOG.values(),
    "texts": TEXTS.values(),
    "receipts": RECEIPTS.values(),
    "decisions": DECISIONS.values(),
    "pages": PAGES.values(),
    "outbox": [KafkaRecord(None, value) for value in OUTBOX.values()],
    "dead": DEAD.values(),
}
SENDING = """
[gateways.spool]
kind = "spool"
folder = "spool"
[channels.sms]
gateway = "spool"
[channels.alert]
gateway = "spool"
"""
ONE_PARTITION = {"control", "texts", "receipts", "dead"}


async def write(bootstrap: str) -> dict[str, int]:
    """Write every hostile record to every partition of its topic; return how many each topic took."""
    taken: dict[str, int] = {}
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=2 << 20)
    await producer.start()
    try:
        for topic, records in HOSTILE.items():
            for partition in range(1 if topic in ONE_PARTITION else PARTITIONS):
                for record in records:
                    refused = topic in COMPACTED and record.key is None
                    if refused or len(record.value or b"") > BYTES_MAX:
                        continue
                    where = f"opportune.{topic}"
                    key = record.key or (None if record.value is not None else b"k")  # the client sends no empty one
                    await producer.send_and_wait(where, record.value, key=key, partition=partition)
                    taken[topic] = taken.get(topic, 0) + 1
    finally:
        await producer.stop()
    return taken


def counted(cluster: Cluster, topic: str) -> list[int]:
    """Return how many records of a topic each worker has passed over."""
    pattern = rf'^opportune_dead_letters_total\{{code="\w+",source="opportune\.{topic}"\}} ([0-9.e+]+)$'
    pages = [cluster.page(worker, "/metrics").decode() for worker in cluster.workers]
    return [int(sum(float(one) for one in re.findall(pattern, page, re.MULTILINE))) for page in pages]


def decided(cluster: Cluster, subscriber: int, seconds: float = 90.0) -> list[dict[str, object]]:
    """Send a call; return its decisions once there are any."""
    cluster.produce([call(subscriber, NOW_MS).strip()])
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done = cluster.command("why", str(subscriber), "--cluster", "--format", "ndjson")
        assert done.returncode == 0, done.stderr
        if done.stdout:
            return [json.loads(one) for one in done.stdout.splitlines()]
        time.sleep(0.3)
    raise AssertionError(f"{subscriber} was not decided in {seconds} s")


def test_two_workers_live_on_topics_full_of_garbage_and_start_again_on_them(tmp_path: Path) -> None:
    with cluster_on(tmp_path, {"book.toml": BOOK}, more=SENDING) as cluster:
        workers = [cluster.worker(name, "--agents", "intake,decide,dispatch") for name in ("a", "b")]
        cluster.wait_until_owned(2, 300)
        assert decided(cluster, 8613800000001)
        asyncio.run(make_topic(cluster.broker.bootstrap, "opportune.texts", 1))  # as a cluster of format 1 has it
        taken = asyncio.run(write(cluster.broker.bootstrap))
        assert taken.keys() == HOSTILE.keys()

        assert decided(cluster, 8613800000002)
        assert [one.ended for one in workers] == [False, False]
        assert counted(cluster, "control") == [taken["control"]] * 2
        assert counted(cluster, "receipts") == [taken["receipts"]] * 2
        assert sum(counted(cluster, "decisions")) == taken["decisions"]
        assert sum(counted(cluster, "log")) == taken["log"]
        assert not (cluster.folder / "escaped.json").exists()
        for worker in workers:
            worker.kill()
            worker.start()
        cluster.wait_until_owned(2, 120)
        assert decided(cluster, 8613800000003)
        assert counted(cluster, "texts") == [taken["texts"]] * 2
        assert [one.ended for one in workers] == [False, False]
        listed = cluster.command("dead", "list", "--cluster", "--counts")
        assert listed.returncode == 0, listed.stderr
        assert re.search(r"opportune\.control +not_a_record +\d+", listed.stdout)
