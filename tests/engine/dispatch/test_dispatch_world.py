"""Dispatch in a world of faults: whatever is offered, answered, switched and crashed, the promises hold."""

import random
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from connectors.contract import Outcome, Receipt, ReceiptState, State
from engine.dispatch.core import Core
from engine.dispatch.model import Action, Decided, Scope
from engine.dispatch.outbox import Outbox
from engine.dispatch.policy import ChannelPolicy, Policy
from engine.dispatch.recovery import Compaction, recover
from engine.windows import SendWindow
from state.decisions import OutcomeState, decision_id
from state.disk import SimulatedDisk

START_MS = 1_225_760_400_000  # 2008-11-04 09:00 in Shanghai
HOUR_MS = 3_600_000
DAY_QUOTA, CAMPAIGN_QUOTA = 6, 4
ENDS = {OutcomeState.COMMITTED, OutcomeState.REFUNDED, OutcomeState.UNKNOWN}
TAKEN = {State.ACCEPTED, State.UNKNOWN}

POLICY = Policy(
    channels={
        "sms": ChannelPolicy(
            ("one", "two"),
            windows=(SendWindow.parse("daily 08:00-21:00"),),
            quota_per_day=DAY_QUOTA,
            attempts_max=3,
            retry_ms_min=60_000,
        ),
        "alert": ChannelPolicy(("two",), attempts_max=2),
    },
    campaign_quotas={"care": CAMPAIGN_QUOTA},
    in_flight_max=4,
    awaited_max=50,
)


class ScriptedDoor:
    """A gateway whose answers the test gives."""

    repeatable = False

    def __init__(self):
        self.up, self.free = True, 3

    def room(self):
        return self.free if self.up else 0

    async def send(self, what, now_ms):
        raise AssertionError("the world settles sends itself")


class DispatchWorld(RuleBasedStateMachine):
    """The core, its outbox on a disk that forgets, and what really happened."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed):
        self.chance = random.Random(seed)
        self.disk = SimulatedDisk()
        self.now_ms = START_MS
        self.journal = []
        self.offered = 0
        self.flying = []  # sends handed to a door and not answered
        self.on_wire = Counter()  # decision -> attempts that may have reached somebody
        self.wire_days = []  # (day, decision) of those attempts
        self.accepted = {}  # decision -> (gateway, ids)
        self.log = []
        self.thrown = {}
        self.doors = {"one": ScriptedDoor(), "two": ScriptedDoor()}
        self.open()

    def open(self):
        self.outbox = Outbox(Path("/outbox"), self.disk, segment_bytes=4096)
        self.core = Core(POLICY, self.outbox, self.doors)
        recover(self.core, self.now_ms)
        self.compaction = Compaction(self.core)
        self.offered = self.core.cursors.get("0", 0)
        self.flying = []

    def commit(self):
        self.outbox.flush(self.now_ms)
        self.outbox.sync()

    @rule(
        subscriber=st.integers(1, 3),
        channel=st.sampled_from(["sms", "sms", "alert"]),
        name=st.sampled_from(["a", "b"]),
        campaign=st.sampled_from(["care", "sale"]),
        klass=st.sampled_from(["commercial", "service"]),
        life_ms=st.sampled_from([0, 600_000, 6 * HOUR_MS, 30 * HOUR_MS]),
        priority=st.integers(0, 2),
        age_ms=st.integers(0, 700_000),
    )
    def decide(self, subscriber, channel, name, campaign, klass, life_ms, priority, age_ms):
        identity = decision_id(0, len(self.journal) // 2, len(self.journal) % 2, 7)
        at_ms = self.now_ms - age_ms
        self.journal.append(
            Decided(identity, subscriber, name, campaign, channel, "offer", "text", klass, at_ms, life_ms, priority)
        )

    @rule(twice=st.booleans())
    def offer(self, twice):
        for _ in range(1 + twice):
            self.core.offer(self.journal[self.offered :], {"0": len(self.journal)}, self.now_ms)
        self.offered = len(self.journal)

    @rule(minutes=st.sampled_from([0, 1, 5, 30, 240, 900]))
    def wait(self, minutes):
        self.now_ms += minutes * 60_000

    @rule(crash=st.integers(0, 9))
    def turn(self, crash):
        """Take, commit, hand over; sometimes the lights go out between the steps."""
        attempts = self.core.take(self.now_ms)
        self.check_may_go(attempts)
        if crash == 1:
            return self.lights_out()
        self.outbox.flush(self.now_ms)
        if crash == 2:
            return self.lights_out()
        self.outbox.sync()
        for send in attempts:
            self.on_wire[send.what.decision_id] += 1
            self.wire_days.append((self.core.local.day(self.now_ms), send.what))
            self.flying.append(send)
        if crash == 3:
            return self.lights_out()
        self.compaction.step()
        return None

    def check_may_go(self, attempts):
        hour = self.core.local.at(self.now_ms).hour
        for send in attempts:
            what = send.what
            assert what.expires_ms > self.now_ms, "nothing goes when its shelf life is over"
            assert what.channel != "sms" or 8 <= hour < 21, "nothing goes outside its window"
            names = (("rule", what.rule), ("campaign", what.campaign), ("channel", what.channel))
            assert not any(one in self.thrown for one in names), "nothing paused or killed goes"
            if what.klass == "commercial":
                assert not self.on_wire[what.decision_id], "commercial text goes out once"

    @precondition(lambda self: self.flying)
    @rule(index=st.integers(0, 10), state=st.sampled_from(State), parts=st.integers(0, 2), wish=st.sampled_from([None, 90_000]))
    def answer(self, index, state, parts, wish):
        send = self.flying.pop(index % len(self.flying))
        what = send.what
        ids = tuple(f"{what.decision_id}/{self.on_wire[what.decision_id]}/{part}" for part in range(parts))
        if state is State.ACCEPTED:
            self.accepted[what.decision_id] = (send.gateway, ids)
            if ids and self.chance.random() < 0.3:
                self.core.receipt(Receipt(send.gateway, ids[0], ReceiptState.DELIVERED, "", self.now_ms), self.now_ms)
        if state not in TAKEN:
            self.on_wire[what.decision_id] -= 1
            self.wire_days.remove((send.day, what))
        self.core.settle(send, Outcome(state, "code", ids if state is State.ACCEPTED else (), wish), self.now_ms)

    @precondition(lambda self: self.accepted)
    @rule(index=st.integers(0, 10), state=st.sampled_from(ReceiptState), part=st.integers(0, 1))
    def receive(self, index, state, part):
        gateway, ids = list(self.accepted.values())[index % len(self.accepted)]
        if ids:
            receipt = Receipt(gateway, ids[part % len(ids)], state, "", self.now_ms)
            self.core.receipt(receipt, self.now_ms)

    @rule(forget=st.booleans())
    def tell(self, forget):
        reports = self.core.reports(5)
        self.log.extend(reports)
        if not forget:
            self.core.told(reports)

    @rule(
        scope=st.sampled_from(Scope),
        name=st.sampled_from(["a", "care", "sms", "alert"]),
        action=st.sampled_from([Action.PAUSE, Action.KILL, Action.RESUME, Action.RESUME]),
    )
    def switch(self, scope, name, action):
        self.core.switch(scope, name, action, self.now_ms)
        self.commit()
        if action is Action.RESUME:
            self.thrown.pop((scope.value, name), None)
        else:
            self.thrown[scope.value, name] = action

    @rule(subscriber=st.integers(1, 3))
    def opt_out(self, subscriber):
        self.core.opt_out(subscriber, self.now_ms)

    @rule(name=st.sampled_from(["one", "two"]), up=st.booleans(), free=st.integers(0, 3))
    def change_door(self, name, up, free):
        self.doors[name].up, self.doors[name].free = up, free

    @rule()
    def lights_out(self):
        self.disk.crash(self.chance)
        self.open()

    @rule()
    def compact(self):
        for _ in range(5):
            self.compaction.step()
            self.commit()

    @invariant()
    def one_send_at_a_time_to_a_subscriber(self):
        if not hasattr(self, "core"):
            return
        busy = Counter((send.what.subscriber, send.what.channel) for send in self.flying)
        assert max(busy.values(), default=0) <= 1
        assert self.core.in_flight == len(self.flying) <= POLICY.in_flight_max

    @invariant()
    def no_quota_is_exceeded(self):
        if not hasattr(self, "core"):
            return
        sms = Counter(day for day, what in self.wire_days if what.channel == "sms")
        care = Counter(day for day, what in self.wire_days if what.campaign == "care")
        assert max(sms.values(), default=0) <= DAY_QUOTA
        assert max(care.values(), default=0) <= CAMPAIGN_QUOTA

    def teardown(self):
        """In peace, everything comes to exactly one end, and the log has it."""
        if not hasattr(self, "core"):
            return
        for door in self.doors.values():
            door.up, door.free = True, 3
        for scope, name in list(self.thrown):
            self.switch(Scope(scope), name, Action.RESUME)
        self.offer(twice=True)
        for _ in range(200):
            self.turn(0)
            while self.flying:
                self.answer(0, State.ACCEPTED, 0, None)
            self.commit()
            while reports := self.core.reports(100):
                self.log.extend(reports)
                self.core.told(reports)
            self.now_ms += 2 * HOUR_MS
            if not self.core.sends and not self.core.unreported:
                break
        ends = {what.decision_id: set() for what in self.journal}
        for report in self.log:
            if report.state in ENDS:
                ends[report.decision_id].add(report.state)
        assert {identity: len(states) for identity, states in ends.items() if len(states) != 1} == {}
        for identity, states in ends.items():
            if OutcomeState.REFUNDED in states:
                assert not self.on_wire[identity], "what is refunded reached nobody"
            if identity in self.accepted:
                assert states <= {OutcomeState.COMMITTED, OutcomeState.UNKNOWN}


DispatchWorld.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestDispatchWorld = DispatchWorld.TestCase
