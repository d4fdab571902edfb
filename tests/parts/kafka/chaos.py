"""Chaos on a real Kafka and a real Redis: workers and servers die, hang and come back under load; a judge counts.

    python -m tests.parts.kafka.chaos --minutes 10 [--seed 1] [--rate 3000]

One seed makes one plan: what happens, to whom, when, for how long; `plan` is a function of it and of nothing else. The
machine's own timing is not: where in the log a fault falls differs from run to run. Events are offered at a steady rate
meanwhile. At the end everybody is let go on, and the decisions, read as any reader reads them, are held against those
of the embedded engine over the same lines, and against the caps. Exit status 1 when anything is lost, doubled or
promised too often; the last line is the result as JSON.
"""

import argparse
import asyncio
import dataclasses
import json
import logging
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from perf import books
from perf.lines import Feed, blocks
from perf.measure import workplace
from tests.parts.kafka.judge import SMALL_BOOK, Verdict, judge
from tests.parts.kafka.rig import partition_of_line
from tests.parts.kafka.workers import RAW_PARTITIONS, Cluster, Worker, cluster_on, decided_embedded, rows
from tests.parts.redis_server import RedisServer

SESSION_MS = 3_000
SUBSCRIBERS = 4_000
NAMES = ("a", "b", "c")
TICK_S = 0.1
PATIENCE_S = 180.0
"""With all events offered and everybody there: how long decisions may take until what is missing counts as lost."""

WORKER_FAULTS = (("kill", 5), ("pause", 4), ("restart", 3), ("lose disk", 1))
FAULTS = ("worker",) * 6 + ("broker",) * 2 + ("hang", "redis", "join or leave")
SERVERS = {"broker": "broker", "hang": "broker", "redis": "redis"}
DESK = """
[desk]
queue = "redis"
[desk.redis]
url = "{url}"
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """At `at_s`, `what` happens to `whom`, for `for_s`."""

    at_s: float
    what: str
    whom: str
    for_s: float


def plan(seed: int, seconds: float) -> Iterator[Fault]:
    """Yield the faults of a run; each kind comes once before chance takes over."""
    rng = random.Random(seed)
    first = [*(what for what, _ in WORKER_FAULTS), *SERVERS, "join or leave", "join or leave"]
    rng.shuffle(first)
    at_s, guest = 2.0, False
    while at_s < seconds - 5:
        what = first.pop() if first else rng.choice(FAULTS)
        if what == "worker":
            what = rng.choices(*zip(*WORKER_FAULTS, strict=True))[0]
        whom = SERVERS.get(what) or rng.choice(NAMES)
        if what == "join or leave":
            what, whom, guest = ("leave" if guest else "join"), "guest", not guest
        yield Fault(at_s, what, whom, rng.uniform(0.2, 8.0) if what != "hang" else rng.uniform(0.5, 4.0))
        at_s += rng.uniform(1.0, 6.0)


class Load(threading.Thread):
    """Offers lines at a steady rate, each once: an idempotent producer, patient enough for the broker's absences."""

    def __init__(self, address: str, lines: Sequence[bytes], rate: float) -> None:
        super().__init__(name="load")
        self._address, self._lines, self._rate = address, lines, rate
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._offer())
        except BaseException as fault:
            self.failure = fault
            raise

    async def _offer(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._address, acks="all", enable_idempotence=True, request_timeout_ms=120_000
        )
        await producer.start()
        began, offered, last = time.monotonic(), 0, None
        try:
            while offered < len(self._lines):
                await asyncio.sleep(TICK_S)
                due = min(len(self._lines), int((time.monotonic() - began) * self._rate))
                for line in self._lines[offered:due]:
                    last = await producer.send("raw", line, partition=partition_of_line(line, RAW_PARTITIONS))
                offered = due
            await producer.flush()
            assert last is not None
            await last
        finally:
            await producer.stop()


class World:
    """Broker, workers, Redis and what is being done to them."""

    def __init__(self, cluster: Cluster, redis: RedisServer) -> None:
        self.cluster, self.broker, self.redis = cluster, cluster.broker, redis
        self.done: Counter[str] = Counter()
        self._away: dict[str, float] = {}

    def run(self, faults: Sequence[Fault], load: Load) -> None:
        """Do what the plan says, then let everybody go on."""
        for name in NAMES:
            self.cluster.worker(name)
        self.cluster.wait_until_owned(len(NAMES), 90)
        load.start()
        began = time.monotonic()
        for fault in faults:
            while time.monotonic() < began + fault.at_s:
                self._bring_back()
                time.sleep(TICK_S / 2)
            self._do(fault)
        while load.is_alive() or self._away:
            self._bring_back()
            time.sleep(TICK_S / 2)
        load.join()
        assert load.failure is None, load.failure

    def _do(self, fault: Fault) -> None:
        """Begin a fault; one whose victim is away already is left out."""
        if fault.whom in self._away:
            return
        self.done[fault.what] += 1
        match fault.what:
            case "broker":
                self.broker.kill()
            case "hang":
                self.broker.pause()
            case "redis":
                self.redis.kill()
            case "join":
                self.cluster.worker(fault.whom)
                return
            case "leave":
                leaving = self._worker(fault.whom)
                self.cluster.workers.remove(leaving)
                leaving.signal(signal.SIGTERM)
                return
            case "pause":
                self._worker(fault.whom).signal(signal.SIGSTOP)
            case "restart":
                self._worker(fault.whom).signal(signal.SIGTERM)
            case "kill":
                self._worker(fault.whom).kill()
            case "lose disk":
                self._worker(fault.whom).kill()
                shutil.rmtree(self.cluster.folder / fault.whom)
        self._away[fault.whom] = time.monotonic() + fault.for_s

    def _bring_back(self) -> None:
        """Let those go on whose time has come; start again what has ended, as a supervisor does."""
        for name in [name for name, back_s in self._away.items() if back_s <= time.monotonic()]:
            if name == "redis":
                self.redis.start()
            elif name != "broker":
                self._worker(name).signal(signal.SIGCONT)
            elif self.broker.running:
                self.broker.go_on()
            else:
                self.broker.start()
            del self._away[name]
        for one in self.cluster.workers:
            if one.name not in self._away and one.ended:
                self.done["started again"] += 1
                one.start()

    def _worker(self, name: str) -> Worker:
        return next(one for one in self.cluster.workers if one.name == name)


def chaos(folder: Path, seed: int, seconds: float, rate: float) -> dict[str, Any]:
    """Run one plan; return what was done and the verdict."""
    lines = b"".join(bytes(block) for block in blocks(Feed(SUBSCRIBERS, seed=seed), int(seconds * rate))).splitlines()
    expected = decided_embedded(folder / "embedded", books.small(), lines)
    settings = {"session_timeout_ms": SESSION_MS, "cluster_settings": "standby_copies = 1"}
    with RedisServer(folder) as redis:
        more = DESK.format(url=redis.url)
        with cluster_on(folder, books.small(), **settings, more=more) as cluster:
            world = World(cluster, redis)
            world.run(list(plan(seed, seconds)), Load(cluster.broker.bootstrap, lines, rate))
            reader = cluster.read_until(lambda one: rows(one.batches) >= rows(expected), PATIENCE_S)
    logs = [log.read_text(encoding="utf-8") for log in cluster.folder.glob("*.log")]
    verdict: Verdict = judge(reader.batches, expected, SMALL_BOOK)
    return {
        "seed": seed,
        "seconds": seconds,
        "events": len(lines),
        "faults": dict(sorted(world.done.items())),
        "restored": sum(log.count(": Restored(") for log in logs),
        "dropped_by_reader": reader.dropped,
        "clean": verdict.clean,
        **dataclasses.asdict(verdict),
    }


def main() -> int:
    """Run for as long as asked, say what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long events are offered")
    parser.add_argument("--seed", type=int, default=1, help="which plan, and which events")
    parser.add_argument("--rate", type=float, default=3_000.0, help="events a second")
    parser.add_argument("--logs", type=Path, help="folder to which logs are copied at the end")
    given = parser.parse_args()
    if given.logs is not None:
        given.logs.mkdir(parents=True, exist_ok=True)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the reader's and the load's complaints are expected
    with workplace() as folder:
        try:
            result = chaos(folder, given.seed, given.minutes * 60, given.rate)
        finally:
            for log in [*folder.glob("cluster/*.log"), *folder.glob("kafka/*.log")] if given.logs is not None else ():
                shutil.copy(log, given.logs)
    print(json.dumps(result))
    return 0 if result["clean"] else 1


if __name__ == "__main__":
    sys.exit(main())
