"""The way back into the log: outcomes are reported many at a time, at least once each.

The outbox remembers what the log has. Where the log does not answer, or a crash comes in between, the same outcomes
are reported again; the decider takes each once.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from engine.dispatch.core import DispatchCore
from engine.dispatch.health import Health
from engine.dispatch.model import Report
from engine.dispatch.replies import ReplySink

_LOG_RETRY_S = 0.5
_REPORTS_MAX = 2_000


class FeedbackSink(ReplySink, Protocol):
    """The log, as dispatch writes to it; all return when it is durable."""

    async def outcomes(self, said: Sequence[Report], contact_ms: Sequence[int | None]) -> None:
        """Append what became of several decisions, and when each reached, or may have reached, somebody."""


class OutcomeReporter:
    """Reports outcomes, one batch at a time.

    Args:
        core: what is owed to the log.
        sink: the log.
        health: where it is noted that the log is away.
        wake: set after each batch.
    """

    def __init__(self, core: DispatchCore, sink: FeedbackSink, health: Health, wake: asyncio.Event) -> None:
        self._core = core
        self._sink = sink
        self._health = health
        self._wake = wake
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a batch is on its way."""
        return self._task is not None and not self._task.done()

    def step(self) -> None:
        """Begin a batch, unless one is on its way, or dispatch stops and the log does not answer."""
        gives_up = self._health.stopping and self._health.log_away
        if self.busy or gives_up:
            return
        reports = self._core.reports(_REPORTS_MAX)
        if reports:
            self._task = asyncio.get_running_loop().create_task(self._report(reports))

    async def cancel(self) -> None:
        """Give up the batch that is on its way; it is reported again after a restart."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _report(self, reports: list[Report]) -> None:
        try:
            await self._sink.outcomes(reports, [self._core.contact_ms(one) for one in reports])
        except Exception as fault:  # noqa: BLE001 - the log is away; the outcomes stay owed and are reported again
            self._health.log_away = True
            self._health.fault = f"log: {fault}"
            await asyncio.sleep(_LOG_RETRY_S)
        else:
            self._health.log_away = False
            self._core.mark_reported(reports)
        self._wake.set()
