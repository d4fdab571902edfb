"""Visits that came in as events, from a ticket machine or a recorded day, brought before the clerk's desk.

A visit that a clerk opens goes from the desk into the log; one that a source brings goes the other way, here. It is at
the desk before the decisions of its frame are offered, so that their cards find it there.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Sequence

from pydantic import ValidationError

from connectors.desk.desk import Behind, Desk, NotDurable
from connectors.desk.queue import QueueLost
from engine.partition import Appended, Partition, VisitRow
from engine.records import Texts

WAITING_MAX = 10_000

log = logging.getLogger(__name__)


class Visitors:
    """Carries visit events from durable frames to the desk.

    Args:
        desk: where to, None when there is none.
        texts: the texts of terminals and visits.
    """

    def __init__(self, desk: Desk | None, texts: Texts) -> None:
        self._desk = desk
        self._texts = texts
        self._waiting: dict[int, deque[tuple[int, VisitRow]]] = {}
        self._own: deque[str] = deque(maxlen=WAITING_MAX)
        self._lock = threading.Lock()

    def own(self, visit: str) -> None:
        """Say that the desk opened or closed this visit itself; what the log says of it is no news."""
        self._own.append(visit)

    def note(self, partition: Partition, appended: Sequence[Appended]) -> None:
        """Remember the visits of durable frames; from the commit thread. The oldest go where too many wait."""
        rows = [(frame.position, row) for frame in appended for row in frame.visits]
        if rows and self._desk is not None:
            with self._lock:
                self._waiting.setdefault(partition.number, deque(maxlen=WAITING_MAX)).extend(rows)

    def before(self, partition: Partition, position: int) -> "asyncio.Future[None] | None":
        """Return what to wait for until the visits up to `position` stand at the desk; None for nothing."""
        rows = []
        with self._lock:
            waiting = self._waiting.get(partition.number)
            while waiting and waiting[0][0] <= position:
                rows.append(waiting.popleft()[1])
        return asyncio.ensure_future(self._bring(rows)) if rows else None

    async def _bring(self, rows: list[VisitRow]) -> None:
        for row in rows:
            try:
                await self._step(row)
            except ValidationError as fault:
                names = ", ".join(str(one["loc"][0]) for one in fault.errors() if one["loc"])
                log.warning("a visit did not reach the desk: %s cannot be used there", names)
            except (QueueLost, Behind, NotDurable) as fault:
                log.warning("a visit did not reach the desk: %s", fault)

    async def _step(self, row: VisitRow) -> None:
        assert self._desk is not None
        terminal, visit = self._text(row.terminal), self._text(row.visit)
        name = visit or f"{terminal}-{row.at_ms}"
        if name in self._own:
            return
        if not row.opened:
            await self._desk.close_visit(name)
        elif terminal:
            await self._desk.open_visit(terminal, row.subscriber, name, logged=True)

    def _text(self, hashed: int) -> str:
        found = self._texts.text(hashed) if hashed else None
        return found.decode() if found is not None else ""
