"""The steps of a race from outside: what comes in, what operations do.

What is asked of the engine is told to the judge when it is acknowledged, and not where its opposite was asked since.
How the engine goes on is in `flow`.
"""

from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import orjson

from engine.dispatch.model import Action, SwitchScope
from state.batch import Row
from state.frame import FrameKind
from tests.simulation.races.books import GREY, HOUR_MS, OFFER, RULES, STAFF, book_of
from tests.simulation.races.flow import FlowSteps

SCOPES = (("rule", "plain"), ("rule", "offer"), ("campaign", "care"), ("channel", "sms"))

_WEIGHTS = {
    "event": 8, "rush": 16, "fact": 7, "settle_fact": 4, "reply": 5, "settle_reply": 3, "activate": 4, "switch": 4,
    "fold": 12, "commit": 12, "feed": 12, "turn": 18, "answer": 10, "tell": 8, "go_on": 10, "pass_time": 8,
    "gateway": 3, "pages": 3, "crash": 1, "arm": 2,
}  # fmt: skip


@dataclass(slots=True)
class Wanted:
    """Something that is asked of the engine until it is acknowledged."""

    subscriber: int
    fact: str
    holds: bool
    before: list[int]
    going: Coroutine[Any, Any, None] | None = None
    """A reply on its way; None where the network has yet to bring it again."""


class Steps(FlowSteps):
    """What a race may do next."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.replies: list[Wanted] = []
        self.weights = {name: weight * self.chance.choice((0, 1, 1, 2, 4)) for name, weight in _WEIGHTS.items()}
        for name in ("event", "rush", "fold", "commit", "feed", "turn", "pass_time"):
            self.weights[name] = max(self.weights[name], _WEIGHTS[name])
        self._n = 0
        self._unsure: list[Callable[[], None]] = []
        self._asked: Counter[object] = Counter()

    # ---- steps: what comes in

    def _event(self) -> None:
        """Calls, often several to the same subscriber."""
        subscriber = self.chance.choice(self.subscribers)
        for _ in range(self.chance.choice((1, 1, 2))):
            self._n += 1
            n, wants = self._n, self.chance.choice((("plain",), ("offer",), ("other",), ("fee",), RULES[:2], RULES[1:]))
            values: dict[str, Any] = {"n": n, "extra": n, **{f"to_{rule}": rule in wants for rule in RULES}}
            late_ms = self.chance.choice((0, 0, 0, 5_000, HOUR_MS, -5_000))
            self.judge.offered(n, subscriber)
            durable = self.life.append([Row("call", subscriber, self.now_ms - late_ms, values)])
            durable.add_done_callback(lambda _, n=n: self.judge.logged(n, self.now_ms))  # type: ignore[misc]  # bound now

    def _fact(self) -> None:
        """Something becomes known of a subscriber, by a row of a feed or a command."""
        subscriber = self.chance.choice(self.subscribers)
        fact, holds = self.chance.choice((STAFF, GREY, f"holds {OFFER}")), self.chance.random() < 0.7
        if fact == f"holds {OFFER}":
            row = Row("profile", subscriber, self.now_ms, {"services": [OFFER] if holds else []})
        else:
            row = Row("list", subscriber, self.now_ms, {"list": fact, "member": holds})
        before = self.judge.known(subscriber)
        self._unsure.append(lambda: self.judge.may_not_hold(subscriber, fact))
        if not holds:
            self.judge.may_not_hold(subscriber, fact)
        is_last = self._last_asked((subscriber, fact))
        self._when_fed(
            self.life.append([row]), lambda: self._know(subscriber, fact, before, holds=holds, stays=is_last())
        )

    def _know(self, subscriber: int, fact: str, before: list[int], *, holds: bool, stays: bool = True) -> None:
        if holds:
            self.judge.holds(subscriber, fact, before)
        if not stays:
            self.judge.may_not_hold(subscriber, fact)

    def _last_asked(self, what: object) -> Callable[[], bool]:
        """Return what tells whether nothing was asked of the same thing since now."""
        self._asked[what] += 1
        number = self._asked[what]
        return lambda: self._asked[what] == number

    def _rush(self) -> None:
        """Calls whose decisions wait at once."""
        self._event()
        self._drain()
        self._feed()

    def _settle_fact(self) -> None:
        """A fact that is acknowledged at once."""
        self._fact()
        self._drain()
        self._feed()

    def _settle_reply(self) -> None:
        """A reply of one for whom something waits, which is acknowledged as soon as nothing is on its way."""
        waiting = [send.what.subscriber for send in self.life.dispatch.sends.values()]
        self._reply_of(self.chance.choice(waiting or self.subscribers))
        self._drain()
        self._go_on()
        self.life.make_durable()
        self._go_on()
        if self.chance.random() < 0.5:
            self._turn()

    def _when_fed(self, durable: Future[None], then: Callable[[], None]) -> None:
        """Do something once a row is acknowledged and dispatch has looked at what follows from it."""
        self._settling.append((durable, then))

    def _reply(self) -> None:
        """A subscriber writes a text; one at a time."""
        self._reply_of(self.chance.choice(self.subscribers))

    def _reply_of(self, subscriber: int) -> None:
        if any(one.subscriber == subscriber for one in self.replies):
            return
        fact, holds = self.chance.choice((("optout", True), ("optout", True), ("optout", False), ("optout.gprs", True)))
        if not holds:
            self.judge.may_not_hold(subscriber, fact)
        self.replies.append(Wanted(subscriber, fact, holds, self.judge.known(subscriber)))
        self._bring(self.replies[-1])

    def _bring(self, wanted: Wanted) -> None:
        words = {"optout": "TD", "optout.gprs": "TD gprs"}[wanted.fact] if wanted.holds else "START"
        flying = self.life.dispatch.reaches(wanted.subscriber)
        self.counted["an opt-out came while a text was in flight"] += flying and wanted.holds
        self.counted["an opt-out came behind a full queue"] += self.life.dispatch.room() == 0 and wanted.holds
        wanted.going = self.life.reply(wanted.subscriber, words)
        self._go_on()

    def _go_on(self) -> None:
        """Replies go as far as they can; the centre brings those again that a crash has cut off."""
        for one in list(self.replies):
            if one.going is None:
                self._bring(one)
                return
            try:
                one.going.send(None)
            except StopIteration:
                self.replies.remove(one)
                self.counted["an opt-out was acknowledged"] += one.holds
                self._know(one.subscriber, one.fact, one.before, holds=one.holds)

    # ---- steps: operations

    def _activate(self) -> None:
        """A changed book."""
        version = self.versions.after(self.judge.versions[-1])
        number = self.judge.asked(version)
        book = book_of(self.setting, version)
        durable = self.life.pipeline.broadcast(FrameKind.ACTIVATION, self.life.put_book(book))
        self._when_fed(durable, lambda: self.judge.activated(number))

    def _switch(self) -> None:
        scope = self.chance.choice(SCOPES)
        if self.chance.random() < 0.5:
            self._resume(scope)
            return
        action = self.chance.choice((Action.PAUSE, Action.PAUSE, Action.KILL))
        self._unsure.append(lambda: self.judge.resumes(scope))
        is_last = self._last_asked(scope)
        durable = self._control(scope, action)
        durable.add_done_callback(lambda _: self.judge.stopped(scope, action.value) if is_last() else None)

    def _resume(self, scope: tuple[str, str]) -> None:
        self._last_asked(scope)
        self.judge.resumes(scope)
        self._control(scope, Action.RESUME)

    def _control(self, scope: tuple[str, str], action: Action) -> Future[None]:
        """Switch as the runtime does: dispatch first, then the log."""
        kind, name = scope
        self.life.dispatch.switch(SwitchScope(kind), name, action, self.now_ms)
        self.life.make_durable()
        payload = orjson.dumps({"action": action.value, "kind": kind, "name": name})
        return self.life.pipeline.broadcast(FrameKind.CONTROL, payload)
