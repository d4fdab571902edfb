"""The nine topics and the Redis of a live cluster under a flood: two workers on a real Kafka.

What a worker should refuse is known from the readers that it has, which are asked here, too: of each topic as many
records must be counted as refused as were. The others are taken, and have no number of their own; that they were read
is seen by the lag.

    raw                                 each is an event or a dead letter, once over both workers
    log, decisions                      read by the owner of their partition: refused once
    pages                               read by the worker that stands by for the partition: refused once
    control, receipts                   read by every worker: refused once by each
    texts, outbox                       read at a start: refused once by a worker that is started alone
    dead                                read by `dead list`, which says how many it passed over
    redis                               keys of the desk: whatever stands there, each is answered when it is asked for

A record of `control` that names the format of a later release ends workers on purpose, and is not drawn. One of another
topic that begins as such is garbage like any other.
"""

import asyncio
import json
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from engine.runtimes.cluster.decide.page_rows import check_row
from engine.runtimes.cluster.dispatch.exchange import parse_heard
from engine.runtimes.cluster.dispatch.outbox import check_array
from engine.runtimes.cluster.shared.record_guard import FAULTS
from state.formats import NewerFormatError
from state.keys import partition_bytes
from tests.engine.engines import fetch
from tests.engine.world import call
from tests.hostile.drawn import READ, TOPICS, Lines, flipped, topic_record
from tests.hostile.records import LATER, PARSED, KafkaRecord
from tests.hostile.report import Report, memory_of
from tests.parts.kafka.rig import make_topic
from tests.parts.kafka.workers import RAW_PARTITIONS, Cluster, Worker
from tests.parts.redis_server import RedisServer

PARTITIONS = 4
QUIET_S = 900.0
AGENTS = ("--agents", "intake,decide,dispatch")
ONE_PARTITION = {"control", "texts", "receipts", "dead"}
BY_EACH = {"control", "receipts"}
AT_A_START = {"texts", "outbox"}
COMPACTED = {"control", "pages"}
BATCH_BYTES = 900_000
"""What a topic takes that nobody has given a bound of its own."""
RECORD_BYTES_MAX = 500_000
MORE = """
[gateways.spool]
kind = "spool"
folder = "spool"
[channels.sms]
gateway = "spool"
[channels.alert]
gateway = "spool"
[desk]
queue = "redis"
sweep_ms = 200
[desk.redis]
url = "{url}"
timeout_ms = 500
settle_ms = 600
"""
TERMINALS = ("hall-1", "hall-2")
KEYS = ("terminal:hall-1", "terminal:hall-2", "subscriber:8613800000001", "visit:v-1", "card:0-1-1-a", "due", "run")


READERS: dict[str, Callable[[Any], object]] = {
    **{topic: parse for topic, (_, parse) in PARSED.items()},
    "receipts": parse_heard,
    "outbox": lambda record: check_array(record.value),
}


class ClusterDoors:
    """Sends to two workers and counts what they make of it; a context."""

    def __init__(self, cluster: Cluster, redis: RedisServer, draw: random.Random, lines: Lines, report: Report) -> None:
        self._cluster, self._redis = cluster, redis
        self._draw, self._lines, self._report = draw, lines, report
        self._refused: Counter[str] = Counter()
        self._loop = asyncio.Runner()
        self._bootstrap = cluster.broker.bootstrap

    def __enter__(self) -> "ClusterDoors":
        self._loop.run(make_topic(self._bootstrap, "opportune.texts", 1))  # as a cluster of format 1 has it
        for name in ("a", "b"):
            self._cluster.worker(name, *AGENTS)
        self._cluster.wait_until_owned(2, 300)
        self._wait_until_sent_by_both(300)
        self._loop.run(self._connect())
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._producer.stop())
        self._loop.close()

    def _wait_until_sent_by_both(self, seconds: float) -> None:
        """Wait for the group of dispatchers: of a partition that moves later garbage is counted twice."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            said = [self._cluster.status(one).get("dispatch", {}) for one in self._cluster.workers]
            sent = [len(one.get("partitions", {})) for one in said]
            if sum(sent) == PARTITIONS and all(sent):
                return
            time.sleep(0.2)
        raise AssertionError(f"partitions sent by the workers after {seconds} s: {sent}")

    async def _connect(self) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, max_batch_size=BATCH_BYTES, max_request_size=BATCH_BYTES * 2
        )
        await self._producer.start()

    # ---- sending

    def raw(self, count: int) -> None:
        """Write lines to the raw topic."""
        values = [KafkaRecord(None, line) for line in self._lines.some(count)]
        self._write("raw", self._draw.randrange(RAW_PARTITIONS), values)
        self._report.sent["raw"] += count

    def named(self) -> None:
        """Write every hostile record that has a name to every partition of its topic."""
        for topic, named in READ.items():
            for partition in range(1 if topic in ONE_PARTITION else PARTITIONS):
                records = [self._at(topic, partition, one) for one in (*named, *LATER.get(topic, ()))]
                self._ours(topic, partition, [one for one in records if one is not None])

    def ours(self, topic: str, count: int) -> None:
        """Write records to a topic of ours."""
        partition = 0 if topic in ONE_PARTITION else self._draw.randrange(PARTITIONS)
        records: list[KafkaRecord] = []
        while len(records) < count:
            record = self._at(topic, partition, topic_record(topic, self._draw))
            if record is not None:
                records.append(record)
        self._ours(topic, partition, records)

    def _ours(self, topic: str, partition: int, records: Sequence[KafkaRecord]) -> None:
        self._write(f"opportune.{topic}", partition, records)
        self._report.sent[topic] += len(records)

    def _at(self, topic: str, partition: int, record: KafkaRecord) -> KafkaRecord | None:
        """Return a record as it stands in a partition, noting whether it is to be refused; None where none can be."""
        if topic == "pages" and record.key is not None and record.key[1:3] == b"\0\0":
            record = KafkaRecord(record.key[:1] + partition_bytes(partition) + record.key[3:], record.value)
        if len(record.value or b"") > RECORD_BYTES_MAX or (
            record.key is None and (topic in COMPACTED or record.value is None)
        ):
            return None  # brokers, or the client, take none of these
        try:
            if topic == "pages":
                check_row(partition_bytes(partition), record.key, record.value)
            else:
                READERS[topic](record)
        except NewerFormatError:
            if topic not in LATER:
                return None
            self._refused[topic] += 1
        except FAULTS:
            self._refused[topic] += 1
        return record

    def _write(self, topic: str, partition: int, records: Sequence[KafkaRecord]) -> None:
        self._loop.run(self._send(topic, partition, records))

    async def _send(self, topic: str, partition: int, records: Sequence[KafkaRecord]) -> None:
        batch = self._producer.create_batch()
        for record in records:
            if batch.append(key=record.key, value=record.value, timestamp=None) is None:
                await (await self._producer.send_batch(batch, topic, partition=partition))
                batch = self._producer.create_batch()
                assert batch.append(key=record.key, value=record.value, timestamp=None) is not None
        await (await self._producer.send_batch(batch, topic, partition=partition))

    def redis(self, count: int) -> None:
        """Put garbage under keys of the desk, and ask a worker for what stands there; each question is answered."""
        with socket.create_connection(("127.0.0.1", self._redis.port), timeout=10) as server:
            for _ in range(count):
                name = f"opportune:{self._draw.choice(KEYS)}".encode()
                server.sendall(b"".join(_command(*words) for words in self._garbage(name)))
                server.recv(1 << 16)
                self._report.sent["redis"] += 1
                self._report.counted["redis"] += self._asked() < 500

    def _garbage(self, name: bytes) -> list[Sequence[bytes]]:
        panel = b'{"terminal":"hall-1","version":3,"changed_ms":1}'
        value = self._draw.choice([self._draw.randbytes(50), flipped(panel, self._draw), b"[" * 500, b""])
        kinds: list[Sequence[bytes]] = [
            (b"SET", name, value),
            (b"HSET", name, b"version", self._draw.choice([b"1", value]), b"changed", b"x", b"panel", value),
            (b"ZADD", name, b"5", value or b"x"),
            (b"RPUSH", name, value),
        ]
        return [(b"DEL", name), self._draw.choice(kinds)]

    def _asked(self) -> int:
        self._check_alive()
        worker = self._draw.choice(self._cluster.workers)
        terminal = self._draw.choice(TERMINALS)
        body = json.dumps({"terminal": terminal, "subscriber": 8613800000001, "visit": "v-1"}).encode()
        return fetch(
            f"http://127.0.0.1:{self._cluster.port(worker)}/desk/visits", body, {"Content-Type": "application/json"}
        )[0]

    # ---- counting

    def settle(self) -> None:
        """Wait until all that is read while workers run is counted; what differs in the end is told by the report."""
        sent = self._report.sent
        live = [topic for topic in TOPICS if sent[topic] and topic not in AT_A_START | {"dead"}]
        end_s = time.monotonic() + QUIET_S
        while time.monotonic() < end_s:
            self._check_alive()
            pages = self._pages(self._cluster.workers)
            self._report.counted["raw"] = sum(_sum(page, "feed") for page in pages)
            for topic in live:
                self._counted(topic, [_sum(page, f"opportune.{topic}") for page in pages], by_each=topic in BY_EACH)
            if all(self._report.counted[topic] >= sent[topic] for topic in ("raw", *live)):
                return
            time.sleep(0.2)

    def _counted(self, topic: str, refused: Sequence[int], *, by_each: bool) -> None:
        """Note how many records of a topic are accounted for: those refused, and those that were not to be."""
        wanted = self._refused[topic]
        found = next((one for one in refused if one != wanted), wanted) if by_each else sum(refused)
        self._report.counted[topic] = self._report.sent[topic] - wanted + found

    def _check_alive(self) -> None:
        for worker in self._cluster.workers:
            assert not worker.ended, f"{worker.name} ended: {worker.log[-4_000:]}"

    def _pages(self, workers: Sequence[Worker]) -> list[str]:
        return [self._cluster.page(worker, "/metrics").decode() for worker in workers]

    def start_again(self) -> None:
        """Kill both workers; start them again, one after the other, on all that stands in the topics by now."""
        for worker in self._cluster.workers:
            worker.kill()
        first, second = self._cluster.workers
        self._cluster.workers[:] = [first.start()]
        self._cluster.wait_until_owned(1, 300)
        for topic in AT_A_START:
            self._until_counted(topic, first)
        self._cluster.workers.append(second.start())
        self._cluster.wait_until_owned(2, 300)
        for topic in ("texts", "control"):
            self._until_counted(topic, second)

    def _until_counted(self, topic: str, worker: Worker) -> None:
        end_s = time.monotonic() + QUIET_S
        while time.monotonic() < end_s:
            self._counted(topic, [_sum(page, f"opportune.{topic}") for page in self._pages([worker])], by_each=False)
            if self._report.counted[topic] >= self._report.sent[topic]:
                return
            time.sleep(0.2)

    def list_letters(self) -> None:
        """Have the dead letters listed; the command says how many records it passed over."""
        done = self._cluster.command("dead", "list", "--cluster", "--counts")
        assert done.returncode == 0, done.stderr
        found = re.search(r"([\d,]+) records? of opportune\.dead", done.stderr)
        self._counted("dead", [int(found[1].replace(",", "")) if found else 0], by_each=False)

    def decides(self, subscriber: int, at_ms: int) -> None:
        """Send a good event; return when it is decided."""
        self._write("raw", 0, [KafkaRecord(None, call(subscriber, at_ms).strip())])
        end_s = time.monotonic() + QUIET_S
        while time.monotonic() < end_s:
            done = self._cluster.command("why", str(subscriber), "--cluster", "--format", "ndjson")
            assert done.returncode == 0, done.stderr
            if done.stdout:
                return
            time.sleep(0.3)
        raise AssertionError(f"{subscriber} was not decided in {QUIET_S} s")

    def memory(self) -> dict[str, int]:
        """Return the memory of the workers."""
        found = {}
        for worker in self._cluster.workers:
            assert worker.process is not None
            found[f"worker {worker.name}"] = memory_of(worker.process.pid)
        return found


def cluster_settings() -> dict[str, Any]:
    """Return the settings of a cluster that reads all of its topics while it runs."""
    patient = "standby_copies = 1\nsilent_s = 600"  # what is judged is what records do, not how slow a machine is
    return {
        "partitions": PARTITIONS,
        "cluster_settings": patient,
        "memory_subscribers": 100_000,
        "session_timeout_ms": 30_000,
    }


def _command(*words: bytes) -> bytes:
    """Return a command as Redis reads it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _sum(page: str, source: str) -> int:
    """Return how many events and dead letters of a source a page of metrics has."""
    pattern = rf'^opportune_(?:dead_letters|events)_total\{{(?:[^}}]*,)?source="{re.escape(source)}"\}} ([0-9.e+]+)$'
    return int(sum(float(one) for one in re.findall(pattern, page, re.MULTILINE)))
