"""The desk as the engine sees it: visits in, cards in, answers out.

    desk = Desk(MemoryQueue(...), on_visit, on_answer, config)

The engine gives two callbacks, each resolving once the log has it durably:

- `on_visit(visit)` for a visit opened (`visit.open`) or closed (`visit.cause`). It may return what is known of the
  customer.
- `on_answer(card, answer)` for every card's one end: accept, decline, later, expired or withdrawn.

Both are told at least once, in order for one terminal, across crashes of whoever told them (`model` says how); the
card's decision id and the visit's id name the doubles. A clerk's answer is confirmed to the page only after `on_answer`
resolved.

`offer` puts a card before the clerk where its subscriber stands. `withdraw` takes cards back, as when a rule is killed.
A Desk belongs to one event loop. It never waits for a page: a terminal that is away gets the current state when it
returns.
"""

import asyncio
import contextlib
import functools
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Literal, TypeVar

from connectors.desk import model
from connectors.desk.config import DeskConfig
from connectors.desk.model import Answer, Card, CardState, Cause, Customer, Note, Panel, Placing, Reply, Ruling, Visit
from connectors.desk.queue import Change, Queue, QueueLostError, end

OWED_MAX = 256
ATTEMPTS_MAX = 32
SWEEP_PANELS_MAX = 256
STOP_S_MAX = 5
VISIT_LOOK_MS = 50

OnVisit = Callable[[Visit], Awaitable[Customer | None]]
OnAnswer = Callable[[Card, Answer], Awaitable[None]]
T = TypeVar("T")
log = logging.getLogger(__name__)


class NotDurableError(Exception):
    """The change stands on the panel, but the log has not taken it yet. It is offered again until it does."""


class BehindError(Exception):
    """A terminal owes the log too much; it takes nothing new until the log does."""


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
    ) -> None:
        self.queue = queue
        self.where = where
        self.config = config or DeskConfig()
        self.clock = clock
        self.pages = 0
        self.counts: Counter[str] = Counter()
        self._on_visit = on_visit
        self._on_answer = on_answer
        self._refused = False
        self._telling: dict[str, asyncio.Task[None]] = {}
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the queue and begin to look for what runs out."""
        await self.queue.start()
        self._sweeper = asyncio.create_task(self._sweep_forever(), name="desk sweep")

    async def stop(self) -> None:
        """End the sweep, the pages' watches and the queue; what is owed stays in the queue."""
        if self._sweeper is not None:
            await end(self._sweeper)
        if self._telling:
            _, late = await asyncio.wait(list(self._telling.values()), timeout=STOP_S_MAX)
            for task in late:
                task.cancel()
        await self.queue.stop()

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
        """Open a visit, closing who stood there and moving the subscriber here from another counter.

        `logged` says that the log has the visit already, so that it is not told again.
        """
        now = self.clock()
        visit = Visit(
            id=visit_id, terminal=terminal, subscriber=subscriber, opened_ms=now, customer=customer or Customer()
        )
        for _ in range(ATTEMPTS_MAX):
            elsewhere = await self.queue.find("subscriber", subscriber)
            here = await self.queue.read(terminal)
            there = await self.queue.read(elsewhere) if elsewhere not in {"", terminal} else None
            standing = there.open_visit if there is not None else None
            if there is not None and standing is not None and standing.subscriber == subscriber:
                left, after = model.moved(there, here, visit, now, logged=logged)
                pairs: tuple[tuple[Panel, Panel], ...] = ((there, left), (here, after))
            else:
                after = model.opened(here, visit, now, logged=logged)
                pairs = ((here, after),)
            self._refuse_when_behind(here, after)
            if await self.queue.write(Change(pairs, {subscriber: elsewhere})):
                for _, panel in pairs:
                    await self._tell(panel)
                assert after.visit is not None
                return after.visit
        raise BehindError(f"terminal {terminal}: {ATTEMPTS_MAX} attempts to open visit {visit_id} met other changes")

    async def restore(self, terminal: str, subscriber: int, visit_id: str, opened_ms: int) -> bool:
        """Open a visit that the log holds, unless something as new stands there; whether it was opened.

        After a restart nobody knows whether a visit from the log came as far as the desk.
        """
        panels = (await self.queue.read(terminal), await self.queue.look("subscriber", subscriber))
        if any(
            panel is not None and panel.visit is not None and panel.visit.opened_ms >= opened_ms for panel in panels
        ):
            return False
        await self.open_visit(terminal, subscriber, visit_id, logged=True)
        return True

    async def close_visit(self, visit_id: str, cause: Cause = Cause.DONE) -> Visit | None:
        """Close a visit; None when it is unknown. A closed one stays as it was closed."""
        found = await self._known("visit", visit_id)
        if found is None:
            return None

        def close(panel: Panel, now: int) -> tuple[Panel, Visit | None]:
            if panel.visit is None or panel.visit.id != visit_id:
                return panel, None
            after = model.closed(panel, cause, now)
            return after, after.visit

        panel, visit = await self._change(found.terminal, close, found)
        await self._tell(panel)
        return visit

    async def keep_visit(self, visit_id: str) -> bool:
        """Count activity at the counter; whether the visit is open."""
        found = await self._known("visit", visit_id)
        if found is None:
            return False

        def touch(panel: Panel, now: int) -> tuple[Panel, bool]:
            if panel.open_visit is None or panel.open_visit.id != visit_id:
                return panel, False
            return model.touched(panel, now), True

        return (await self._change(found.terminal, touch, found))[1]

    async def introduce(self, subscriber: int, customer: Customer) -> bool:
        """Say who the customer is; whether the subscriber stands at a counter."""
        found = await self.queue.look("subscriber", subscriber)
        if found is None:
            return False

        def introduce(panel: Panel, now: int) -> tuple[Panel, bool]:
            if panel.open_visit is None or panel.open_visit.subscriber != subscriber:
                return panel, False
            return model.introduced(panel, customer, now), True

        return (await self._change(found.terminal, introduce, found))[1]

    # Sessions

    async def seat(self, terminal: str, session: int) -> bool:
        """Give a terminal to a session whose page is served here; whether no later sign-in has it."""
        panel, _ = await self._change(
            terminal, lambda panel, now: (model.seated(panel, session, self.where, now), None)
        )
        return self.may_act(panel, session)

    @staticmethod
    def may_act(panel: Panel, session: int) -> bool:
        """Whether nobody signed in at the panel's terminal after this session."""
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
        for _ in range(0, until_ms, VISIT_LOOK_MS):
            if placing is not Placing.NO_VISIT:
                break
            await asyncio.sleep(VISIT_LOOK_MS / 1_000)
            placing = await self._place(to, timed)
        self.counts[f"offer_{placing.value}"] += 1
        return placing

    async def _place(self, to: int | str, card: Card) -> Placing:
        found = await (self.queue.look("subscriber", to) if isinstance(to, int) else self.queue.read(to))
        placing = Placing.NO_VISIT
        if found is not None:

            def place(panel: Panel, now: int) -> tuple[Panel, Placing]:
                return model.placed(panel, card, self.config.cards_max, now)

            placing = (await self._change(found.terminal, place, found))[1]
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
        found = await self._known("card", decision_id)
        if found is None:
            return Ruling.UNKNOWN, None

        def reply_to(panel: Panel, now: int) -> tuple[Panel, Ruling]:
            return model.answered(panel, decision_id, reply, note, now)

        panel, ruling = await self._change(found.terminal, reply_to, found)
        await self._tell(panel)
        card = panel.card(decision_id)
        if card is None:
            card = await self.queue.card(decision_id)
            ruling = model.ruled(card, reply, note) if card else Ruling.UNKNOWN
        self.counts[f"answer_{reply.value if ruling is Ruling.RECORDED else ruling.value}"] += 1
        return ruling, card

    async def withdraw(self, kind: Literal["rule", "campaign", "decision_id"], value: str) -> tuple[str, ...]:
        """Take back every live card of a rule, campaign or decision; return their decision ids."""
        taken: list[str] = []

        def take(panel: Panel, now: int) -> tuple[Panel, list[str]]:
            chosen = [card.decision_id for card in panel.live if getattr(card, kind) == value]
            return model.withdrawn(panel, lambda card: card.decision_id in chosen, now), chosen

        for terminal in await self.queue.holding(kind, value):
            panel, chosen = await self._change(terminal, take)
            taken += chosen
            with contextlib.suppress(NotDurableError):
                await self._tell(panel)
        self.counts["withdrawn"] += len(taken)
        return tuple(taken)

    async def drawn(self, terminal: str, decision_ids: frozenset[str]) -> None:
        """Remember that these cards reached a page."""
        await self._change(terminal, lambda panel, now: (model.drawn(panel, decision_ids, now), None))

    def watch(self, terminal: str) -> AsyncGenerator[Panel | None]:
        """Yield a terminal's panel now and after every change; None while the queue is out of reach."""
        return self.queue.watch(terminal)

    def status(self) -> dict[str, int | str]:
        """Return counts since the start, for metrics and the status table."""
        reach = "ok" if self.queue.within_reach else "lost"
        return {"queue": reach, "pages": self.pages, **dict(sorted(self.counts.items()))}

    # Changing panels and telling the log

    async def _known(self, kind: Literal["visit", "card"], key: str) -> Panel | None:
        """Return the panel where a visit or card was last; QueueLostError where one not found may still come back."""
        found = await self.queue.look(kind, key)
        if found is None and self.queue.recalling:
            raise QueueLostError(f"{kind} {key} is not known, and what was forgotten may still come back")
        return found

    async def _change(
        self, terminal: str, turn: Callable[[Panel, int], tuple[Panel, T]], known: Panel | None = None
    ) -> tuple[Panel, T]:
        """Apply a change by compare-and-set, first to the panel as `known`; one that stays as it was is not written."""
        for _ in range(ATTEMPTS_MAX):
            before = known or await self.queue.read(terminal)
            known = None
            after, result = turn(before, self.clock())
            if after is before:
                return before, result
            self._refuse_when_behind(before, after)
            if await self.queue.write(Change(((before, after),))):
                return after, result
        raise BehindError(f"terminal {terminal}: {ATTEMPTS_MAX} attempts to change its panel met other changes")

    @staticmethod
    def _refuse_when_behind(before: Panel, after: Panel) -> None:
        if len(after.owed) > max(OWED_MAX, len(before.owed)):
            raise BehindError(
                f"terminal {after.terminal}: owed={len(after.owed)} notes to the log must be <= {OWED_MAX}"
            )

    async def _tell(self, panel: Panel) -> None:
        """Tell the log what this terminal owes it, one teller a terminal in this process."""
        while panel.owed:
            task = self._telling.get(panel.terminal)
            if task is None or task.done():
                task = asyncio.create_task(self._tell_all(panel), name=f"desk tells of {panel.terminal}")
                self._telling[panel.terminal] = task
                task.add_done_callback(functools.partial(self._told, panel.terminal))
                await asyncio.shield(task)
                return
            # Somebody tells already: wait, then look at what is still owed of ours.
            await asyncio.shield(task)
            owed = {note.key for note in panel.owed}
            now = await self.queue.read(panel.terminal)
            panel = now if any(note.key in owed for note in now.owed) else panel.model_copy(update={"owed": ()})

    def _told(self, terminal: str, done: asyncio.Task[None]) -> None:
        if self._telling.get(terminal) is done:
            del self._telling[terminal]
        if not done.cancelled():
            done.exception()  # whoever waited has seen it; when nobody waits any more, the sweep repeats it

    async def _tell_all(self, panel: Panel) -> None:
        told: set[str] = set()
        try:
            for note in panel.owed:
                await self._tell_one(note)
                told.add(note.key)
        except Exception as fault:
            self.counts["not_durable"] += 1
            level = logging.DEBUG if self._refused else logging.WARNING
            self._refused = True
            log.log(level, "desk: terminal %s: the log did not take %s: %r", panel.terminal, note.key, fault)
            raise NotDurableError(f"{note.key}: {fault}") from fault
        finally:
            if told:
                self._refused = False
                keys = frozenset(told)
                await self._change(panel.terminal, lambda p, now: (model.settled(p, keys, now), None), panel)

    async def _tell_one(self, note: Note) -> None:
        if note.card is not None:
            await self._on_answer(note.card, note.card.answer)
            self.counts[f"end_{note.card.state.value}"] += 1
            return
        assert note.visit is not None, f"note {note.key} holds neither visit nor card"
        customer = await self._on_visit(note.visit)
        self.counts["visits_opened" if note.visit.open else "visits_closed"] += 1
        if customer is not None and note.visit.open:
            await self.introduce(note.visit.subscriber, customer)

    # What runs out

    async def sweep(self) -> int:
        """Let time pass for every panel that is due; return how many were looked at."""
        terminals = await self.queue.due(self.clock(), SWEEP_PANELS_MAX)
        for terminal in terminals:
            try:
                panel, _ = await self._change(terminal, self._let_time_pass)
            except BehindError:
                panel = await self.queue.read(terminal)  # first what it owes, then what has run out
            with contextlib.suppress(NotDurableError):
                await self._tell(panel)
        return len(terminals)

    def _let_time_pass(self, panel: Panel, now: int) -> tuple[Panel, None]:
        return model.lapsed(panel, self.config.visit_idle_ms, now), None

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(self.config.sweep_ms / 1_000)
            try:
                while await self.sweep() == SWEEP_PANELS_MAX:
                    pass
            except QueueLostError:
                continue
            except Exception:
                log.exception("desk: the sweep failed, it goes on in %d ms", self.config.sweep_ms)
