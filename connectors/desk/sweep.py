"""What runs out: cards past their end, visits idle too long, and reports that the log refused, looked for regularly."""

import asyncio
import contextlib
import logging

from connectors.desk import changes
from connectors.desk.config import DeskConfig
from connectors.desk.model import Panel
from connectors.desk.panels import BehindError, Panels
from connectors.desk.queue import QueueLostError, end
from connectors.desk.reporter import NotDurableError, Reporter
from connectors.seldom import Seldom

PANELS_MAX = 256
"""Panels taken at a time; each is put off by `retry_ms`, so that one process takes it."""

seldom = Seldom(logging.getLogger(__name__))


class Sweep:
    """Lets time pass for panels; `start` does so every `sweep_ms` until `stop`."""

    def __init__(self, panels: Panels, reporter: Reporter, config: DeskConfig) -> None:
        self._panels = panels
        self._reporter = reporter
        self._config = config
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; from the loop's thread."""
        self._task = asyncio.create_task(self._run(), name="desk sweep")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            await end(self._task)

    async def once(self) -> int:
        """Let time pass for every panel that is due; return how many were looked at."""
        terminals = await self._panels.queue.due(self._panels.clock(), PANELS_MAX)
        for terminal in terminals:
            try:
                panel, _ = await self._panels.change(terminal, self._let_time_pass)
            except BehindError:
                panel = await self._panels.queue.read(terminal)  # first what it owes, then what has run out
            with contextlib.suppress(NotDurableError):
                await self._reporter.report(panel)
        return len(terminals)

    def _let_time_pass(self, panel: Panel, now_ms: int) -> tuple[Panel, None]:
        return changes.lapsed(panel, self._config.visit_idle_ms, now_ms), None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._config.sweep_ms / 1_000)
            try:
                while await self.once() == PANELS_MAX:
                    pass
            except QueueLostError:
                continue
            except Exception:  # noqa: BLE001 it is logged, with its traceback
                seldom.exception("desk: the sweep failed, it goes on in %d ms", self._config.sweep_ms)
