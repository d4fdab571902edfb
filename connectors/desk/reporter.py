"""What panels owe the log, reported to it: visits opened and closed, cards that ended.

Each note is reported at least once, in order for one terminal; it is struck out of the panel once the log has it. A
report that fails is repeated by the desk's sweep.
"""

import asyncio
import functools
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from connectors.desk import changes
from connectors.desk.model import Answer, Card, Customer, Note, Panel, Visit
from connectors.desk.panels import Panels

STOP_S_MAX = 5
"""How long `stop` waits for reports under way."""

OnVisit = Callable[[Visit], Awaitable[Customer | None]]
OnAnswer = Callable[[Card, Answer], Awaitable[None]]
OnOptOut = Callable[[int], Awaitable[None]]
"""Puts a subscriber on the list of those who want no commercial texts; returns when it holds."""
Introduce = Callable[[int, Customer], Awaitable[bool]]

log = logging.getLogger(__name__)


class NotDurableError(Exception):
    """The change stands on the panel, but the log has not taken it yet. It is offered again until it does."""


class Reporter:
    """Reports what panels owe; at most one report a terminal at a time in this process.

    Args:
        panels: where a reported note is struck out.
        on_visit, on_answer: the engine's callbacks, see `desk`.
        introduce: puts what the log's answer says of a customer on the subscriber's panel.
        counts: counted by the end of cards and visits, and "not_durable".
    """

    def __init__(
        self, panels: Panels, on_visit: OnVisit, on_answer: OnAnswer, introduce: Introduce, counts: Counter[str]
    ) -> None:
        self._panels = panels
        self._on_visit = on_visit
        self._on_answer = on_answer
        self._introduce = introduce
        self._counts = counts
        self._refused = False
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def stop(self) -> None:
        """Wait a moment for the reports under way, then end them; what is still owed stays on its panel."""
        if self._under_way:
            _, late = await asyncio.wait(list(self._under_way.values()), timeout=STOP_S_MAX)
            for task in late:
                task.cancel()

    async def report(self, panel: Panel) -> None:
        """Report what this panel owes; NotDurableError when the log does not take it.

        A cancelled caller does not cancel the report (`shield`): the log may have it already, and then it must be
        struck out.
        """
        while panel.owed:
            task = self._under_way.get(panel.terminal)
            if task is None or task.done():
                task = asyncio.create_task(self._report_all(panel), name=f"desk reports {panel.terminal}")
                self._under_way[panel.terminal] = task
                task.add_done_callback(functools.partial(self._ended, panel.terminal))
                await asyncio.shield(task)
                return
            # A report of this terminal is under way: wait for it, then see what is still owed of ours.
            await asyncio.shield(task)
            owed = {note.key for note in panel.owed}
            now = await self._panels.queue.read(panel.terminal)
            panel = now if any(note.key in owed for note in now.owed) else panel.model_copy(update={"owed": ()})

    def _ended(self, terminal: str, done: asyncio.Task[None]) -> None:
        if self._under_way.get(terminal) is done:
            del self._under_way[terminal]
        if not done.cancelled():
            done.exception()  # waiters have seen it; without a waiter the sweep repeats the report

    async def _report_all(self, panel: Panel) -> None:
        reported: set[str] = set()
        try:
            for note in panel.owed:
                await self._report_one(note)
                reported.add(note.key)
        except Exception as fault:
            self._counts["not_durable"] += 1
            level = logging.DEBUG if self._refused else logging.WARNING  # an outage is one warning, not one a note
            self._refused = True
            log.log(level, "desk: terminal %s: the log did not take %s: %r", panel.terminal, note.key, fault)
            raise NotDurableError(f"{note.key}: {fault}") from fault
        finally:
            if reported:
                self._refused = False
                keys = frozenset(reported)
                await self._panels.change(panel.terminal, lambda p, now: (changes.settled(p, keys, now), None), panel)

    async def _report_one(self, note: Note) -> None:
        if note.card is not None:
            await self._on_answer(note.card, note.card.answer)
            self._counts[f"end_{note.card.state.value}"] += 1
            return
        assert note.visit is not None, f"note {note.key} holds neither visit nor card"
        customer = await self._on_visit(note.visit)
        self._counts["visits_opened" if note.visit.open else "visits_closed"] += 1
        if customer is not None and note.visit.open:
            await self._introduce(note.visit.subscriber, customer)
