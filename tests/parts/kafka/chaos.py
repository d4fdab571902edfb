"""Chaos on a real Kafka, Redis and message centre: they and the workers die, hang and come back; a judge counts.

    python -m tests.parts.kafka.chaos --minutes 10 [--seed 1] [--rate 3000]

One seed makes one plan: what happens, to whom, when, for how long; `plan` is a function of it and of nothing else. The
machine's own timing is not: where in the log a fault falls differs from run to run. Meanwhile events are offered at a
steady rate (`offered`), texts go to a message centre that we did not write, and clerks open visits and answer cards
(`clerks`). At the end everybody is let go on, and three judges count:

- decisions, read as any reader reads them, against one fold of the cluster's own log, as what gates stop follows from
  when texts ended; their candidates against the embedded engine over the same lines; and contacts against the caps:
  those that refunds may free, or that tickets and visits brought, against the caps and one record each (`judge`);
- texts: one end each, and what the log was told against what the centre says that it got (`judge_ends`);
- visits and cards: what was confirmed to clerks against the log (`judge_ends`).

Exit status 1 when anything is lost, doubled, sent twice or promised too often; the last line is the result as JSON.
"""

import argparse
import dataclasses
import json
import logging
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.book.compiled import compile_book
from engine.settings.config import StateConfig
from perf.lines import Feed, blocks
from perf.measure import workplace
from rules.load import load_book
from state.decisions import OutcomeState
from tests.parts.kafka import scene
from tests.parts.kafka.clerks import TERMINALS, Clerks
from tests.parts.kafka.finding import Batches, Findings, Wanted, find
from tests.parts.kafka.judge import judge_groups
from tests.parts.kafka.judge_ends import judge_counters, judge_texts
from tests.parts.kafka.log_fold import folded_at_once, frames_of
from tests.parts.kafka.offered import Load, Tickets
from tests.parts.kafka.workers import Cluster, Worker, cluster_on, decided_embedded
from tests.parts.redis_server import RedisServer
from tests.parts.smsc.centre import Centre

SESSION_MS = 3_000
SUBSCRIBERS = 4_000
NAMES = ("a", "b", "c")
AGENTS = ("--agents", "intake,decide,dispatch")
TICK_S = 0.1
PATIENCE_S = 60.0
"""With all events offered and everybody there: how long nothing may move until what is missing counts as lost."""
SILENT_S = 15
"""How long a worker may stand still before it ends; well below `PATIENCE_S`."""

WORKER_FAULTS = (("kill", 5), ("pause", 3), ("long pause", 2), ("restart", 3), ("lose disk", 1))
FAULTS = ("worker",) * 7 + ("broker",) * 2 + ("hang", "redis", "redis hang", "smsc", "smsc", "join or leave")
SERVERS = {"broker": "broker", "hang": "broker", "redis": "redis", "redis hang": "redis", "smsc": "smsc"}
LENGTHS_S = {"hang": (0.5, 4.0), "pause": (0.2, 2.5), "long pause": (SESSION_MS / 1_000 + 1, 9.0)}
AT_ONCE = 0.2
"""Share of faults that begin together with the one before."""


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
            what = rng.choices([kind for kind, _ in WORKER_FAULTS], [weight for _, weight in WORKER_FAULTS])[0]
        whom = SERVERS.get(what) or rng.choice(NAMES)
        if what == "join or leave":
            what, whom, guest = ("leave" if guest else "join"), "guest", not guest
        yield Fault(at_s, what, whom, rng.uniform(*LENGTHS_S.get(what, (0.2, 8.0))))
        at_s += 0.0 if rng.random() < AT_ONCE else rng.uniform(1.0, 6.0)


class World:
    """Workers and servers, and what is being done to them."""

    def __init__(self, cluster: Cluster, redis: RedisServer, centre: Centre) -> None:
        self.cluster, self.broker, self.redis, self.centre = cluster, cluster.broker, redis, centre
        self.done: Counter[str] = Counter()
        self._away: dict[str, float] = {}
        self._starting_s = 0.0
        """What servers took to start again: the plan waits for them, so that its faults come apart as it says."""

    def run(self, faults: Sequence[Fault], load: Load, clerks: Clerks) -> None:
        """Do what the plan says, then let everybody go on."""
        for name in NAMES:
            self.cluster.worker(name, *AGENTS)
        self.cluster.wait_until_owned(len(NAMES), 90)
        load.start()
        clerks.start()
        try:
            self._play(faults, load)
        finally:
            clerks.ending.set()
        while clerks.is_alive():
            self._look()
        for failure in (load.failure, clerks.failure):
            if failure is not None:
                raise failure

    def _play(self, faults: Sequence[Fault], load: Load) -> None:
        """Do one fault after another while events are offered; return when everybody goes on."""
        began = time.monotonic()
        for fault in faults:
            while load.is_alive() and time.monotonic() < began + self._starting_s + fault.at_s:
                self._look()
            if load.is_alive():
                self._do(fault)
        while load.is_alive() or self._away:
            self._look()

    @property
    def in_doubt_max(self) -> int:
        """Texts that may be in doubt: what each dispatcher leaves that stops, or whose centre or broker goes."""
        everywhere, done = len(NAMES) + 1, self.done
        stops = sum(done[what] for what, _ in WORKER_FAULTS) + done["leave"] + done["started again"]
        return scene.IN_DOUBT_MAX * (stops + everywhere * (done["smsc"] + done["broker"] + done["hang"]))

    @property
    def forgotten_max(self) -> int:
        """Cards that Redis may have forgotten with the workers that knew them: one a counter and death of Redis."""
        return TERMINALS * (self.done["redis"] + self.done["redis hang"])

    def _do(self, fault: Fault) -> None:
        """Begin a fault; one whose victim is away already is left out."""
        if fault.whom in self._away:
            return
        self.done[fault.what] += 1
        self.done["while another was away"] += bool(self._away)
        match fault.what:
            case "broker":
                self.broker.kill()
            case "hang":
                self.broker.pause()
            case "redis":
                self.redis.kill()
            case "redis hang":
                self.redis.pause()
            case "smsc":
                self.centre.stop()
            case "join":
                self.cluster.worker(fault.whom, *AGENTS)
                return
            case "leave":
                leaving = self._worker(fault.whom)
                self.cluster.workers.remove(leaving)
                leaving.signal(signal.SIGTERM)
                return
            case "pause" | "long pause":
                self._worker(fault.whom).signal(signal.SIGSTOP)
            case "restart":
                self._worker(fault.whom).signal(signal.SIGTERM)
            case "kill":
                self._worker(fault.whom).kill()
            case "lose disk":
                self._worker(fault.whom).kill()
                shutil.rmtree(self.cluster.folder / fault.whom)
        self._away[fault.whom] = time.monotonic() + fault.for_s

    def _look(self) -> None:
        """Let those go on whose time has come; start again what has ended, as a supervisor does; rest a little."""
        for name in [name for name, back_s in self._away.items() if back_s <= time.monotonic()]:
            began = time.monotonic()
            self._let_go_on(name)
            self._starting_s += time.monotonic() - began
            del self._away[name]
        for one in self.cluster.workers:
            if one.name not in self._away and one.ended:
                self.done["started again"] += 1
                one.start()
        time.sleep(TICK_S / 2)

    def _let_go_on(self, name: str) -> None:
        if name == "smsc":
            self.centre.start()
        elif name not in SERVERS.values():
            self._worker(name).signal(signal.SIGCONT)
        else:
            server = self.broker if name == "broker" else self.redis
            if server.running:
                server.go_on()
            else:
                server.start()

    def _worker(self, name: str) -> Worker:
        return next(one for one in self.cluster.workers if one.name == name)


def chaos(folder: Path, seed: int, seconds: float, rate: float) -> dict[str, Any]:
    """Run one plan; return what was done and the verdict."""
    lines = b"".join(bytes(block) for block in blocks(Feed(SUBSCRIBERS, seed=seed), int(seconds * rate))).splitlines()
    expected = decided_embedded(folder / "embedded", scene.BOOK, lines)
    centre = Centre("CloudhopperCentre", 1_000_000, scene.WINDOW, 300, 1)
    centre.start()
    try:
        with RedisServer(folder) as redis:
            settings = {
                "session_timeout_ms": SESSION_MS,
                "cluster_settings": f"standby_copies = 1\nsilent_s = {SILENT_S}",
                "more": scene.settings(folder / "cluster", centre.port, redis.url),
            }
            with cluster_on(folder, scene.BOOK, **settings) as cluster:
                world = World(cluster, redis, centre)
                load = Load(cluster.broker.bootstrap, lines, rate, Tickets(seed, seconds))
                clerks = Clerks(cluster.addresses, seed)
                world.run(list(plan(seed, seconds)), load, clerks)
                found = find(cluster, centre, Wanted(expected, load.offered_tickets, clerks.confirmed), PATIENCE_S)
                book = compile_book(load_book(cluster.folder / "book"))
                books = {book.book.version: book}
                folded = folded_at_once(
                    frames_of(cluster.broker.bootstrap, books), books, contacts_max=StateConfig().contacts_max
                )
    finally:
        centre.stop()
    return {"seed": seed, "seconds": seconds, "events": len(lines), **_result(world, load, clerks, found, folded)}


def _result(world: World, load: Load, clerks: Clerks, found: Findings, folded: Batches) -> dict[str, Any]:
    """Let the judges speak."""
    logs = [log.read_text(encoding="utf-8") for log in world.cluster.folder.glob("*.log")]
    terms = scene.terms(world.in_doubt_max)
    refunded = {one for one, states in found.told.outcomes.items() if OutcomeState.REFUNDED in states}
    decisions = judge_groups(
        found.batches, folded, found.expected, scene.rules().groups, load.offered_tickets, refunded
    )
    texts = judge_texts(found.texts, found.cards, found.told.outcomes, found.arrivals, found.receipts, terms)
    counters = judge_counters(clerks.stories, found.cards, found.visits, found.told, world.forgotten_max)
    return {
        "faults": dict(sorted(world.done.items())),
        "restored": sum(log.count(": Restored(") for log in logs),
        "sent_from": sum(log.count(" is sent from ") for log in logs),
        "dropped_by_reader": found.dropped,
        "clerks_refused": clerks.refused,
        "links_lost": clerks.links_lost,
        "wrong": [wrong for story in clerks.stories for wrong in story.wrong][:10],
        "clean": decisions.clean and texts.clean and counters.clean and not found.told.astray,
        "refunded": len(refunded),
        **dataclasses.asdict(decisions.feed),
        "others": {key: value for key, value in dataclasses.asdict(decisions).items() if key != "feed"},
        "texts": dataclasses.asdict(texts),
        "counters": dataclasses.asdict(counters),
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
