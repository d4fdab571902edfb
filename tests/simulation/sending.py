"""The real dispatcher without a loop of its own: the world takes its turns, and what it launches goes to the world."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from engine.dispatch.core import DispatchCore
from engine.dispatch.dispatcher import Dispatcher
from engine.dispatch.doors import Door
from engine.dispatch.model import Decided, Report, Send, Withdrawn
from engine.dispatch.orphans import Orphans
from engine.dispatch.outbox import LocalOutbox
from engine.dispatch.policy import Policy
from engine.dispatch.rates import Rates
from engine.dispatch.shared import Shared
from state.batch import Row, Value
from state.disk import DiskFullError
from tests.simulation.flow import WorldClock


@dataclass(slots=True)
class Taker:
    """Dispatch as the feeder sees it."""

    dispatch: DispatchCore
    clock: WorldClock
    idle: bool = True

    def room(self) -> int:
        """Return the room of dispatch."""
        return self.dispatch.room()

    def offer(self, decided: Sequence[Decided], cursors: Mapping[str, int]) -> None:
        """Pass decisions on."""
        self.dispatch.offer(decided, cursors, self.clock.now_ms)

    def withdraw(self, withdrawn: Sequence[Withdrawn]) -> None:
        """Pass on what the fold took back."""
        self.dispatch.withdraw(withdrawn, self.clock.now_ms)


def _nothing() -> None:
    """Nothing happens."""


class SimulatedOutbox(LocalOutbox):
    """The outbox on the simulated disk: the world says what happens where there is no room, and while it writes."""

    refused: Callable[[], None] = staticmethod(_nothing)
    writing: Callable[[], None] = staticmethod(_nothing)

    def flush(self, now_ms: int) -> None:
        """Append what was collected; without room the dispatcher waits until there is."""
        try:
            super().flush(now_ms)
        except DiskFullError:
            self.refused()
            super().flush(now_ms)

    async def commit(self) -> None:
        """Make what was flushed durable, in this thread."""
        self.writing()
        self.sync()


class Launcher:
    """In the place of the tasks that fly: each attempt goes to the world as soon as it is launched."""

    def __init__(self) -> None:
        self.hand_over: Callable[[Send], None] = lambda _: None

    def launch(self, sends: Sequence[Send]) -> None:
        """Hand all of them over, in their order."""
        for send in sends:
            self.hand_over(send)


class Idle:
    """In the place of the reporter: the world carries outcomes to the log itself."""

    def step(self) -> None:
        """Report nothing."""


class SimulatedDispatcher(Dispatcher):
    """The real dispatcher, whose turns the world takes one by one."""

    def __init__(self, policy: Policy, outbox: LocalOutbox, doors: Mapping[str, Door], clock: WorldClock) -> None:
        shared = Shared(doors, Rates(policy.gateway_rates, policy.channel_rates), Orphans())
        super().__init__(policy, {}, None, cast("Any", None), lambda: clock.now_ms, outbox, shared=shared)
        self.launcher = Launcher()
        self._flights, self._reporter = cast("Any", self.launcher), cast("Any", Idle())

    def turn(self) -> None:
        """Take a turn; nothing in it waits, so its coroutine runs through at once."""
        turning = self._turn()
        try:
            turning.send(None)
        except StopIteration:
            return
        raise AssertionError("a turn waits for something that is not there")

    async def _rest(self) -> None:
        """Let the world pass time."""


def outcome_row(report: Report, now_ms: int, contact_ms: int | None) -> Row:
    """Return the event that says what became of a decision."""
    partition, position, row, rule = report.decision_id.split("-")
    values: dict[str, Value] = {
        "partition": int(partition), "position": int(position), "row": int(row), "rule": int(rule, 16),
        "state": int(report.state), "gateway": report.gateway, "error": report.error,
        "contact_ms": now_ms if contact_ms is None else contact_ms,
    }  # fmt: skip
    return Row("outcome", report.subscriber, now_ms, values)
