"""One seed, one race on one machine: a few subscribers, and all that may stop a text while it waits.

Time is a number that the race moves, never back. After the drawn steps everything comes to rest, under the judge's
eyes. What a race does is in `steps` and `flow`.
"""

from collections.abc import Callable
from unittest.mock import patch

from engine.dispatch import replies
from tests.simulation.judges import BrokenError
from tests.simulation.machine import PowerCut
from tests.simulation.races.books import HOUR_MS, book_of
from tests.simulation.races.flow import START_MS
from tests.simulation.races.life import RaceLife, answered
from tests.simulation.races.steps import SCOPES, Steps

STEPS = 60
TURNS_MAX = 200


class Race(Steps):
    """The history of one seed."""

    # ---- the course of a race

    def run(self) -> None:
        """Live through the drawn steps, then come to rest."""
        with patch.object(replies, "answered", answered):
            self._run()

    def _run(self) -> None:
        self._start()
        names, weights = list(self.weights), list(self.weights.values())
        for step in range(1, STEPS + 1):
            self.step = step
            self.do(self.chance.choices(names, weights)[0])
        self._finish()

    def do(self, name: str) -> None:
        """Take one step; survive what it may do to the machine."""
        self.clock.go(self.chance.randint(1, 60))
        self.trace.append(f"{self.step} {name} at {self.now_ms - START_MS}")
        action: Callable[[], None] = getattr(self, f"_{name}")
        try:
            action()
        except PowerCut as cut:
            self.trace.append(f"  power cut before: {cut}")
            self._crash()
        self.judge.look(self.gateway.record)

    def _finish(self) -> None:
        self.machine.cut_after(None)
        self.gateway.fault_share = min(self.gateway.fault_share, 0.2)
        for scope in SCOPES:
            self._resume(scope)
        for turn in range(TURNS_MAX):
            self.step += 1
            for name in ("up", "drain", "go_on", "drain", "feed", "turn", "answer_all", "go_on", "tell", "drain"):
                self.do(name)
            if self._at_rest():
                return
            self.clock.go(61_000 if turn < 20 else 3 * HOUR_MS)
        life = self.life
        raise BrokenError(
            "everything comes to rest",
            f"{[send.what for send in life.dispatch.sends.values()][:3]} fed={life.feeder.idle} busy={life.busy} "
            f"owed={len(life.dispatch.unreported)} replies={self.replies[:3]}",
        )

    def _at_rest(self) -> bool:
        life = self.life
        return not (
            life.busy or not life.feeder.idle or life.dispatch.sends or life.dispatch.unreported or life.flights
            or life.told or self.replies
        )  # fmt: skip

    # ---- starting and dying

    def _start(self) -> None:
        book = book_of(self.setting, self.judge.versions[-1])
        while True:
            if self.chance.random() < 0.15 and self.step:
                self.machine.cut_after(self.chance.randint(0, 60))
            try:
                self.life = RaceLife(self.size, self.machine, self.gateway, book, self.clock)  # type: ignore[arg-type]  # a far side, too
                break
            except PowerCut:
                self.counted["crash in recovery"] += 1
                self.machine.lose_power(self.chance)
        self.machine.cut_after(None)
        self.life.dispatcher.launcher.hand_over = self._hand_over
        self.judge.activated(len(self.judge.versions) - 1)
        # As the runtime does: what was taken back, and what is owed to the log, come before anything is sent or let in.
        self.life.look_ahead()
        self.report()

    def _crash(self) -> None:
        life = self.life
        self.counted["crash"] += 1
        self.counted["killed between submit and answer"] += bool(life.flights)
        self.counted["killed during an opt-out"] += any(one.going is not None for one in self.replies)
        for one in self.replies:
            if one.going is not None:
                one.going.close()
                one.going = None
        if self.chance.random() < 0.6:
            self.machine.lose_power(self.chance)
        else:
            self.machine.kill(self.chance)
        self._forget_acknowledgements()
        self.clock.go(self.chance.choice((1, 1_000, 60_000, 2 * HOUR_MS, 7 * HOUR_MS)))
        self._start()

    def _forget_acknowledgements(self) -> None:
        """Nobody is told any more of what was on its way; it may be in the log, or not."""
        for n, event in self.judge.events.items():
            if event.by_ms > self.now_ms:
                self.judge.logged(n, self.now_ms)
        for forget in self._unsure:
            forget()
        self._unsure, self._settling = [], []
