"""Gateways and the network behind them: what they answer, and what really happened.

A gateway answers late or never; its receipts come early, late, twice, and again until they are acknowledged. `taken`
and `doubtful` are the truth that the judges hold the engine's words against.
"""

import random
from dataclasses import dataclass, field

from connectors.contract import Outcome, Receipt, ReceiptState, State
from engine.dispatch.model import Decided, Send


@dataclass(slots=True)
class Flight:
    """A send that a gateway has, and what it will answer."""

    send: Send
    outcome: Outcome


@dataclass(slots=True)
class SimulatedDoor:
    """A gateway or the desk as dispatch sees it."""

    name: str
    network: "Network"
    repeatable: bool = False
    up: bool = True
    busy: int = 0
    held: int = 0
    room_max: int = 8

    def room(self) -> int:
        """Return how many more it takes now."""
        return max(0, self.room_max - self.busy - self.held) if self.up else 0

    def hold(self, parts: int) -> None:
        """Hold places."""
        self.held += parts

    def let_go(self, parts: int) -> None:
        """Give places up."""
        self.held -= parts

    async def send(self, what: Decided, now_ms: int) -> Outcome:
        """Not used: the world hands sends over itself."""
        raise AssertionError(f"{self.name} {what.decision_id} {now_ms}")


@dataclass(slots=True)
class Network:
    """Everything outside: it does not crash with the engine."""

    chance: random.Random
    fault_share: float
    taken: set[str] = field(default_factory=set)  # decisions that a gateway took for sure
    doubtful: set[str] = field(default_factory=set)  # decisions whose attempt got no certain answer
    receipts: list[Receipt] = field(default_factory=list)  # not yet acknowledged
    submits: int = 0

    def doors(self) -> dict[str, SimulatedDoor]:
        """Return the doors of a new life."""
        desk = SimulatedDoor("desk", self, repeatable=True)
        return {"main": SimulatedDoor("main", self), "backup": SimulatedDoor("backup", self), "desk": desk}

    def submit(self, door: SimulatedDoor, send: Send, now_ms: int) -> Flight:
        """Take a send and settle its fate."""
        self.submits += 1
        door.busy += 1
        decision = send.what.decision_id
        outcome = self._outcome(door, decision)
        if outcome.state is State.ACCEPTED:
            self.taken.add(decision)
            for message_id in outcome.gateway_message_ids:
                self._expect_receipt(door.name, message_id, now_ms)
        elif outcome.state is State.UNKNOWN:
            self.doubtful.add(decision)
            if self.chance.random() < 0.5:
                self.taken.add(decision)
                self._expect_receipt(door.name, f"{door.name}{self.submits}.lost", now_ms)
        return Flight(send, outcome)

    def _outcome(self, door: SimulatedDoor, decision: str) -> Outcome:
        chance = self.chance
        if chance.random() >= self.fault_share:
            if door.name == "desk":
                return Outcome(State.ACCEPTED)
            parts = range(chance.choice((1, 1, 1, 2)))
            return Outcome(State.ACCEPTED, "", tuple(f"{door.name}{self.submits}.{part}" for part in parts))
        if door.name == "desk":
            return Outcome(chance.choice((State.PERMANENT, State.RETRY)), "NO_VISIT")
        states = (
            State.RETRY,
            State.RETRY,
            State.REROUTE,
            State.PERMANENT,
            State.PERMANENT,
            State.LINK_DOWN,
            State.UNKNOWN,
        )
        state = chance.choice(states)
        wish = chance.choice((None, None, 1_000, 90_000)) if state is State.RETRY else None
        return Outcome(state, f"0x{len(decision):x}", (), wish)

    def _expect_receipt(self, gateway: str, message_id: str, now_ms: int) -> None:
        chance = self.chance
        if chance.random() < 0.25:
            return
        state = chance.choice((ReceiptState.DELIVERED, ReceiptState.DELIVERED, *ReceiptState))
        receipt = Receipt(gateway, message_id, state, "", now_ms)
        self.receipts += [receipt] * chance.choice((1, 1, 1, 2))
