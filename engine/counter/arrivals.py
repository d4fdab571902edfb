"""Visits that came in as events, from a ticket machine or a recorded day, brought before the clerk's desk.

A visit that a clerk opens goes from the desk into the log; one that a source brings goes the other way, here. It is at
the desk before the decisions of its frame are offered, so that their cards find it there. After a restart those come
first that stand in the log after the last frame whose decisions were taken over.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from pydantic import ValidationError

from connectors.desk.desk import BehindError, Desk, NotDurableError
from connectors.desk.queue import QueueLostError
from engine.flow.fold import Appended
from engine.flow.partition import Partition
from engine.flow.visits import VisitRow, name_of, visits_of
from rules.gates.desk import VISIT_MS_MAX
from state.texts import Lookup

WAITING_MAX = 10_000

Opening = Callable[[str, VisitRow, str], Awaitable[None]]
"""Opens a visit at the desk: its terminal, the row that says so, its name."""

log = logging.getLogger(__name__)


class LocalArrivals:
    """Carries visit events from durable frames to the desk.

    Args:
        desk: where to, None when there is none.
        texts: those of terminals and visits of format 1.
    """

    def __init__(self, desk: Desk | None, texts: Lookup) -> None:
        self._desk = desk
        self._texts = texts
        self._waiting: dict[int, deque[tuple[int, VisitRow]]] = {}
        self._own: deque[str] = deque(maxlen=WAITING_MAX)
        self._lock = threading.Lock()

    def own(self, visit: str) -> None:
        """Mark a visit that the desk opened or closed itself: its row in the log is not brought back to the desk."""
        self._own.append(visit)

    def note(self, partition: Partition, appended: Sequence[Appended]) -> None:
        """Remember the visits of durable frames; from the commit thread. The oldest go where too many wait."""
        rows = [(frame.position, row) for frame in appended for row in frame.visits]
        if rows and self._desk is not None:
            with self._lock:
                self._waiting.setdefault(partition.number, deque(maxlen=WAITING_MAX)).extend(rows)

    async def resume(self, partition: Partition, entry: int) -> None:
        """Bring the visits of frames after the journal's entry before `entry`, the first that was not taken over."""
        if self._desk is not None:
            await self._bring(await asyncio.to_thread(_visits_after, partition, entry), self._restore)

    def before(self, partition: Partition, position: int) -> "asyncio.Future[None] | None":
        """Return what to wait for until the visits up to `position` stand at the desk; None for nothing."""
        rows = []
        with self._lock:
            waiting = self._waiting.get(partition.number)
            while waiting and waiting[0][0] <= position:
                rows.append(waiting.popleft()[1])
        return asyncio.ensure_future(self._bring(rows, self._open)) if rows else None

    async def _bring(self, rows: list[VisitRow], opening: Opening) -> None:
        for row in rows:
            try:
                await self._step(row, opening)
            except ValidationError as fault:
                names = ", ".join(str(one["loc"][0]) for one in fault.errors() if one["loc"])
                log.warning("a visit did not reach the desk: %s cannot be used there", names)
            except (QueueLostError, BehindError, NotDurableError) as fault:
                log.warning("a visit did not reach the desk: %s", fault)

    async def _step(self, row: VisitRow, opening: Opening) -> None:
        assert self._desk is not None
        terminal, visit = name_of(row.terminal, self._texts), name_of(row.visit, self._texts)
        if visit in self._own:
            return
        if not row.opened:
            await self._desk.close_visit(visit or await nameless(self._desk, row))
        elif terminal:
            await opening(terminal, row, visit or f"{terminal}-{row.at_ms}")

    async def _open(self, terminal: str, row: VisitRow, name: str) -> None:
        assert self._desk is not None
        await self._desk.open_visit(terminal, row.subscriber, name, logged=True)

    async def _restore(self, terminal: str, row: VisitRow, name: str) -> None:
        assert self._desk is not None
        await self._desk.restore(terminal, row.subscriber, name, row.at_ms)


async def nameless(desk: Desk, row: VisitRow) -> str:
    """Return the name that the desk gave to the open visit that a closing row without a name is about.

    Empty where the source gave the visit a name, or where it has begun since: a close that comes late is no end of it.
    """
    panel = await desk.queue.find_panel("subscriber", row.subscriber)
    visit = panel.visit_of(row.subscriber) if panel is not None else None
    if visit is None:
        return ""
    began = visit.id.removeprefix(f"{visit.terminal}-")
    return visit.id if began.isdigit() and int(began) <= row.at_ms else ""


def _visits_after(partition: Partition, entry: int) -> list[VisitRow]:
    """Return visits that may be open still and stand in the log after the entry before `entry`."""
    log, journal = partition.log, partition.journal
    last = min(entry, journal.next_position) - 1
    reached = next(journal.read(last)).reached if last >= journal.first_position else -1
    start = max(reached + 1, log.position_at(partition.clock_ms - VISIT_MS_MAX), log.first_position)
    return [row for _, frame in log.read(start) for row in visits_of(frame.batch)]
