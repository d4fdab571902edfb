"""One seed, one cluster: workers that come, go, die and freeze over brokers that answer late or not at all.

What may happen to a cluster is in `steps`; here is the course of a world, from its draw to its rest.
"""

import asyncio
import random
from typing import Any
from zlib import crc32

from engine.runtimes.cluster.shared.topics import Names, topics_of
from tests.simulation.books import Choices, book_of
from tests.simulation.cluster.broker import Broker
from tests.simulation.cluster.judges import ClusterJudges
from tests.simulation.cluster.loop import VirtualLoop
from tests.simulation.cluster.net import Net
from tests.simulation.cluster.network import Network
from tests.simulation.cluster.node import EXPECTED, Node
from tests.simulation.cluster.steps import ClusterSteps
from tests.simulation.cluster.surroundings import CAPACITY, RAW, compile_once, config_of, surroundings
from tests.simulation.judges import BrokenError
from tests.simulation.life import Size
from tests.simulation.traffic import Traffic

STEPS = 40
REST_S = 40.0

_WEIGHTS = {
    "produce": 26, "kill": 5, "arm": 6, "ambush": 5, "freeze": 4, "start": 10, "stop": 3, "flap": 3, "activate": 1,
    "switch": 1, "away": 2, "compact": 2, "wait": 10,
}  # fmt: skip


def draw_size(chance: random.Random, *, sleepy: bool) -> Size:
    """Draw how a cluster is set; in a sleepy one most subscribers are asleep."""
    return Size(
        partitions=1 if sleepy else chance.choice((1, 2, 2, 3)),
        capacity=CAPACITY,
        batch_rows_max=8 if sleepy else 64,
        lateness_ms=chance.choice((0, 0, 1_000)),
        memory_subscribers=8 if sleepy else 400,
    )


def draw_faults(net: Net) -> None:
    """Draw how slow and how lossy the way to the brokers is."""
    net.slow = net.chance.choice((0.02, 0.05, 0.15))
    net.full = net.chance.choice((0.01, 0.1, 0.4))
    net.loss = net.chance.choice((0.0, 0.0, 0.002, 0.01))


def check_tasks(nodes: list[Node]) -> None:
    """Raise where work of a worker ended in a fault that nobody expects."""
    for task in [task for node in nodes for life in node.lives for task in life.tasks]:
        fault = task.exception() if task.done() and not task.cancelled() else None
        if isinstance(fault, Exception) and not isinstance(fault, EXPECTED):
            raise fault


class ClusterWorld(ClusterSteps):
    """The history of one seed."""

    def __init__(self, seed: int, steps: int = STEPS) -> None:
        self.seed = seed
        self.chance = chance = random.Random(seed)
        self.steps = steps
        self.step = 0
        self.trace: list[str] = []
        sleepy = chance.random() < 0.3
        self.size = draw_size(chance, sleepy=sleepy)
        self.loop = VirtualLoop(chance)
        self.config = config_of(self.size, chance.choice((0, 0, 1)), chance.choice((2, 6, 20, 1000)))
        topics = {topic.name: topic.partitions for topic in topics_of(self.config) if topic.name != RAW}
        self.broker = Broker(topics | {RAW: chance.choice((1, 2, 3))})
        self.net = Net(self.loop, self.broker, self.now_ms)
        draw_faults(self.net)
        self.net.cut = self._cut
        self.network = self._make_network()
        subscribers = [8613800000000 + number for number in chance.sample(range(1, 9999), 60)]
        self.traffic = Traffic(
            chance, subscribers, chance.sample(subscribers, 30 if sleepy else chance.choice((6, 15)))
        )
        self.names = Names(self.config.cluster.prefix)
        self.judges = self._make_judges()
        self.choices = Choices()
        self.nodes = [
            Node(f"w{number}", self.config, self.net, self.network, compile_once)
            for number in range(chance.choice((2, 2, 3)))
        ]
        self.network.nodes = self.nodes
        self.weights = {name: weight * chance.choice((0, 1, 1, 2)) for name, weight in _WEIGHTS.items()}
        for name in ("produce", "start", "wait"):
            self.weights[name] = max(self.weights[name], _WEIGHTS[name])
        self._judged: set[int] = set()

    def _make_network(self) -> Network:
        return Network(self.net, self.chance.choice((0.0, 0.3)))

    def _make_judges(self) -> ClusterJudges:
        return ClusterJudges(self.size, self.broker, self.traffic, self.network, self.config.cluster.prefix)

    # ---- the course of a world

    def run(self) -> None:
        """Live through the drawn steps, then come to rest."""
        with surroundings(self.net, self.network, book_of(self.choices).book.sources):
            try:
                self._run()
            finally:
                self._end()

    def _run(self) -> None:
        book = book_of(self.choices)
        self.judges.books[book.book.version] = book
        for node in self.nodes:
            node.start()
        self._pass(0.3)
        names, weights = list(self.weights), list(self.weights.values())
        for step in range(1, self.steps + 1):
            self.step = step
            name = self.chance.choices(names, weights)[0]
            self.trace.append(f"{step} {name} at {self.loop.now_s:.3f}")
            self.broker.counted[f"step {name}"] += 1
            getattr(self, f"_{name}")()
            self._pass(self.chance.choice((0.0, 0.01, 0.05, 0.2, 0.2, 0.6)))
        self._finish()

    def _finish(self) -> None:
        """End all faults; everything that is open must end."""
        self._end_faults()
        end_s = self.loop.now_s + REST_S
        while self.loop.now_s < end_s:
            self.step += 1
            for node in self.nodes:
                if not node.runs:
                    node.start()
            self._pass(0.5)
            if not self.judges.open(self.now_ms()) and all(self._is_compared(p) for p in range(self.size.partitions)):
                self.judges.finished_cluster(self.now_ms())
                check_tasks(self.nodes)
                return
        told = [f"{node.name} runs={node.runs} faults={node.faults[-2:]}" for node in self.nodes]
        raise BrokenError("everything comes to rest", f"{self.judges.open(self.now_ms())} {told}")

    def _end_faults(self) -> None:
        self.net.loss, self.broker.away_until_s, self.network.fault_share = 0.0, 0.0, 0.0
        for node in self.nodes:
            node.machine.cut_after(None)
            if node.life is not None:
                node.life.requests_left = None

    def _is_compared(self, p: int) -> bool:
        owned = [one for node in self.nodes for one in self._owned(node) if one.number == p]
        compared = [self.judges.check_owned(one) for one in owned]  # all of them, whatever the first says
        return any(compared)

    def _owned(self, node: Node) -> list[Any]:
        if not node.runs or node.services is None or node.services.decide is None:
            return []
        return list(node.services.decide.owned.values())

    def _pass(self, seconds: float) -> None:
        """Let time pass, then look at everything."""
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.judges.look()
        for node in self.nodes:
            for fault in node.faults:
                if not isinstance(fault, EXPECTED) and id(fault) not in self._judged:
                    raise fault
            if not (node.life is not None and node.life.frozen):
                for one in self._owned(node):
                    self.judges.check_owned(one)
        for told in self.loop.faults:
            raised = told.get("exception")
            if isinstance(raised, Exception) and ("handle" in told or isinstance(raised, AssertionError)):
                raise raised
        self.loop.faults.clear()

    def digest(self) -> int:
        """Return a number that differs where the history differs."""
        told = [
            *self.trace,
            repr(round(self.loop.now_s, 6)),
            repr(self.judges.batches),
            repr(sorted(self.broker.counted.items())),
        ]
        return crc32("\n".join(told).encode())

    def _end(self) -> None:
        for node in self.nodes:
            node.machine.cut_after(None)
            if node.life is not None:
                self.loop.kill(node.life)
        self.net.over = self.net.groups.over = True
        self.broker.away_until_s = 0.0
        self.loop.bury([life for node in self.nodes for life in node.lives])
        self.loop.end()
