"""Receipts find their message by id, subscriber and time; an unknown outcome is learnt late, or from a receipt."""

import random
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Outcome, Receipt, ReceiptState, State
from engine.dispatch import LocalOutbox
from engine.dispatch.core import DispatchCore
from engine.dispatch.model import Decided, Report
from engine.dispatch.orphans import CLOCKS_MS, Orphans, same_number
from engine.dispatch.policy import ChannelPolicy, Policy
from engine.dispatch.receipts import Awaited, Receipts
from engine.dispatch.recovery import recover
from engine.flow.steps import FOREVER_MS
from state.decisions import OutcomeState
from tests.engine.dispatch.scripted import ScriptedDoor
from tests.fakes.disk import SimulatedDisk

NOW_MS = 1_225_760_400_000
ANN, BOB = 8613800000001, 8613800000002


def awaited(name: str, subscriber: int = ANN, ids: tuple[str, ...] = ("7",), **more: Any) -> Awaited:
    return Awaited(name, subscriber, "smsc", ids, NOW_MS, 0, **more)


def receipt(message_id: str = "7", *numbers: int, at_ms: int = NOW_MS, **more: Any) -> Receipt:
    return Receipt("smsc", message_id, more.pop("state", ReceiptState.DELIVERED), "", at_ms, numbers, **more)


def matched(receipts: Receipts, one: Receipt) -> str | None:
    found = receipts.match(one, NOW_MS)
    return None if found is None else found.awaited.decision_id


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ANN, ANN, True),
        (ANN, 13800000001, True),
        (13800000001, ANN, True),
        (ANN, BOB, False),
        (10086, 8613800010086, False),
        (1, 1, True),
    ],
)
def test_a_number_is_one_with_and_without_its_country_code(one: int, other: int, same: bool) -> None:
    assert same_number(one, other) is same


def test_a_recycled_id_is_a_receipt_for_the_text_of_the_subscriber_in_it() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    receipts.expect(awaited("ann"))
    receipts.expect(awaited("bob", BOB))
    assert matched(receipts, receipt("7", ANN, 10086)) == "ann"
    assert matched(receipts, receipt("7", ANN, 10086)) is None
    assert matched(receipts, receipt("7", 10086, 13800000002)) == "bob"


def test_without_a_number_a_recycled_id_is_the_newest_text_s() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    receipts.expect(awaited("old"))
    receipts.expect(awaited("new", BOB))
    assert [matched(receipts, receipt("7")) for _ in range(3)] == ["new", "old", None]


def test_an_old_text_that_is_given_up_leaves_its_id_to_the_newer_one() -> None:
    receipts = Receipts(1_000, 10)
    receipts.expect(awaited("old"))
    newer = awaited("new", BOB)
    newer.accepted_ms = NOW_MS + 900
    receipts.expect(newer)
    receipts.tidy(NOW_MS + 1_000)
    assert len(receipts) == 1
    assert matched(receipts, receipt("7")) == "new"


def test_an_orphan_is_not_taken_for_the_receipt_of_a_later_text_with_its_id() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    assert matched(receipts, receipt("7", ANN)) is None
    assert receipts.expect(awaited("bob", BOB)) == []
    assert receipts.expect(awaited("ann later", attempted_ms=NOW_MS + CLOCKS_MS + 1)) == []
    assert receipts.expect(awaited("ann", attempted_ms=NOW_MS)) == [receipt("7", ANN)]


def test_an_id_in_another_base_counts_only_where_the_subscriber_agrees() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    receipts.expect(awaited("ann", ids=("3f8",)))
    assert matched(receipts, receipt("1016", guesses=("3f8",))) is None
    assert matched(receipts, receipt("1016", BOB, guesses=("3f8",))) is None
    assert matched(receipts, receipt("1016", ANN, guesses=("3f8",))) == "ann"


def test_a_receipt_in_another_base_may_come_before_its_message() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    early = receipt("1016", ANN, guesses=("3f8",))
    assert matched(receipts, early) is None
    assert receipts.expect(awaited("bob", BOB, ids=("3f8",))) == []
    assert receipts.expect(awaited("ann", ids=("3f8",))) == [early]


def test_a_text_with_an_unknown_outcome_is_found_by_its_subscriber() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    receipts.expect(awaited("ann", ids=(), doubtful_parts=1))
    assert matched(receipts, receipt("99", BOB)) is None
    assert matched(receipts, receipt("98")) is None
    assert matched(receipts, receipt("97", 13800000001)) == "ann"
    assert matched(receipts, receipt("96", ANN)) is None


def test_a_receipt_before_the_attempt_or_a_second_copy_of_another_s_is_not_for_it() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    receipts.expect(awaited("before"))
    assert matched(receipts, receipt("7", ANN)) == "before"
    receipts.expect(awaited("ann", ids=(), doubtful_parts=1, attempted_ms=NOW_MS))
    assert matched(receipts, receipt("7", ANN)) is None
    assert matched(receipts, receipt("8", ANN, at_ms=NOW_MS - CLOCKS_MS - 1)) is None
    assert matched(receipts, receipt("9", ANN)) == "ann"


def test_a_receipt_may_come_before_the_outcome_is_unknown() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    assert matched(receipts, receipt("99", ANN)) is None
    assert receipts.expect(awaited("ann", ids=(), doubtful_parts=1, attempted_ms=NOW_MS)) == [receipt("99", ANN)]


def test_while_another_text_is_on_its_way_to_the_subscriber_its_receipt_is_left_to_it() -> None:
    flying = {ANN}
    receipts = Receipts(FOREVER_MS, 10, Orphans(), flying.__contains__)
    receipts.expect(awaited("ann", ids=(), doubtful_parts=1))
    assert matched(receipts, receipt("99", ANN)) is None
    flying.clear()
    assert receipts.expect(awaited("next", ids=("99",))) == [receipt("99", ANN)]


def test_a_receipt_for_one_part_of_several_does_not_settle_an_unknown_text() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    receipts.expect(awaited("ann", ids=(), doubtful_parts=2))
    assert matched(receipts, receipt("99", ANN)) is None


# The whole of dispatch.


class World:
    def __init__(self) -> None:
        self.disk = SimulatedDisk()
        self.now_ms = NOW_MS
        self.open()

    def open(self) -> None:
        self.outbox = LocalOutbox(Path("/outbox"), self.disk)
        door = ScriptedDoor()
        door.up, door.free = True, 10
        policy = Policy({"sms": ChannelPolicy(("smsc",), attempts_max=2, retry_ms_min=10, retry_ms_max=10)})
        self.core = DispatchCore(policy, self.outbox, {"smsc": door})
        recover(self.core, self.now_ms)

    def restart(self) -> None:
        """Lose what is not durable, and read the rest back."""
        self.commit()
        self.disk.crash(random.Random(1))
        self.open()

    def commit(self) -> None:
        self.outbox.flush(self.now_ms)
        self.outbox.sync()

    def send(self, number: int = 1) -> Any:
        what = Decided(f"0-{number}-0-7", ANN, "a", "care", "sms", "", "hi", "commercial", self.now_ms, 0, 0)
        self.core.offer([what], {}, self.now_ms)
        (send,) = self.core.take(self.now_ms)
        return send

    def settle(self, send: Any, outcome: Outcome) -> None:
        self.core.settle(send, outcome, self.now_ms)

    def reports(self) -> list[tuple[OutcomeState, str]]:
        self.commit()
        reports = self.core.reports(100)
        self.core.mark_reported(reports)
        return [(report.state, report.error) for report in reports]


UNKNOWN = Outcome(State.UNKNOWN, "TIMEOUT")


@pytest.mark.parametrize("restart", [False, True])
def test_a_late_answer_settles_an_unknown_outcome_and_its_receipt_is_awaited(restart: bool) -> None:
    world = World()
    world.settle(world.send(), UNKNOWN)
    assert world.reports() == [(OutcomeState.UNKNOWN, "TIMEOUT")]
    late = receipt("7", state=ReceiptState.ACCEPTED, decision_id="0-1-0-7", part_ids=("7",))
    for _ in range(2):
        if restart:
            world.restart()
        world.core.note_receipt(late, NOW_MS)
    assert world.reports() == [(OutcomeState.COMMITTED, "")]
    if restart:
        world.restart()
    world.core.note_receipt(receipt("7", ANN), NOW_MS)
    assert world.reports() == [(OutcomeState.DELIVERED, "")]


@pytest.mark.parametrize("restart", [False, True])
def test_a_late_refusal_gives_the_place_back(restart: bool) -> None:
    world = World()
    world.settle(world.send(), UNKNOWN)
    world.reports()
    world.core.note_receipt(Receipt("smsc", "", ReceiptState.REFUSED, "0x0b", NOW_MS, decision_id="0-1-0-7"), NOW_MS)
    assert world.reports() == [(OutcomeState.REFUNDED, "0x0b")]
    if restart:
        world.restart()
    world.core.note_receipt(receipt("7", ANN), NOW_MS)
    assert world.reports() == []


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("state", "outcome"),
    [(ReceiptState.DELIVERED, OutcomeState.DELIVERED), (ReceiptState.EXPIRED, OutcomeState.UNDELIVERED)],
)
def test_a_later_receipt_settles_an_unknown_outcome(restart: bool, state: ReceiptState, outcome: OutcomeState) -> None:
    world = World()
    world.settle(world.send(), UNKNOWN)
    world.reports()
    if restart:
        world.restart()
    world.core.note_receipt(receipt("99", ANN, state=state), NOW_MS)
    assert [one for one, _ in world.reports()] == [outcome]


def test_an_attempt_that_a_crash_left_unknown_is_settled_by_its_receipt() -> None:
    world = World()
    world.send()
    world.restart()
    assert world.reports() == [(OutcomeState.UNKNOWN, "RESTART")]
    world.core.note_receipt(receipt("99", ANN), NOW_MS)
    assert world.reports() == [(OutcomeState.DELIVERED, "")]


def test_a_late_answer_to_what_is_not_unknown_changes_nothing() -> None:
    world = World()
    world.settle(world.send(), Outcome(State.ACCEPTED, "", ("7",)))
    world.core.note_receipt(Receipt("smsc", "", ReceiptState.REFUSED, "x", NOW_MS, decision_id="0-1-0-7"), NOW_MS)
    assert world.reports() == [(OutcomeState.COMMITTED, "")]
    assert world.core.receipts.orphans_seen == 0


def test_an_unknown_outcome_is_counted_once() -> None:
    world = World()
    world.settle(world.send(), UNKNOWN)
    assert world.core.counts["unknown"] == 1


def test_a_full_gateway_never_uses_up_the_tries() -> None:
    world = World()
    send = world.send()
    for _ in range(50):
        world.settle(send, Outcome(State.RETRY, "0x58", (), 1_000))
        world.now_ms += 2_000
        (send,) = world.core.take(world.now_ms)
    world.settle(send, Outcome(State.RETRY, "0x08"))
    world.now_ms += 2_000
    (send,) = world.core.take(world.now_ms)
    world.settle(send, Outcome(State.RETRY, "0x08"))
    assert world.reports() == [(OutcomeState.REFUNDED, "0x08")]


def test_parts_of_two_texts_with_one_id_are_told_apart_over_a_restart() -> None:
    world = World()
    world.settle(world.send(1), Outcome(State.ACCEPTED, "", ("7", "8")))
    world.settle(world.send(2), Outcome(State.ACCEPTED, "", ("7", "9")))
    world.reports()
    world.core.note_receipt(receipt("7"), NOW_MS)
    world.restart()
    world.core.note_receipt(receipt("9"), NOW_MS)
    assert [report.decision_id for report in _durable(world)] == ["0-2-0-7"]


def _durable(world: World) -> list[Report]:
    world.commit()
    return [one for one in world.core.reports(100) if one.state is OutcomeState.DELIVERED]
