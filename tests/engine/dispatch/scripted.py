"""Dispatch with doors that answer as they are told, and everything that must hold of it."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

from connectors.contract import Outcome, Receipt, ReceiptState, State
from engine.dispatch.core import DispatchCore
from engine.dispatch.model import Action, Decided, Report, Send, SwitchScope
from engine.dispatch.opted_out import OptOut
from engine.dispatch.outbox import LocalOutbox
from engine.dispatch.policy import ChannelPolicy, Policy
from engine.dispatch.recovery import Compaction, recover
from engine.settings.send_windows import SendWindow
from state.decisions import OutcomeState, decision_id
from tests.fakes.disk import SimulatedDisk

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

    def __init__(self) -> None:
        self.up, self.free = True, 3

    def room(self) -> int:
        return self.free if self.up else 0

    def hold(self, parts: int) -> None:
        raise AssertionError("the world settles sends itself")

    def let_go(self, parts: int) -> None:
        raise AssertionError("the world settles sends itself")

    async def send(self, what: Decided, now_ms: int) -> Outcome:
        raise AssertionError("the world settles sends itself")


class World:
    """The core, its outbox on a disk that forgets, and what really happened."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.disk = SimulatedDisk()
        self.now_ms = START_MS
        self.journal: list[Decided] = []
        self.flying: list[Any] = []  # sends handed to a door and not answered
        self.on_wire: Counter[str] = Counter()  # decision -> attempts that may have reached somebody
        self.wire_days: list[tuple[Any, ...]] = []  # (day, decision) of those attempts
        self.accepted: dict[str, tuple[str, tuple[str, ...]]] = {}  # decision -> (gateway, ids)
        self.log: list[Any] = []
        self.switches: dict[Any, Action] = {}
        self.opted_out: dict[int, int] = {}  # subscriber -> decisions made before its opt-out
        self.doors = {"one": ScriptedDoor(), "two": ScriptedDoor()}
        self.open()

    def open(self) -> None:
        self.outbox = LocalOutbox(Path("/outbox"), self.disk, segment_bytes=2048)
        self.core = DispatchCore(POLICY, self.outbox, self.doors)
        recover(self.core, self.now_ms)
        self.compaction = Compaction(self.core)
        self.offered = max(0, self.core.cursors.get("0", 0) - self.chance.randrange(4))  # who reads may begin too early
        self.flying = []

    def commit(self) -> None:
        self.outbox.flush(self.now_ms)
        self.outbox.sync()

    def decide(
        self,
        subscriber: int,
        channel: str,
        name: str,
        campaign: str,
        klass: str,
        life_ms: int,
        priority: int,
        age_ms: int,
    ) -> None:
        identity = decision_id(0, len(self.journal) // 2, len(self.journal) % 2, 7)
        append_ms = self.now_ms - age_ms
        self.journal.append(
            Decided(identity, subscriber, name, campaign, channel, "offer", "text", klass, append_ms, life_ms, priority)
        )

    def offer(self, twice: bool) -> None:
        for _ in range(1 + twice):
            self.core.offer(self.journal[self.offered :], {"0": len(self.journal)}, self.now_ms)
        self.offered = len(self.journal)

    def turn(self, lights_out_after: str = "") -> None:
        """Take, commit, hand over; the lights may go out between the steps."""
        attempts = self.core.take(self.now_ms)
        self.check_may_go(attempts)
        for send in self.core.sends.values():
            assert send in self.flying or Action.KILL not in self.switches_for(send.what), (
                "what is killed does not wait"
            )
        if lights_out_after == "take":
            return self.lights_out()
        self.outbox.flush(self.now_ms)
        if lights_out_after == "flush":
            return self.lights_out()
        self.outbox.sync()
        for send in attempts:
            self.on_wire[send.what.decision_id] += 1
            self.wire_days.append((send.day, send.what))
            self.flying.append(send)
        if lights_out_after == "handing over":
            return self.lights_out()
        self.compaction.step()
        return None

    def check_may_go(self, attempts: list[Send]) -> None:
        hour = self.core.local.at(self.now_ms).hour
        for send in attempts:
            what = send.what
            assert what.expires_ms > self.now_ms, "nothing goes when its shelf life is over"
            assert what.channel != "sms" or 8 <= hour < 21, "nothing goes outside its window"
            assert not self.switches_for(what), "nothing paused or killed goes"
            if what.klass == "commercial":
                assert not self.on_wire[what.decision_id], "commercial text goes out once"
            assert not self.ends_of(what.decision_id), "what has ended goes nowhere"
            before = self.journal.index(what) < self.opted_out.get(what.subscriber, 0)
            assert what.klass == "service" or not before, "nothing commercial goes from before an opt-out"
            line = [
                other
                for other in self.core.queue.subscriber_queue(what.subscriber, what.channel)
                if other.rule_queue is send.rule_queue
            ]
            ahead = [other for other in line if self.journal.index(other.what) < self.journal.index(what)]
            assert not ahead, "a rule's sends to a subscriber go in the order of their decisions"

    def switches_for(self, what: Decided) -> list[Action]:
        names = (("rule", what.rule), ("campaign", what.campaign), ("channel", what.channel))
        return [self.switches[one] for one in names if one in self.switches]

    def answer(self, index: int, state: State, parts: int, wish: int | None, early: bool) -> None:
        if not self.flying:
            return
        send = self.flying.pop(index % len(self.flying))
        what = send.what
        ids = tuple(f"{what.decision_id}/{self.on_wire[what.decision_id]}/{part}" for part in range(parts))
        if state is State.ACCEPTED:
            self.accepted[what.decision_id] = (send.gateway, ids)
            if ids and early:
                self.core.note_receipt(
                    Receipt(send.gateway, ids[0], ReceiptState.DELIVERED, "", self.now_ms), self.now_ms
                )
        if state not in TAKEN:
            self.on_wire[what.decision_id] -= 1
            self.wire_days.remove((send.day, what))
        self.core.settle(send, Outcome(state, "code", ids if state is State.ACCEPTED else (), wish), self.now_ms)

    def answer_late(self, index: int) -> None:
        """Let the gateway say after all what became of an attempt; of every second one, that it never took it."""
        unknown = [what for what in self.journal if self.ends_of(what.decision_id) == {OutcomeState.UNKNOWN}]
        commercial = [what for what in unknown if what.klass == "commercial"]  # service may have gone out twice
        if not commercial:
            return
        what = commercial[index % len(commercial)]
        refused = self.journal.index(what) % 2 == 1
        if refused:
            self.on_wire[what.decision_id] = 0
        state = ReceiptState.REFUSED if refused else ReceiptState.ACCEPTED
        ids = () if refused else (f"{what.decision_id}/late",)
        late = Receipt("one", "", state, "late", self.now_ms, decision_id=what.decision_id, part_ids=ids)
        self.core.note_receipt(late, self.now_ms)

    def receive(self, index: int, state: ReceiptState, part: int) -> None:
        if self.accepted:
            gateway, ids = list(self.accepted.values())[index % len(self.accepted)]
            if ids:
                receipt = Receipt(gateway, ids[part % len(ids)], state, "", self.now_ms)
                self.core.note_receipt(receipt, self.now_ms)

    def tell(self, count: int, forget: bool) -> list[Report]:
        reports = self.core.reports(count)
        self.log.extend(reports)
        if not forget:
            self.core.mark_reported(reports)
        return reports

    def ends_of(self, identity: str) -> set[OutcomeState]:
        return {report.state for report in self.log if report.decision_id == identity} & ENDS

    def switch(self, scope: SwitchScope, name: str, action: Action) -> None:
        self.core.switch(scope, name, action, self.now_ms)
        self.commit()
        if action is Action.RESUME:
            self.switches.pop((scope.value, name), None)
        else:
            self.switches[scope.value, name] = action

    def opt_out(self, subscriber: int) -> None:
        decided = len(self.journal)
        self.core.opt_out(OptOut(subscriber, "", 0, (decided - 1) // 2), self.now_ms)
        self.commit()
        self.opted_out[subscriber] = decided
        for channel in ("sms", "alert"):
            for send in self.core.queue.subscriber_queue(subscriber, channel):
                assert send.what.klass == "service" or send in self.flying

    def change_door(self, name: str, up: bool, free: int) -> None:
        self.doors[name].up, self.doors[name].free = up, free

    def lights_out(self) -> None:
        self.disk.crash(self.chance)
        self.open()

    def compact(self) -> None:
        for _ in range(5):
            self.compaction.step()
            self.commit()

    def check(self) -> None:
        busy = Counter((send.what.subscriber, send.what.channel) for send in self.flying)
        assert max(busy.values(), default=0) <= 1, "one send at a time to a subscriber"
        assert self.core.in_flight == len(self.flying) <= POLICY.in_flight_max
        sms = Counter(day for day, what in self.wire_days if what.channel == "sms")
        care = Counter(day for day, what in self.wire_days if what.campaign == "care")
        assert max(sms.values(), default=0) <= DAY_QUOTA, "no quota is exceeded"
        assert max(care.values(), default=0) <= CAMPAIGN_QUOTA, "no quota is exceeded"

    def peace(self) -> None:
        """When all is well again, everything comes to exactly one end, and the log has it.

        UNKNOWN is none when the gateway has said later what became of it.
        """
        for door in self.doors.values():
            door.up, door.free = True, 3
        for scope, name in list(self.switches):
            self.switch(SwitchScope(scope), name, Action.RESUME)
        self.offer(twice=True)
        for _ in range(20 * len(self.journal) + 20):
            self.turn()
            while self.flying:
                self.answer(0, State.ACCEPTED, 0, None, early=False)
            self.commit()
            while self.tell(100, forget=False):
                pass
            self.now_ms += 2 * HOUR_MS
            if not self.core.sends and not self.core.unreported:
                break
        ends = {what.decision_id: self.ends_of(what.decision_id) for what in self.journal}
        learnt = {identity: states - {OutcomeState.UNKNOWN} or states for identity, states in ends.items()}
        assert {identity: len(states) for identity, states in learnt.items() if len(states) != 1} == {}
        for identity, states in ends.items():
            if OutcomeState.REFUNDED in states:
                assert not self.on_wire[identity], "what is refunded reached nobody"
