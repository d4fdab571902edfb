"""The steps of a race that the engine takes by itself: fold and commit, sending, time and faults.

What comes in, and what is told to the judge of it, is in `steps`.
"""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future

from connectors.contract import State
from engine.dispatch.model import Send
from tests.simulation.flow import WorldClock
from tests.simulation.machine import Machine
from tests.simulation.network import Flight
from tests.simulation.races.books import HOUR_MS, Version, Versions, draw_setting
from tests.simulation.races.gateway import Gateway
from tests.simulation.races.judge import Judge
from tests.simulation.races.life import RaceLife, draw_size

START_MS = 1_225_760_400_000  # 2008-11-04 09:00 in Shanghai


class FlowSteps:
    """The parts of a race, and how its engine goes on."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = chance = random.Random(seed)
        self.step = 0
        self.clock = WorldClock(START_MS)
        self.size = draw_size(chance)
        self.setting = draw_setting(chance)
        self.versions = Versions(chance)
        self.gateway = Gateway(chance, chance.choice((0.0, 0.2, 0.5)))
        self.machine = Machine()
        self.judge = Judge(self.setting, Version())
        self.subscribers = [
            8613800000000 + number for number in chance.sample(range(1, 9999), chance.choice((1, 2, 3)))
        ]
        self.trace: list[str] = []
        self.counted: Counter[str] = Counter()
        self._settling: list[tuple[Future[None], Callable[[], None]]] = []
        self.life: RaceLife

    @property
    def now_ms(self) -> int:
        """The time of the race."""
        return self.clock.now_ms

    def report(self) -> None:
        """Let the log hear of everything that is owed to it."""
        life = self.life
        while life.dispatch.unreported:
            life.make_durable()
            life.tell()
            life.drain()

    # ---- steps: fold and commit

    def _fold(self) -> None:
        self.life.work(self.chance)

    def _commit(self) -> None:
        for _ in range(self.chance.choice((1, 2, 4, 8))):
            self.life.flow.commit()

    def _drain(self) -> None:
        self.life.drain()

    def _pages(self) -> None:
        self.life.write_pages(self.chance)

    # ---- steps: sending

    def _feed(self) -> None:
        done = [one for one in self._settling if one[0].done()]
        self.life.feed()
        for one in done:
            self._settling.remove(one)
            one[1]()

    def _turn(self) -> None:
        self.life.dispatcher.turn()

    def _hand_over(self, send: Send) -> None:
        door = self.life.gateways[send.gateway]
        door.let_go(send.parts)
        flight = self.gateway.submit(door, send, self.now_ms)
        self.counted["handed over"] += 1
        self.counted["unknown"] += flight.outcome.state is State.UNKNOWN
        self.life.flights.append(flight)

    def _answer(self) -> None:
        if self.life.flights:
            self._settle(self.life.flights.pop(self.chance.randrange(len(self.life.flights))))

    def _answer_all(self) -> None:
        while self.life.flights:
            self._settle(self.life.flights.pop())

    def _settle(self, flight: Flight) -> None:
        self.life.gateways[flight.send.gateway].busy -= 1
        self.life.dispatch.settle(flight.send, flight.outcome, self.now_ms)

    def _tell(self) -> None:
        self.life.tell()

    def _gateway(self) -> None:
        door = self.life.gateways["main"]
        door.up, door.room_max = not door.up, self.chance.choice((1, 2, 8))

    def _up(self) -> None:
        self.life.gateways["main"].up = True

    # ---- steps: time and faults

    def _pass_time(self) -> None:
        """Time passes; no gateway takes more than minutes to answer, and no log to hear of it."""
        passed_ms = self.chance.choice(
            (200, 2_000, 2_000, 20_000, 300_000, 300_000, HOUR_MS // 2, HOUR_MS, 3 * HOUR_MS, 9 * HOUR_MS)
        )
        if passed_ms > HOUR_MS // 2:
            self._answer_all()
            self.report()
        self.clock.go(passed_ms)

    def _arm(self) -> None:
        self.machine.cut_after(self.chance.choice((0, 1, 2, 3, 5, 8, 13)))
