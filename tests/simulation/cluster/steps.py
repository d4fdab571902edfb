"""The steps of a cluster: records come, workers come and go, operations act, brokers are away.

Each method `_name` is the step `name` of the scheduler in `world`. None of them judges.
"""

import random
from functools import partial

from engine.dispatch.model import Action
from engine.runtimes.cluster.shared.topics import Names
from tests.simulation.books import Choices, book_of, changed
from tests.simulation.cluster.broker import Broker
from tests.simulation.cluster.judges import ClusterJudges
from tests.simulation.cluster.loop import Life, VirtualLoop
from tests.simulation.cluster.net import Net
from tests.simulation.cluster.node import Node
from tests.simulation.cluster.surroundings import RAW
from tests.simulation.traffic import Traffic

START_MS = 1_225_760_400_000  # 2008-11-04 09:00 in Shanghai


class ClusterSteps:
    """What may happen to a cluster; `ClusterWorld` makes its parts."""

    chance: random.Random
    loop: VirtualLoop
    broker: Broker
    net: Net
    traffic: Traffic
    names: Names
    judges: ClusterJudges
    choices: Choices
    nodes: list[Node]

    def now_ms(self) -> int:
        """Return the wall clock's time."""
        return START_MS + int(self.loop.now_s * 1000)

    def _produce(self) -> None:
        """Raw records come, at once or one after the other."""
        for _ in range(self.chance.choice((1, 3, 6))):
            self.net.later(self.chance.choice((0.0, 0.0, 0.05, 0.1, 0.2, 0.4)), self._record)

    def _record(self) -> None:
        places = self.broker.places(RAW)
        for _ in range(self.chance.choice((1, 1, 3))):
            line = self.traffic._any(self.now_ms())
            self.traffic.lines[line.n] = line
            place = places[line.subscriber % len(places)]
            offset = self.broker.partitions[place].append(None, line.raw, self.now_ms())
            self.judges.placed[f"{RAW}/{place.partition}", offset] = line

    def _running(self) -> list[Node]:
        return [node for node in self.nodes if node.runs]

    def _kill(self) -> None:
        if nodes := self._running():
            self.chance.choice(nodes).kill(power=self.chance.random() < 0.5)

    def _arm(self) -> None:
        """Have a worker end at one of its next steps."""
        if nodes := self._running():
            node = self.chance.choice(nodes)
            assert node.life is not None
            if self.chance.random() < 0.3:
                node.machine.cut_after(self.chance.choice((0, 1, 3, 8, 20)))
            else:
                node.life.requests_left = self.chance.choice((0, 1, 2, 5, 13, 40, 100))

    def _ambush(self) -> None:
        """Have a worker end while it decides and sends what has just come."""
        self._produce()
        if nodes := self._running():
            node, life = (chosen := self.chance.choice(nodes)), chosen.life
            power = self.chance.random() < 0.5
            self.net.later(
                self.chance.uniform(0.02, 0.25), lambda: node.kill(power=power) if node.life is life else None
            )

    def _cut(self, life: Life) -> None:
        for node in self.nodes:
            if node.life is life:
                node.kill(power=self.chance.random() < 0.5)

    def _freeze(self) -> None:
        if nodes := self._running():
            self.chance.choice(nodes).freeze(self.chance.choice((0.05, 0.5, 1.5, 2.5)))

    def _start(self) -> None:
        for node in self.nodes:
            if not node.runs:
                node.machine.cut_after(None)
                node.start()

    def _stop(self) -> None:
        if nodes := self._running():
            self.chance.choice(nodes).stop()

    def _flap(self) -> None:
        """A worker goes and comes back at once, so that partitions change hands twice in a moment."""
        for _ in range(4):
            self._produce()
        if nodes := self._running():
            node = self.chance.choice(nodes)
            for member in node._members:
                if not member.left and node.runs:
                    self.net.groups.flap(member)

    def _activate(self) -> None:
        """Publish a changed book from a worker."""
        nodes = [one for one in self._running() if one.services is not None]
        if nodes:
            node = self.chance.choice(nodes)
            self.choices = changed(self.choices, self.chance)
            book = book_of(self.choices)
            self.judges.books[book.book.version] = book
            services = node.services
            assert services is not None
            node.do(partial(services.publisher.publish, book.book))

    def _switch(self) -> None:
        nodes = [one for one in self._running() if one.services is not None]
        if nodes:
            services = (node := self.chance.choice(nodes)).services
            assert services is not None
            action = self.chance.choice((Action.PAUSE, Action.RESUME, Action.RESUME, Action.KILL)).value
            record = {"action": action, "kind": "rule", "name": "bulk"}
            if action != "resume":
                self.net.later(4.0, lambda: self._resume(record | {"action": "resume"}))
            node.do(partial(services.publisher.control, record))

    def _resume(self, record: dict[str, str]) -> None:
        """Whatever was stopped goes on in the end."""
        nodes = [one for one in self._running() if one.services is not None]
        if nodes:
            node = nodes[0]
            assert node.services is not None
            node.do(partial(node.services.publisher.control, record))
        self.net.later(4.0, lambda: self._resume(record))

    def _away(self) -> None:
        """No broker answers for a while."""
        self.broker.away_until_s = self.loop.now_s + self.chance.choice((0.2, 1.0, 4.0))

    def _compact(self) -> None:
        names = (self.names.pages, self.names.control)
        for place, partition in self.broker.partitions.items():
            if place.topic in names:
                partition.compact()

    def _wait(self) -> None:
        """Nothing happens."""
