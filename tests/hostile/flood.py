"""Hostile records by a seed, over every door of an engine and every topic of a cluster: it lives, and counts each once.

    .venv/bin/python -m tests.hostile.flood --records 10000000 --seed 1

    files, tcp, http     lines: each is an event or a dead letter
    lists, control       requests: each is answered 400, or 200 where it happens to be right
    topics               records in memory, through the reader that workers have: each is taken or buried

The records are drawn in batches from the seed, so a run of a given seed and size is the same everywhere.
"""

import argparse
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

import orjson

from engine.runtimes.cluster.dispatch.exchange import parse_heard
from engine.runtimes.cluster.dispatch.outbox import check_array
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from state.formats import NewerFormatError
from tests.engine.engines import Engine, Nursery
from tests.engine.world import BASE_MS, BOOK, call, config
from tests.hostile.records import OUTBOX, PARSED, RECEIPTS, KafkaRecord
from tests.parts.ports import free_port

BATCH = 1_000
SHARES = {"http": 0.2, "tcp": 0.2, "files": 0.15, "topics": 0.45}
REQUESTS_MAX = 20_000
"""Of requests to /control and /lists, which cost a round trip each."""
GROWTH_BYTES_MAX = 200 << 20
QUIET_S = 600.0
FIRST = 8613800000000


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


# ---- what is drawn


def line(draw: random.Random) -> bytes:
    """Return a line, not blank, without a line end."""
    good = call(FIRST + draw.randrange(1_000), BASE_MS + draw.randrange(1_000_000)).rstrip()
    return DAMAGES[draw.randrange(len(DAMAGES))](good, draw).replace(b"\n", b" ").strip() or b"x"


def _flipped(good: bytes, draw: random.Random) -> bytes:
    data = bytearray(good)
    for _ in range(draw.randint(1, 8)):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def _spliced(good: bytes, draw: random.Random) -> bytes:
    """Put a value that is none somewhere after a colon."""
    places = [index for index, byte in enumerate(good) if byte == 58]
    at = draw.choice(places) + 1
    return good[:at] + draw.choice(VALUES) + good[at:]


VALUES = (
    b"null,", b"9" * 400 + b",", b"-0,", b"1e999,", b"NaN,", b'"\\ud800",', b'"\\u0000\\u001b[2J",', b"[" * 300,
    b'{"a":' * 50, b"true,", b'"\xff\xfe",', b'"\xe2\x80\xae",', b"'", b'"', b"\x00", b"\xef\xbb\xbf",
)  # fmt: skip
DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lambda good, _: good,
    _flipped,
    _spliced,
    lambda good, draw: good[: draw.randrange(1, len(good))],
    lambda good, draw: draw.randbytes(draw.randint(1, 200)),
    lambda good, draw: good[:-1] + b"," + good[1:],
    lambda good, draw: good * draw.randint(2, 4),
)


def request(draw: random.Random) -> tuple[str, bytes]:
    """Return a path and a body that asks for something that there is not."""
    path = draw.choice(("/control", "/lists"))
    good: dict[str, Any] = {"action": "pause", "kind": "rule", "name": "none"}
    if path == "/lists":
        good = {"list": "none", "member": True, "subscribers": [FIRST]}
    good[draw.choice(list(good))] = draw.choice([None, -1, 1 << 70, "\x1b[2J\n", [], {}, "x" * 500, True, 1.5])
    body = (
        orjson.dumps(good, default=str) if all(type(one) is not int or one < 1 << 63 for one in good.values()) else b"{"
    )
    return path, body if draw.random() < 0.7 else _flipped(body, draw)


def topic_record(draw: random.Random) -> tuple[str, KafkaRecord, Callable[[Any], object]]:
    """Return a topic, a record that stands in it, and what reads it."""
    topic = draw.choice(TOPICS)
    records, parse = READ[topic]
    record = records[draw.randrange(len(records))]
    key, value = record.key, record.value
    if value and draw.random() < 0.5:
        value = _flipped(value[:2_000], draw)
    if key and draw.random() < 0.2:
        key = _flipped(key, draw)
    if draw.random() < 0.1:
        value = draw.randbytes(draw.randint(0, 300))
    return topic, KafkaRecord(key, value), parse


def _check_array(record: KafkaRecord) -> None:
    check_array(record.value)


READ: dict[str, tuple[list[KafkaRecord], Any]] = {
    **{topic: (list(records.values()), parse) for topic, (records, parse) in PARSED.items()},
    "receipts": (list(RECEIPTS.values()), parse_heard),
    "outbox": ([KafkaRecord(None, value) for value in OUTBOX.values()], _check_array),
}
TOPICS = sorted(READ)


# ---- where it goes


class Flood:
    """One run against an engine that listens on `tcp_port`."""

    def __init__(self, engine: Engine, tcp_port: int, seed: int) -> None:
        self._engine = engine
        self._draw = random.Random(seed)
        self._tcp = socket.create_connection(("127.0.0.1", tcp_port))
        self._files = 0
        self._guard = RecordGuard()
        self.report = Report()

    def run(self, records: int) -> Report:
        """Send so many records; return what became of them."""
        began = time.monotonic()
        self._lines("http", BATCH)
        self._settle()
        self.report.start_bytes = memory_of(self._engine)
        requests = min(REQUESTS_MAX, records // 100)
        for door, count in self._batches(records - BATCH - requests):
            getattr(self, f"_{door}")(count) if door == "topics" else self._lines(door, count)
        self._requests(requests)
        self._settle()
        self._tcp.close()
        self.report.end_bytes = memory_of(self._engine)
        self.report.seconds = time.monotonic() - began
        return self.report

    def _batches(self, records: int) -> Iterator[tuple[str, int]]:
        while records:
            count = min(BATCH, records)
            yield self._draw.choices(list(SHARES), list(SHARES.values()))[0], count
            records -= count

    def _lines(self, door: str, count: int) -> None:
        body = b"".join(line(self._draw) + b"\n" for _ in range(count))
        if door == "http":
            while (status := self._engine.post("/events", body)[0]) == 429:
                time.sleep(0.05)
            assert status == 202, status
        elif door == "tcp":
            self._tcp.sendall(body)
        else:
            self._files += 1
            self._engine.put(f"{self._files:06}.ndjson", body)
        self.report.sent["lines"] += count

    def _requests(self, count: int) -> None:
        for _ in range(count):
            path, body = request(self._draw)
            status = self._engine.post(path, body, **{"Content-Type": "application/json"})[0]
            self.report.sent["requests"] += 1
            self.report.counted["requests"] += status in {200, 400}

    def _topics(self, count: int) -> None:
        for _ in range(count):
            topic, record, parse = topic_record(self._draw)
            before = self._guard.counts.total()
            try:
                taken = self._guard.read(Place(topic, 0), record, parse) is not None
            except NewerFormatError:
                taken = True  # it is said, not counted: a newer release writes there
            self.report.sent[topic] += 1
            buried = self._guard.counts.total() - before
            self.report.counted[topic] += buried == 1 or (buried == 0 and (taken or _may_be_nothing(topic)))

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


def _may_be_nothing(topic: str) -> bool:
    """Tell whether a record that is passed over in silence may stand there: a key of a release to come, an array."""
    return topic in {"control", "outbox"}


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
