"""The same races between workers: replies over any link, workers that die, freeze and come back, brokers that are away.

Whatever is acknowledged here is acknowledged by workers to the network; the rest of the judge's rules needs no
acknowledgement. An hour of a race takes two seconds. A text is on record when it reaches the gateway.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast
from unittest.mock import patch

import orjson

import engine.runtimes.cluster.dispatch.service as dispatch_module
from connectors.contract import Message, MobileOriginated, Outcome
from tests.simulation.cluster.judges import ClusterJudges
from tests.simulation.cluster.loop import LIFE
from tests.simulation.cluster.net import Net
from tests.simulation.cluster.network import Network
from tests.simulation.cluster.node import EXPECTED, Node, NodeGateway
from tests.simulation.cluster.surroundings import RAW, surroundings
from tests.simulation.cluster.world import ClusterWorld, check_tasks
from tests.simulation.judges import BrokenError
from tests.simulation.races.books import OFFER, RULES, Version, Versions, book_of, draw_setting
from tests.simulation.races.gateway import Submit, draw_outcome
from tests.simulation.races.judge import Judge

UNIT_MS = 2_000
STEPS = 30
REST_S = 60.0
AGAIN_S = 0.7


class RaceNetwork(Network):
    """What the network takes, on record."""

    def __init__(self, net: Net, fault_share: float) -> None:
        super().__init__(net, fault_share)
        self.record: list[Submit] = []
        self.full_until_s = 0.0

    @property
    def is_full(self) -> bool:
        """Whether it takes nothing for a while."""
        return self._net.loop.now_s < self.full_until_s

    async def send(self, gateway: str, message: Message) -> Outcome:
        """Take a text to the network and bring its answer back."""
        life = LIFE.get()
        future: asyncio.Future[Outcome] = self._net.loop.create_future()
        self._flying.append(life)

        def arrive() -> None:
            self._flying.remove(life)
            outcome, taken = draw_outcome(self._chance, self.fault_share, len(self.record))
            self.record.append(Submit(self._net.wall_ms(), message.destination, message.text, taken))
            self._net.later(self._delay_s(), lambda: None if future.done() else future.set_result(outcome))

        self._net.later(self._delay_s(), arrive)
        return await future


class RaceGateway(NodeGateway):
    """A gateway that brings replies, and may be full."""

    def room(self) -> int:
        """Return how many more texts it takes now."""
        return 0 if cast("RaceNetwork", self._network).is_full else super().room()

    async def start(self, on_receipt: Any, on_mo: Any) -> None:
        """Open the gateway in the worker that runs."""
        self.on_mo = on_mo
        await super().start(on_receipt, on_mo)


class _Judges:
    """The judge of a race, where a cluster's world asks its own."""

    def __init__(self, judge: Judge, network: RaceNetwork) -> None:
        self._judge = judge
        self._network = network
        self.counted: Counter[str] = Counter()
        self.books: dict[str, Any] = {}

    def look(self) -> None:
        """Judge what the network was handed."""
        self._judge.look(self._network.record)

    def check_owned(self, _one: Any) -> bool:
        """Leave the state to the cluster's own worlds."""
        return True


class ClusterRace(ClusterWorld):
    """The history of one seed."""

    network: RaceNetwork

    def __init__(self, seed: int, steps: int = STEPS) -> None:
        super().__init__(seed, steps)
        self.versions = Versions(self.chance)
        self.subscribers = self.traffic.lively[: self.chance.choice((1, 2, 3))]
        self.replying: set[int] = set()
        self.counted = self.broker.counted
        for name, weight in (
            ("produce", 30),
            ("fill", 10),
            ("reply", 10),
            ("profile", 5),
            ("activate", 4),
            ("freeze", 6),
        ):
            self.weights[name] = weight
        self._n = 0

    def _make_network(self) -> RaceNetwork:
        return RaceNetwork(self.net, self.chance.choice((0.0, 0.2, 0.5)))

    def _make_judges(self) -> ClusterJudges:
        self.setting = draw_setting(self.chance, UNIT_MS)
        self.judge = Judge(self.setting, Version())
        return cast("ClusterJudges", _Judges(self.judge, self.network))

    # ---- the course of a race

    def run(self) -> None:
        """Live through the drawn steps, then come to rest."""
        sources = book_of(self.setting, self.judge.versions[0]).book.sources
        with surroundings(self.net, self.network, sources), _gateways(self.network):
            try:
                self._race()
            finally:
                self._end()

    def _race(self) -> None:
        for node in self.nodes:
            node.start()
        self._pass(0.3)
        names, weights = list(self.weights), list(self.weights.values())
        for step in range(1, self.steps + 1):
            self.step = step
            name = self.chance.choices(names, weights)[0]
            self.trace.append(f"{step} {name} at {self.loop.now_s:.3f}")
            getattr(self, f"_{name}")()
            self._pass(self.chance.choice((0.0, 0.02, 0.1, 0.3, 1.0, 2.0)))
        self._rest()

    def _rest(self) -> None:
        """End all faults; every reply must be acknowledged, and every text must end."""
        self._end_faults()
        end_s = self.loop.now_s + REST_S
        while self.loop.now_s < end_s:
            self.step += 1
            self._start()
            self._pass(1.0)
            if not self.replying and self._is_quiet():
                check_tasks(self.nodes)
                return
        raise BrokenError("everything comes to rest", f"{self.replying} {[node.faults[-2:] for node in self.nodes]}")

    def _is_quiet(self) -> bool:
        owned = [one for node in self.nodes if node.services and node.services.dispatch and node.runs
                 for one in node.services.dispatch.owned.values()]  # fmt: skip
        return len(owned) == self.size.partitions and not any(one.dispatcher.core.sends for one in owned)

    # ---- steps

    def _record(self) -> None:
        """A call comes."""
        self._n += 1
        n, subscriber = self._n, self.chance.choice(self.subscribers)
        wants = self.chance.choice((("plain",), ("offer",), ("other",), ("fee",), RULES[:2], RULES[1:]))
        self.judge.offered(n, subscriber)
        values = {"n": n, "extra": n, **{f"to_{rule}": rule in wants for rule in RULES}}
        self._bring_row("call", subscriber, values)

    def _fill(self) -> None:
        """The network takes nothing for a while, and calls come whose texts wait."""
        self.network.full_until_s = self.loop.now_s + self.chance.choice((0.5, 1.5, 4.0))
        self._produce()

    def _profile(self) -> None:
        """A subscriber takes a service, or gives it up."""
        held = [OFFER] if self.chance.random() < 0.5 else []
        self._bring_row("profile", self.chance.choice(self.subscribers), {"services": held})

    def _bring_row(self, kind: str, subscriber: int, values: dict[str, Any]) -> None:
        row = {"type": kind, "msisdn": str(subscriber), "time": self.now_ms(), **values}
        places = self.broker.places(RAW)
        place = places[subscriber % len(places)]
        self.broker.partitions[place].append(None, orjson.dumps(row), self.now_ms())

    def _reply(self) -> None:
        """A subscriber writes a text; one at a time. The network brings it until a worker acknowledges it."""
        subscriber = self.chance.choice(self.subscribers)
        if subscriber in self.replying:
            return
        self.replying.add(subscriber)
        fact, text = self.chance.choice((("optout", "TD"), ("optout", "TD"), ("optout.gprs", "TD gprs"), ("", "START")))
        if not fact:
            self.judge.may_not_hold(subscriber, "optout")
        self._bring(subscriber, fact, text)

    def _bring(self, subscriber: int, fact: str, text: str) -> None:
        if subscriber not in self.replying or self.net.over:
            return
        nodes = [one for one in self.nodes if one.runs and "main" in one.gateways]
        if nodes:
            node = self.chance.choice(nodes)
            reply = MobileOriginated("main", subscriber, "10086", text, self.now_ms())
            node.do(partial(self._hand_over, node, reply, fact))
        self.net.later(AGAIN_S + self.chance.choice((0.0, 2.0)), lambda: self._bring(subscriber, fact, text))

    async def _hand_over(self, node: Node, reply: MobileOriginated, fact: str) -> None:
        self.counted["an opt-out came while a text was in flight"] += bool(self.network._flying) and bool(fact)
        try:
            await cast("RaceGateway", node.gateways[reply.gateway]).on_mo(reply)
        except (TimeoutError, *EXPECTED):
            self.counted["a reply was not acknowledged"] += 1
            return
        if reply.subscriber in self.replying:
            self.replying.discard(reply.subscriber)
            self.counted["an opt-out was acknowledged"] += bool(fact)
            if fact:
                self.judge.look(self.network.record)
                self.judge.holds(reply.subscriber, fact, [])

    def _activate(self) -> None:
        """Publish a changed book from a worker."""
        nodes = [one for one in self._running() if one.services is not None]
        if nodes:
            version = self.versions.after(self.judge.versions[-1])
            self.judge.asked(version)
            services = (node := self.chance.choice(nodes)).services
            assert services is not None
            node.do(partial(services.publisher.publish, book_of(self.setting, version).book))


@contextmanager
def _gateways(network: RaceNetwork) -> Iterator[None]:
    """Open gateways that bring replies."""
    with patch.object(dispatch_module, "open_gateway", lambda name, *_: RaceGateway(name, network)):
        yield
