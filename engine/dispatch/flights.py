"""Attempts on their way: a task each, from the door to the settled outcome."""

import asyncio
import logging
from collections.abc import Callable

from connectors.contract import NowMs, Outcome, State
from connectors.seldom import Seldom
from engine.dispatch.core import DispatchCore
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
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def launch(self, send: Send) -> None:
        """Hand one attempt over; its record is durable, and a place at its door is held."""
        task = asyncio.get_running_loop().create_task(self._fly(send))
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
            seldom.exception("gateway %s", send.gateway)
            outcome = Outcome(State.UNKNOWN, type(fault).__name__)
        now_ms = self._now_ms()
        self._core.settle(send, outcome, now_ms)
        if self._on_outcome is not None:
            self._on_outcome(send.what, send.gateway, outcome, now_ms)
        self._wake.set()
