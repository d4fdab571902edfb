"""Hostile records by a seed, over every door of an engine and every topic of a cluster: it lives, and counts each once.

    .venv/bin/python -m tests.hostile.flood --records 10000000 --seed 1

    files, tcp, http     lines: each is an event or a dead letter
    requests             to control, lists, outcomes, letters, visits, cards, sessions: each is answered, none with 5xx
    topics               the nine of a cluster, records in memory, through the readers that workers have: each is taken
                         or buried (`tests.hostile.test_topics` has two workers on a real Kafka)

The records are drawn in batches from the seed, so a run of a given seed and size is the same everywhere.
"""

import argparse
import http.client
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from connectors.sources.decoder import DAY_MS, Decoder
from connectors.sources.kafka.client import records_of
from connectors.sources.kafka.config import RawConfig
from engine.runtimes.cluster.dispatch.exchange import parse_heard
from engine.runtimes.cluster.dispatch.outbox import check_array
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from rules.load import load_text
from state.formats import NewerFormatError
from tests.connectors.kafka.record_batches import laid_values
from tests.engine.engines import Engine, Nursery
from tests.engine.world import BASE_MS, BOOK, config
from tests.hostile.drawn import TOPICS, Lines, request, topic_record
from tests.hostile.records import PARSED
from tests.parts.ports import free_port

BATCH = 2_000
SHARES = {"http": 0.2, "tcp": 0.2, "files": 0.15, "topics": 0.4, "raw": 0.05}
REQUESTS_MAX = 20_000
"""Of requests, which cost a round trip each."""
GROWTH_BYTES_MAX = 200 << 20
QUIET_S = 900.0


@dataclass
class Report:
    """What was sent, and what the engine made of it."""

    sent: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    start_bytes: int = 0
    end_bytes: int = 0
    seconds: float = 0.0

    @property
    def records(self) -> int:
        """How many were sent."""
        return self.sent.total()

    def __str__(self) -> str:
        """Return the figures as a line a door."""
        lines = [f"{door:<10}{count:>12,} sent{self.counted[door]:>12,} counted" for door, count in self.sent.items()]
        memory = f"memory {self.start_bytes / 1e6:.0f} MB at the start, {self.end_bytes / 1e6:.0f} MB at the end"
        return "\n".join([*lines, f"{self.records:,} records in {self.seconds:.1f} s; {memory}"])


def _array(record: Any) -> None:
    check_array(record.value)


READERS: dict[str, Callable[[Any], object]] = {
    **{topic: parse for topic, (_, parse) in PARSED.items()},
    "receipts": parse_heard,
    "outbox": _array,
}


class Topics:
    """The topics of a cluster, as its workers read them, in this process."""

    def __init__(self, draw: random.Random, lines: Lines, report: Report) -> None:
        self._draw, self._lines, self._report = draw, lines, report
        self._guard = RecordGuard()
        self._source = RawConfig(name="raw", topic="raw")
        self._decoder = Decoder(self._source.mapping, load_text({"book.toml": BOOK}).schema)
        self._offset = 0

    def ours(self, count: int) -> None:
        """Read records of a topic of ours."""
        topic = self._draw.choice(TOPICS)
        place, parse, guard, found = Place(topic, 0), READERS[topic], self._guard, 0
        silent = topic in {"control", "outbox", "pages"}  # where a record may say nothing, and is passed over
        for _ in range(count):
            before = guard.counts[topic]
            record = topic_record(topic, self._draw)
            try:
                taken = guard.read(place, record, parse) is not None
            except NewerFormatError:
                taken = True  # it is said, not counted: a newer release writes there
            buried = guard.counts[topic] - before
            found += buried == 1 or (buried == 0 and (taken or silent))
        self._report.sent[topic] += count
        self._report.counted[topic] += found

    def raw(self, count: int) -> None:
        """Read records of a raw topic."""
        laid = laid_values(self._lines.some(count), self._offset)
        self._offset += count
        decoded = self._decoder.decode(records_of(self._source, 0, laid, 0).chunk, BASE_MS + DAY_MS)
        self._report.sent["raw"] += count
        self._report.counted["raw"] += decoded.batch.n + len(decoded.dead)


class Flood:
    """One run against an engine that listens on `tcp_port`."""

    def __init__(self, engine: Engine, tcp_port: int, seed: int) -> None:
        self._engine = engine
        self._draw = random.Random(seed)
        self._lines = Lines(self._draw)
        self._tcp = socket.create_connection(("127.0.0.1", tcp_port))
        self._front = http.client.HTTPConnection(str(urlsplit(engine.url).netloc), timeout=60)
        self._files = 0
        self.report = Report()
        self._topics = Topics(self._draw, self._lines, self.report)

    def run(self, records: int) -> Report:
        """Send so many records; return what became of them."""
        began = time.monotonic()
        self._send("http", BATCH)
        self._settle()
        self.report.start_bytes = memory_of(self._engine)
        requests = min(REQUESTS_MAX, records // 100)
        for door, count in self._batches(records - BATCH - requests):
            if door == "topics":
                self._topics.ours(count)
            elif door == "raw":
                self._topics.raw(count)
            else:
                self._send(door, count)
        self._requests(requests)
        self._settle()
        self._tcp.close()
        self._front.close()
        self.report.end_bytes = memory_of(self._engine)
        self.report.seconds = time.monotonic() - began
        return self.report

    def _batches(self, records: int) -> Iterator[tuple[str, int]]:
        while records:
            count = min(BATCH, records)
            yield self._draw.choices(list(SHARES), list(SHARES.values()))[0], count
            records -= count

    def _send(self, door: str, count: int) -> None:
        body = self._lines.body(count)
        if door == "http":
            while (status := self._post("/events", body)) == 429:
                time.sleep(0.05)
            assert status == 202, status
        elif door == "tcp":
            self._tcp.sendall(body)
        else:
            self._files += 1
            self._engine.put(f"{self._files:06}.ndjson", body)
        self.report.sent["lines"] += count

    def _post(self, path: str, body: bytes) -> int:
        self._front.request("POST", path, body, {"Content-Type": "application/json"})
        answer = self._front.getresponse()
        answer.read()
        return answer.status

    def _requests(self, count: int) -> None:
        for _ in range(count):
            status = self._post(*request(self._draw))
            self.report.sent["requests"] += 1
            self.report.counted["requests"] += 200 <= status < 500

    def _settle(self) -> None:
        """Wait until every line is counted; after `QUIET_S` the difference is told by the report."""
        wanted, end_s = self.report.sent["lines"], time.monotonic() + QUIET_S
        while time.monotonic() < end_s:
            status = self._engine.status()
            counted = status["events"] + status["dead_letters"]
            self.report.counted["lines"] = counted
            if counted >= wanted:
                return
            time.sleep(0.1)


def memory_of(engine: Engine) -> int:
    """Return the bytes of memory that the engine's process has."""
    assert engine.process is not None
    text = Path(f"/proc/{engine.process.pid}/status").read_text(encoding="ascii")
    return int(next(row for row in text.splitlines() if row.startswith("VmRSS")).split()[1]) << 10


def flood(nursery: Nursery, folder: Path, records: int, seed: int) -> Report:
    """Flood a new engine; AssertionError when it does not live, lose or double a record, or grow."""
    port = free_port()
    more = f'[[sources.tcp]]\nname = "tcp"\nport = {port}\n'
    engine = Engine(nursery, folder, BOOK, config("wall", more))
    engine.start()
    try:
        report = Flood(engine, port, seed).run(records)
        assert engine.process is not None
        assert engine.process.exit is None, engine.process.err[-2_000:]
        assert report.counted == report.sent, str(report)
        assert report.records == records
        assert report.end_bytes - report.start_bytes <= GROWTH_BYTES_MAX, str(report)
        assert engine.stop() == 0
    finally:
        if engine.process is not None and engine.process.exit is None:
            engine.kill()
    return report


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    nursery = Nursery()
    try:
        with tempfile.TemporaryDirectory() as folder:
            print(flood(nursery, Path(folder), args.records, args.seed))
    finally:
        nursery.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
