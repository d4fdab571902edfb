"""What every step of a world may touch."""

import random
from collections import Counter
from concurrent.futures import Future

from engine.dispatch.model import Action
from tests.simulation.books import Choices
from tests.simulation.flow import WorldClock
from tests.simulation.judges import Judges
from tests.simulation.life import Life
from tests.simulation.machine import Machine
from tests.simulation.network import Network
from tests.simulation.traffic import Traffic


class Parts:
    """The parts of a world; `World` makes them."""

    chance: random.Random
    clock: WorldClock
    machine: Machine
    network: Network
    traffic: Traffic
    judges: Judges
    life: Life
    choices: Choices
    wanted_switch: "tuple[str, str, Action, Future[None] | None] | None"
    step: int
    trace: list[str]
    counted: Counter[str]

    @property
    def now_ms(self) -> int:
        """The wall clock's time."""
        return self.clock.now_ms
