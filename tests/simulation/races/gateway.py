"""The far side of a race: a gateway that records every text it is handed, and answers as chance has it.

`record` is all that the judge reads of the world. Whether a text was `taken` is the network's own truth: a text whose
answer is UNKNOWN may have been, one that is to be tried again was not.
"""

import random
from typing import NamedTuple

from connectors.contract import Outcome, State
from engine.dispatch.model import Send
from tests.simulation.network import Flight, SimulatedDoor

REFUSALS = (State.RETRY, State.RETRY, State.PERMANENT, State.LINK_DOWN, State.UNKNOWN, State.UNKNOWN)


class Submit(NamedTuple):
    """A text that was handed to the gateway."""

    at_ms: int
    subscriber: int
    text: str
    taken: bool


def draw_outcome(chance: random.Random, fault_share: float, number: int) -> tuple[Outcome, bool]:
    """Return an answer, and whether the text was taken."""
    if chance.random() >= fault_share:
        return Outcome(State.ACCEPTED, "", (f"m{number}",)), True
    state = chance.choice(REFUSALS)
    return Outcome(state, "0x58"), state is State.UNKNOWN and chance.random() < 0.5


class Gateway:
    """The one gateway of a race on one machine; it outlives the engine."""

    def __init__(self, chance: random.Random, fault_share: float) -> None:
        self.chance = chance
        self.fault_share = fault_share
        self.record: list[Submit] = []

    def doors(self) -> dict[str, SimulatedDoor]:
        """Return the doors of a new life."""
        return {"main": SimulatedDoor("main", self, room_max=self.chance.choice((1, 2, 8)))}  # type: ignore[arg-type]  # never asked

    def submit(self, door: SimulatedDoor, send: Send, now_ms: int) -> Flight:
        """Take a text, and settle its fate."""
        door.busy += 1
        outcome, taken = draw_outcome(self.chance, self.fault_share, len(self.record))
        self.record.append(Submit(now_ms, send.what.subscriber, send.what.text, taken))
        return Flight(send, outcome)
