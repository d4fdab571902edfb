"""Hostile records by a seed, over every door of a live engine and every topic of two live workers.

All live, each record is counted once, no process grows by more than 200 MB.

    .venv/bin/python -m tests.hostile.flood --records 10000000 --seed 1

    files, tcp, http     lines to the engine: each is an event or a dead letter (`tests.hostile.engine_doors`)
    requests             to control, lists, outcomes, letters, visits, cards, sessions: each is answered, none with 5xx
    topics               the nine of a cluster, and the Redis of its desk (`tests.hostile.cluster_doors`)

In the end the workers are killed and started again on all of it, and decide a good event.

A million records cost about three minutes of processor.

The records are drawn in batches from the seed, so a run of a given seed and size sends the same everywhere.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.engine.engines import Engine, Nursery
from tests.engine.world import BASE_MS, BOOK, config
from tests.hostile.cluster_doors import MORE, ClusterDoors, cluster_settings
from tests.hostile.drawn import Lines
from tests.hostile.engine_doors import DOORS, EngineDoors
from tests.hostile.report import Report
from tests.parts.kafka.workers import cluster_on
from tests.parts.ports import free_port
from tests.parts.redis_server import RedisServer

BATCH = 2_000
SHARES = {
    "http": 0.2, "tcp": 0.2, "files": 0.15, "raw": 0.15, "log": 0.05, "decisions": 0.05, "control": 0.05,
    "receipts": 0.05, "pages": 0.04, "dead": 0.04, "outbox": 0.01, "texts": 0.01,
}  # fmt: skip
REQUESTS_MAX = 20_000
"""Of requests, which cost a round trip each; and half as many keys of Redis."""


class Flood:
    """One run against an engine and a cluster."""

    def __init__(self, engine: EngineDoors, cluster: ClusterDoors, draw: random.Random, report: Report) -> None:
        self._engine, self._cluster = engine, cluster
        self._draw, self._report = draw, report
        self._began_s = time.monotonic()

    def run(self, records: int) -> None:
        """Send so many records; the report says what became of them."""
        requests = min(REQUESTS_MAX, records // 200)
        for door in SHARES:
            self._send(door, BATCH // len(SHARES))
        self._cluster.named()
        self._settle()
        self._report.start_bytes = self._memory()
        self._step("begun")
        for door, count in self._batches(records - self._report.records - requests - requests // 2):
            self._send(door, count)
        self._engine.requests(requests)
        self._cluster.redis(requests // 2)
        self._step("sent")
        self._settle()
        self._step("counted")
        self._report.end_bytes = self._memory()
        self._cluster.start_again()
        self._cluster.decides(8613800000001, BASE_MS)
        self._step("started again")
        self._cluster.list_letters()
        self._step("listed")

    def _step(self, word: str) -> None:
        self._report.steps_s[word] = time.monotonic() - self._began_s

    def _batches(self, records: int) -> Iterator[tuple[str, int]]:
        while records:
            count = min(BATCH, records)
            yield self._draw.choices(list(SHARES), list(SHARES.values()))[0], count
            records -= count

    def _send(self, door: str, count: int) -> None:
        if door in DOORS:
            self._engine.send(door, count)
        elif door == "raw":
            self._cluster.raw(count)
        else:
            self._cluster.ours(door, count)

    def _settle(self) -> None:
        self._engine.settle()
        self._cluster.settle()

    def _memory(self) -> dict[str, int]:
        return self._engine.memory() | self._cluster.memory()


def flood(nursery: Nursery, folder: Path, records: int, seed: int) -> Report:
    """Flood an engine and a cluster; AssertionError when one does not live, loses or doubles a record, or grows."""
    port, report, draw = free_port(), Report(), random.Random(seed)
    lines = Lines(draw)
    engine = Engine(nursery, folder / "engine", BOOK, config("wall", f'[[sources.tcp]]\nname = "tcp"\nport = {port}\n'))
    with ExitStack() as closing:
        redis = closing.enter_context(RedisServer(folder))
        more = MORE.format(url=redis.url)
        settings = cluster_settings()
        cluster = closing.enter_context(cluster_on(folder / "cluster", {"book.toml": BOOK}, more=more, **settings))
        doors = closing.enter_context(ClusterDoors(cluster, redis, draw, lines, report))
        engine.start()
        closing.callback(engine.kill)
        engine_doors = EngineDoors(engine, port, draw, lines, report)
        closing.callback(engine_doors.close)
        Flood(engine_doors, doors, draw, report).run(records)
        assert report.records == records
        report.check()
        assert engine.process is not None
        assert engine.process.exit is None, engine.process.err[-2_000:]
        assert engine.stop() == 0
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
