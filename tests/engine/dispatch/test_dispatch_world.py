"""Dispatch in a world of faults: whatever is offered, answered, switched and crashed, the promises hold."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from connectors.contract import ReceiptState, State
from engine.dispatch.model import Action, SwitchScope
from tests.engine.dispatch.scripted import HOUR_MS, World

LIVES_MS = [0, 600_000, 6 * HOUR_MS, 30 * HOUR_MS]
LIGHTS = ["", "", "", "", "", "", "take", "flush", "handing over"]


def live(seed: int, steps: int) -> None:
    """Live through a random history."""
    world = World(seed)
    pick = world.chance.choice
    below = world.chance.randrange
    for _ in range(steps):
        match below(25):
            case 0 | 1 | 2 | 3 | 4:
                who, where = 1 + below(2), pick(["sms", "sms", "alert"])
                about = (pick("ab"), pick(["care", "sale"]), pick(["commercial", "commercial", "service"]))
                world.decide(who, where, *about, pick(LIVES_MS), below(3), below(300_000))
            case 5 | 6:
                world.offer(twice=below(4) == 0)
            case 7 | 8 | 9 | 10 | 11:
                world.turn(pick(LIGHTS))
            case 12 | 13 | 14 | 15:
                wish = pick([None, 90_000])
                world.answer(below(9), pick([State.ACCEPTED, *State]), below(3), wish, early=below(3) == 0)
            case 16 if below(2) == 0:
                world.answer_late(below(99))
            case 16:
                world.receive(below(99), pick(list(ReceiptState)), below(2))
            case 17 | 18:
                world.tell(below(6), forget=below(5) == 0)
            case 19:
                world.now_ms += pick([0, 1, 1, 5, 5, 30, 240, 900]) * 60_000
            case 20 if below(2) == 0:
                what = pick(
                    [
                        (SwitchScope.RULE, "a"),
                        (SwitchScope.RULE, "b"),
                        (SwitchScope.CAMPAIGN, "care"),
                        (SwitchScope.CHANNEL, "sms"),
                    ]
                )
                world.switch(*what, pick([Action.PAUSE, Action.PAUSE, Action.KILL]))
            case 21:
                for scope, name in list(world.switches)[:2]:
                    world.switch(SwitchScope(scope), name, Action.RESUME)
            case 24:
                world.compact()
            case 22 if below(8) == 0:
                world.opt_out(1 + below(2))
            case 23:
                world.change_door(pick(["one", "two"]), below(3) > 0, below(4))
        world.check()
    world.peace()


@pytest.mark.parametrize("seeds", [range(at, at + 40) for at in range(0, 160, 40)], ids=str)
def test_whatever_happens_the_promises_hold(seeds: range) -> None:
    for seed in seeds:
        live(seed, 250)


class DispatchWorld(RuleBasedStateMachine):
    """The same world, its history chosen by Hypothesis, which makes it short when a promise is broken."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.world = World(seed)

    @rule(
        subscriber=st.integers(1, 3),
        channel=st.sampled_from(["sms", "sms", "alert"]),
        name=st.sampled_from(["a", "b"]),
        campaign=st.sampled_from(["care", "sale"]),
        klass=st.sampled_from(["commercial", "service"]),
        life_ms=st.sampled_from(LIVES_MS),
        priority=st.integers(0, 2),
        count=st.integers(1, 4),
        twice=st.booleans(),
    )
    def decide(
        self,
        subscriber: int,
        channel: str,
        name: str,
        campaign: str,
        klass: str,
        life_ms: int,
        priority: int,
        count: int,
        twice: bool,
    ) -> None:
        for _ in range(count):
            self.world.decide(subscriber, channel, name, campaign, klass, life_ms, priority, 0)
        self.world.offer(twice)

    @rule(minutes=st.sampled_from([0, 1, 5, 30, 240, 900]))
    def wait(self, minutes: int) -> None:
        self.world.now_ms += minutes * 60_000

    @rule(lights=st.sampled_from(LIGHTS))
    def turn(self, lights: str) -> None:
        self.world.turn(lights)

    @rule(
        index=st.integers(0, 9),
        state=st.sampled_from(State),
        parts=st.integers(0, 2),
        wish=st.sampled_from([None, 90_000]),
        early=st.booleans(),
    )
    def answer(self, index: int, state: State, parts: int, wish: int | None, early: bool) -> None:
        self.world.answer(index, state, parts, wish, early)

    @rule(index=st.integers(0, 9), state=st.sampled_from(ReceiptState), part=st.integers(0, 1))
    def receive(self, index: int, state: ReceiptState, part: int) -> None:
        self.world.receive(index, state, part)

    @rule(count=st.integers(1, 5), forget=st.booleans())
    def tell(self, count: int, forget: bool) -> None:
        self.world.tell(count, forget)

    @rule(
        scope=st.sampled_from(SwitchScope),
        name=st.sampled_from(["a", "care", "sms", "alert"]),
        action=st.sampled_from([Action.PAUSE, Action.KILL, Action.RESUME, Action.RESUME]),
    )
    def switch(self, scope: SwitchScope, name: str, action: Action) -> None:
        self.world.switch(scope, name, action)

    @rule(subscriber=st.integers(1, 3))
    def opt_out(self, subscriber: int) -> None:
        self.world.opt_out(subscriber)

    @rule(name=st.sampled_from(["one", "two"]), up=st.booleans(), free=st.integers(0, 3))
    def change_door(self, name: str, up: bool, free: int) -> None:
        self.world.change_door(name, up, free)

    @rule()
    def lights_out(self) -> None:
        self.world.lights_out()

    @rule()
    def compact(self) -> None:
        self.world.compact()

    @invariant()
    def promises_hold(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.peace()


DispatchWorld.TestCase.settings = settings(
    max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestDispatchWorld = DispatchWorld.TestCase
