"""Visits of the log, taken to the desk by the owner of their partition, with what is known of the customer.

    fold ─► visits of the frame, and the customer's attributes ─► waiting ─► Redis: the visit's panel

The fold is not touched: it is looked at after each frame, and what follows is done beside it, at least once, each step
changing nothing when it is done again. A visit that the desk opened itself stands there already and gets its customer's
facts; one that a raw topic brought is opened. While Redis is away it waits here. When Redis comes back, or a partition
is taken over, every visit that stands in the log is held against the desk, and put back where the desk has forgotten
it; a visit of which the desk knows more stays as it is.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from connectors.desk.desk import BehindError, Desk, NotDurableError
from connectors.desk.model import Customer
from connectors.desk.queue import QueueLostError
from engine.counter.arrivals import nameless
from engine.counter.customers import described
from engine.flow.decider import NO_ATTRIBUTES, Attributes
from engine.flow.fold import Fold
from engine.flow.visits import VisitRow, name_of, visits_of
from rules.model import Book
from state.batch import Batch
from state.texts import Chained, Lookup

WAITING_MAX = 10_000
RETRY_S = 0.2

log = logging.getLogger("opportune.cluster")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A visit of the log; `known` are the customer's attributes as the fold knew them then."""

    row: VisitRow
    known: Attributes
    live: bool


class TopicArrivals:
    """Carries visits from the fold to the desk; everything is called on the loop.

    Args:
        desk: the worker's.
        texts: those of terminals, visits and attributes of format 1.
        book: returns the active book.
    """

    def __init__(self, desk: Desk, texts: Lookup, book: Callable[[], Book]) -> None:
        self._desk = desk
        self._texts = texts
        self._book = book
        self._waiting: deque[Arrival] = deque(maxlen=WAITING_MAX)
        self._bell = asyncio.Event()

    def note(self, fold: Fold, batch: Batch | None) -> None:
        """Take the visits of a frame that was folded just now; the oldest go where too many wait."""
        for row in visits_of(batch):
            self._add(fold, row, live=True)

    def hold_against(self, fold: Fold, standing: Iterable[VisitRow]) -> None:
        """Have the desk know the visits that stand in a partition."""
        for row in standing:
            self._add(fold, row, live=False)

    def _add(self, fold: Fold, row: VisitRow, *, live: bool) -> None:
        known = fold.attributes(row.subscriber) if row.opened else NO_ATTRIBUTES
        self._waiting.append(Arrival(row, known, live))
        self._bell.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            while self._waiting:
                await self._take(self._waiting.popleft())
            self._bell.clear()
            await self._bell.wait()

    async def _take(self, arrival: Arrival) -> None:
        while True:
            try:
                await self._bring(arrival)
            except QueueLostError:
                await asyncio.sleep(RETRY_S)
                continue
            except ValidationError as fault:
                names = ", ".join(str(one["loc"][0]) for one in fault.errors() if one["loc"])
                log.warning("a visit did not reach the desk: %s cannot be used there", names)
            except (BehindError, NotDurableError) as fault:
                log.warning("a visit did not reach the desk: %s", fault)
            return

    async def _bring(self, arrival: Arrival) -> None:
        row = arrival.row
        terminal, visit, customer = self._read(arrival)
        name = visit or f"{terminal}-{row.at_ms}"
        panel = await self._desk.queue.find_panel("visit", name)
        if not row.opened:
            if not visit:
                name = await nameless(self._desk, row)
                panel = await self._desk.queue.find_panel("visit", name) if name else None
            if panel is not None and panel.open_visit is not None and panel.open_visit.id == name:
                await self._desk.close_visit(name)
            return
        if panel is None and terminal:
            if arrival.live:
                await self._desk.open_visit(terminal, row.subscriber, name, logged=True)
            else:
                await self._desk.restore(terminal, row.subscriber, name, row.at_ms)
        await self._desk.introduce(row.subscriber, customer)

    def _read(self, arrival: Arrival) -> tuple[str, str, Customer]:
        row = arrival.row
        terminal, visit = name_of(row.terminal, self._texts), name_of(row.visit, self._texts)
        known = arrival.known
        return terminal, visit, described(known.cells, self._book(), Chained(known.texts, self._texts))
