"""The desk as the engine sees it: visits in, cards in, answers out.

    desk = Desk(MemoryQueue(...), on_visit, on_answer, config)

The engine gives two callbacks, each resolving once the log has it durably:

- `on_visit(visit)` for a visit opened (`visit.open`) or closed (`visit.cause`). It may return what is known of the
  customer.
- `on_answer(card, answer)` for every card's one end: accept, decline, later, expired or withdrawn.

A third, `on_opt_out(subscriber)`, puts a customer who says so at the counter on the list of those who want no texts.

The first two are called at least once, in order for one terminal, across crashes of this process (`changes` says how);
the card's decision id and the visit's id identify the doubles. A clerk's answer is confirmed to the page only after
`on_answer` resolved.

`offer` puts a card before the clerk where its subscriber stands. `withdraw` takes cards back, as when a rule is killed.
Panels change in `panels`, what they owe the log is reported by `reporter`, what runs out is found by `sweep`. A Desk
belongs to one event loop. It never waits for a page: a terminal that is away gets the current state when it returns.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import Literal

from connectors.desk import changes
from connectors.desk.config import DeskConfig
from connectors.desk.model import Card, CardState, Cause, Customer, Panel, Placing, Reply, Ruling, Visit
from connectors.desk.panels import ATTEMPTS_MAX, BehindError, Panels, refuse_when_behind
from connectors.desk.queue import Change, Queue
from connectors.desk.reporter import NotDurableError, OnAnswer, OnOptOut, OnVisit, Reporter
from connectors.desk.sweep import Sweep

VISIT_POLL_MS = 50

__all__ = ["BehindError", "Desk", "NotDurableError", "now_ms"]


def now_ms() -> int:
    """Return the wall clock, for desks outside tests."""
    return time.time_ns() // 1_000_000


class Desk:
    """Visits, cards and answers over one queue."""

    def __init__(
        self,
        queue: Queue,
        on_visit: OnVisit,
        on_answer: OnAnswer,
        config: DeskConfig | None = None,
        clock: Callable[[], int] = now_ms,
        where: str = "",
        on_opt_out: OnOptOut | None = None,
    ) -> None:
        self.queue = queue
        self.where = where
        self.on_opt_out = on_opt_out
        self.config = config or DeskConfig()
        self.clock = clock
        self.pages = 0
        self.counts: Counter[str] = Counter()
        self._panels = Panels(queue, clock)
        self._reporter = Reporter(self._panels, on_visit, on_answer, self.introduce, self.counts)
        self._sweep = Sweep(self._panels, self._reporter, self.config)

    async def start(self) -> None:
        """Open the queue and begin to sweep for what runs out."""
        await self.queue.start()
        self._sweep.start()

    async def stop(self) -> None:
        """End the sweep, the pages' watches and the queue; what is owed stays in the queue."""
        await self._sweep.stop()
        await self._reporter.stop()
        await self.queue.stop()

    async def sweep(self) -> int:
        """Let time pass now for every panel that is due; return how many were looked at."""
        return await self._sweep.once()

    # Visits

    async def open_visit(
        self,
        terminal: str,
        subscriber: int,
        visit_id: str,
        customer: Customer | None = None,
        *,
        logged: bool = False,
    ) -> Visit:
        """Open a visit, closing the one that stood there and moving the subscriber here from another counter.

        `logged` says that the log has the visit already, so that it is not reported again.
        """
        now = self.clock()
        visit = Visit(
            id=visit_id, terminal=terminal, subscriber=subscriber, opened_ms=now, customer=customer or Customer()
        )
        for _ in range(ATTEMPTS_MAX):
            elsewhere = await self.queue.find("subscriber", subscriber)
            here = await self.queue.read(terminal)
            there = await self.queue.read(elsewhere) if elsewhere not in {"", terminal} else None
            if there is not None and subscriber in there.subscribers:
                left, after = changes.moved(there, here, visit, now, logged=logged)
                pairs: tuple[tuple[Panel, Panel], ...] = ((there, left), (here, after))
            else:
                after = changes.opened(here, visit, now, logged=logged)
                pairs = ((here, after),)
            refuse_when_behind(here, after)
            if await self.queue.write(Change(pairs, {subscriber: elsewhere})):
                for _, panel in pairs:
                    await self._reporter.report(panel)
                assert after.visit is not None
                return after.visit
        raise BehindError(f"terminal {terminal}: {ATTEMPTS_MAX} attempts to open visit {visit_id} met other changes")

    async def restore(self, terminal: str, subscriber: int, visit_id: str, opened_ms: int) -> bool:
        """Open a visit that the log holds, unless something as new stands there; whether it was opened.

        After a restart it is not known whether a visit from the log came as far as the desk.
        """
        here, there = await self.queue.read(terminal), await self.queue.find_panel("subscriber", subscriber)
        stands = there.visit_of(subscriber) if there is not None else None
        if any(visit is not None and visit.opened_ms >= opened_ms for visit in (here.visit, stands)):
            return False
        await self.open_visit(terminal, subscriber, visit_id, logged=True)
        return True

    async def close_visit(self, visit_id: str, cause: Cause = Cause.DONE) -> Visit | None:
        """Close a visit; None when it is unknown. A closed one stays as it was closed."""
        found = await self._panels.find("visit", visit_id)
        if found is None:
            return None

        def close(panel: Panel, now: int) -> tuple[Panel, Visit | None]:
            if panel.visit is None or panel.visit.id != visit_id:
                return panel, None
            after = changes.closed(panel, cause, now)
            return after, after.visit

        panel, visit = await self._panels.change(found.terminal, close, found)
        await self._reporter.report(panel)
        return visit

    async def keep_visit(self, visit_id: str) -> bool:
        """Count activity at the counter; whether the visit is open."""
        found = await self._panels.find("visit", visit_id)
        if found is None:
            return False

        def touch(panel: Panel, now: int) -> tuple[Panel, bool]:
            if panel.open_visit is None or panel.open_visit.id != visit_id:
                return panel, False
            return changes.touched(panel, now), True

        return (await self._panels.change(found.terminal, touch, found))[1]

    async def opt_out(self, visit_id: str) -> bool:
        """Send the customer of a visit no more commercial texts; return whether the visit is open, once that holds."""
        found = await self._panels.find("visit", visit_id)
        visit = found.open_visit if found is not None else None
        if visit is None or visit.id != visit_id:
            return False
        try:
            if not visit.opted_out and self.on_opt_out is not None:
                await self.on_opt_out(visit.subscriber)
        except Exception as fault:
            raise NotDurableError(f"an opt-out: {fault}") from fault
        await self._panels.change(visit.terminal, lambda panel, now: (changes.opted_out(panel, visit_id, now), None))
        return True

    async def introduce(self, subscriber: int, customer: Customer) -> bool:
        """Set what is known of the customer; return whether the subscriber stands at a counter."""
        found = await self.queue.find_panel("subscriber", subscriber)
        if found is None:
            return False

        def introduce(panel: Panel, now: int) -> tuple[Panel, bool]:
            if panel.open_visit is None or panel.open_visit.subscriber != subscriber:
                return panel, False
            return changes.introduced(panel, customer, now), True

        return (await self._panels.change(found.terminal, introduce, found))[1]

    # Sessions

    async def seat(self, terminal: str, session: int) -> bool:
        """Give a terminal to a session whose page is served here; whether no later sign-in has it."""
        panel, _ = await self._panels.change(
            terminal, lambda panel, now: (changes.seated(panel, session, self.where, now), None)
        )
        return self.may_act(panel, session)

    @staticmethod
    def may_act(panel: Panel, session: int) -> bool:
        """Whether no other session signed in at the panel's terminal after this one."""
        return panel.seat is None or panel.seat.session <= session

    # Cards

    @property
    def within_reach(self) -> bool:
        """Whether cards could be offered."""
        return self.queue.within_reach

    async def offer(self, to: int | str, card: Card) -> Placing:
        """Put a card on the panel of a subscriber (int) or terminal (str), if its subscriber stands there now.

        Where panels are shared, another process may be about to bring the visit: the card waits for it a moment.
        """
        timed = self._timed(card)
        until_ms = self.config.redis.visit_wait_ms if self.config.queue == "redis" else 0
        placing = await self._place(to, timed)
        for _ in range(0, until_ms, VISIT_POLL_MS):
            if placing is not Placing.NO_VISIT:
                break
            await asyncio.sleep(VISIT_POLL_MS / 1_000)
            placing = await self._place(to, timed)
        self.counts[f"offer_{placing.value}"] += 1
        return placing

    async def _place(self, to: int | str, card: Card) -> Placing:
        found = await (self.queue.find_panel("subscriber", to) if isinstance(to, int) else self.queue.read(to))
        placing = Placing.NO_VISIT
        if found is not None:

            def place(panel: Panel, now: int) -> tuple[Panel, Placing]:
                return changes.placed(panel, card, self.config.cards_max, now)

            placing = (await self._panels.change(found.terminal, place, found))[1]
        if placing not in {Placing.SHOWN, Placing.ENDED}:
            known = await self.queue.card(card.decision_id)
            if known is not None and known.state is not CardState.LIVE:
                return Placing.ENDED
        return placing

    def _timed(self, card: Card) -> Card:
        end_ms = card.expires_ms or self.clock() + self.config.card_life_ms
        return card.model_copy(update={"expires_ms": end_ms})

    async def answer(self, decision_id: str, reply: Reply, note: str = "") -> tuple[Ruling, Card | None]:
        """Record a clerk's answer and wait until the log has it; NotDurableError when the log would not take it yet."""
        found = await self._panels.find("card", decision_id)
        if found is None:
            return Ruling.UNKNOWN, None

        def reply_to(panel: Panel, now: int) -> tuple[Panel, Ruling]:
            return changes.answered(panel, decision_id, reply, note, now)

        panel, ruling = await self._panels.change(found.terminal, reply_to, found)
        await self._reporter.report(panel)
        card = panel.card(decision_id)
        if card is None:
            card = await self.queue.card(decision_id)
            ruling = changes.ruled(card, reply, note) if card else Ruling.UNKNOWN
        self.counts[f"answer_{reply.value if ruling is Ruling.RECORDED else ruling.value}"] += 1
        return ruling, card

    async def withdraw(self, kind: Literal["rule", "campaign", "decision_id"], value: str) -> tuple[str, ...]:
        """Take back every live card of a rule, campaign or decision; return their decision ids."""
        taken: list[str] = []

        def take(panel: Panel, now: int) -> tuple[Panel, list[str]]:
            held = (*panel.live, *panel.left)
            chosen = [card.decision_id for card in held if getattr(card, kind) == value]
            return changes.withdrawn(panel, lambda card: card.decision_id in chosen, now), chosen

        for terminal in await self.queue.holding(kind, value):
            panel, chosen = await self._panels.change(terminal, take)
            taken += chosen
            with contextlib.suppress(NotDurableError):
                await self._reporter.report(panel)
        self.counts["withdrawn"] += len(taken)
        return tuple(taken)

    async def drawn(self, terminal: str, decision_ids: frozenset[str]) -> None:
        """Remember that these cards reached a page."""
        _, fresh = await self._panels.change(terminal, lambda panel, now: changes.drawn(panel, decision_ids, now))
        self.counts["cards_drawn"] += fresh

    def watch(self, terminal: str) -> AsyncGenerator[Panel | None]:
        """Yield a terminal's panel now and after every change; None while the queue is out of reach."""
        return self.queue.watch(terminal)

    def status(self) -> dict[str, int | str]:
        """Return counts since the start, for metrics and the status table."""
        reach = "ok" if self.queue.within_reach else "lost"
        return {"queue": reach, "pages": self.pages, **dict(sorted(self.counts.items()))}
