"""Attempts on their way, from the door to the settled outcome: a task each, or one for all that go together."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence

from connectors.contract import NowMs, Outcome, State
from connectors.seldom import Seldom
from engine.dispatch.core import DispatchCore
from engine.dispatch.doors import BatchDoor
from engine.dispatch.model import Decided, Send

seldom = Seldom(logging.getLogger(__name__))

OnOutcome = Callable[[Decided, str, Outcome, int], None]
"""Called with every attempt's outcome: the decision, the gateway, the outcome, the time; for metrics."""


class Flights:
    """Hands attempts to their doors.

    Args:
        core: settles the outcomes.
        now_ms: the clock of dispatch.
        wake: set after each outcome.
        on_outcome: called with each outcome.
    """

    def __init__(self, core: DispatchCore, now_ms: NowMs, wake: asyncio.Event, on_outcome: OnOutcome | None) -> None:
        self._core = core
        self._now_ms = now_ms
        self._wake = wake
        self._on_outcome = on_outcome
        self._together = {
            name: door for name, door in core.doors.items() if isinstance(door, BatchDoor) and door.together
        }
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def launch(self, sends: Sequence[Send]) -> None:
        """Hand attempts over; their records are durable, and their places at the doors are held."""
        together: dict[str, list[Send]] = {}
        for send in sends:
            if send.gateway in self._together:
                together.setdefault(send.gateway, []).append(send)
            else:
                self._start(self._fly(send))
        for name, some in together.items():
            self._start(self._fly_together(some, self._together[name]))

    def _start(self, flight: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(flight)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self, wait_s: float) -> None:
        """Wait for the answers to all attempts, `wait_s` at most."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=wait_s)

    async def cancel(self) -> None:
        """Wait for no answer any more: without an outcome in the outbox, an attempt is UNKNOWN after a restart."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _fly(self, send: Send) -> None:
        door = self._core.doors[send.gateway]
        door.let_go(send.parts)
        try:
            outcome = await door.send(send.what, self._now_ms())
        except Exception as fault:  # noqa: BLE001 it is logged, with its traceback
            outcome = _failed(send.gateway, fault)
        self._settle((send,), (outcome,))

    async def _fly_together(self, sends: Sequence[Send], door: BatchDoor) -> None:
        door.let_go(sum(send.parts for send in sends))
        try:
            outcomes = await door.send_all([send.what for send in sends], self._now_ms())
        except Exception as fault:  # noqa: BLE001 it is logged, with its traceback
            outcomes = [_failed(sends[0].gateway, fault)] * len(sends)
        self._settle(sends, outcomes)

    def _settle(self, sends: Sequence[Send], outcomes: Sequence[Outcome]) -> None:
        now_ms = self._now_ms()
        for send, outcome in zip(sends, outcomes, strict=True):
            self._core.settle(send, outcome, now_ms)
            if self._on_outcome is not None:
                self._on_outcome(send.what, send.gateway, outcome, now_ms)
        self._wake.set()


def _failed(gateway: str, fault: Exception) -> Outcome:
    """Log what a door must not raise; return what is known of its sends: nothing."""
    seldom.exception("gateway %s", gateway)
    return Outcome(State.UNKNOWN, type(fault).__name__)
