"""The single ideas of dispatch: hours, quotas, rates, retries, opt-outs, receipts, order."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import Receipt, ReceiptState
from connectors.gateways.text import parts_count, parts_of
from engine.dispatch import Report
from engine.dispatch.hours import LocalTime
from engine.dispatch.model import Action, Decided, Phase, RuleKey, Send, SwitchScope
from engine.dispatch.orphans import ORPHAN_MS, Orphans
from engine.dispatch.queue import SendQueue, Verdict
from engine.dispatch.quotas import Quotas
from engine.dispatch.rates import TokenBucket
from engine.dispatch.receipts import Awaited, Receipts
from engine.dispatch.retries import wait_ms
from engine.dispatch.seen import SeenDecisions
from engine.dispatch.switches import Switches
from engine.flow.steps import FOREVER_MS
from engine.settings.send_windows import SendWindow
from state.decisions import OutcomeState


def ms(text: str, zone: str = "Asia/Shanghai") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


OFFICE = (SendWindow.parse("mon-fri 08:00-21:00"), SendWindow.parse("sat,sun 09:00-20:00"))


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2008-11-04 07:59:59", "2008-11-04 08:00"),
        ("2008-11-04 08:00", "2008-11-04 08:00"),
        ("2008-11-04 21:00", "2008-11-05 08:00"),
        ("2008-11-07 23:00", "2008-11-08 09:00"),
        ("2008-11-09 20:00", "2008-11-10 08:00"),
    ],
)
def test_a_closed_window_tells_when_it_opens(now: str, opens: str) -> None:
    assert LocalTime("Asia/Shanghai").opens_ms(OFFICE, ms(now)) == ms(opens)


def test_a_window_opens_at_wall_clock_time_over_a_change_of_offset() -> None:
    zone = LocalTime("Europe/Berlin")
    opens = zone.opens_ms((SendWindow.parse("daily 08:00-20:00"),), ms("2026-03-28 21:00", "Europe/Berlin"))
    assert opens == ms("2026-03-29 08:00", "Europe/Berlin")


def test_without_windows_it_is_always_open() -> None:
    assert LocalTime("Asia/Shanghai").opens_ms((), 5) == 5


def test_the_day_changes_at_local_midnight() -> None:
    zone = LocalTime("Asia/Shanghai")
    assert zone.day(ms("2008-11-05 00:00")) == zone.day(ms("2008-11-04 23:59:59")) + 1


def test_a_quota_counts_by_day_and_gives_places_back() -> None:
    quotas = Quotas({"sms": 2}, {"care": 1})
    assert quotas.left(5, "sms", "care")
    quotas.take(5, "sms", "care", 1)
    assert not quotas.left(5, "sms", "care")
    assert quotas.left(5, "sms", "sale")
    assert quotas.left(6, "sms", "care")
    quotas.give_back(5, "sms", "care", 1)
    assert quotas.left(5, "sms", "care")
    assert quotas.counted() == []


def test_a_text_takes_a_place_for_each_part_and_one_that_does_not_fit_ends_the_day() -> None:
    quotas = Quotas({"sms": 4}, {})
    quotas.take(5, "sms", "care", 3)
    assert quotas.left(5, "sms", "care")
    assert not quotas.fits(5, "sms", "care", 2)
    assert not quotas.left(5, "sms", "sale"), "a shorter one must not overtake"
    quotas.give_back(5, "sms", "care", 3)
    assert quotas.fits(5, "sms", "care", 4)
    assert [quotas.never_fits("sms", "care", parts) for parts in (4, 5)] == [False, True]


@given(st.text(alphabet="a€中😀", max_size=700))
def test_the_parts_of_a_text_are_counted_as_they_are_cut(text: str) -> None:
    assert parts_count(text) == len(parts_of(text, 0))


def test_a_quota_forgets_days_before_yesterday() -> None:
    quotas = Quotas({"sms": 2}, {})
    for day in (5, 6, 7):
        quotas.take(day, "sms", "care", 1)
    assert {day for day, *_ in quotas.counted()} == {6, 7}


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 50)), max_size=60), st.floats(0.5, 500))
def test_a_bucket_never_lets_more_pass_than_rate_and_burst_allow(steps: list[tuple[float, int]], rate: float) -> None:
    bucket, now, passed = TokenBucket(rate), 100.0, 0
    for pause, wanted in steps:
        now += pause
        for _ in range(min(wanted, bucket.room(now))):
            bucket.take(1)
            passed += 1
    assert passed <= max(1.0, rate / 10) + (now - 100.0) * rate + 1e-6


def test_a_text_of_several_parts_leaves_a_debt_that_is_paid_before_the_next() -> None:
    bucket = TokenBucket(2.0)
    assert bucket.room(0.0) == 1
    bucket.take(3)
    assert [bucket.room(second) > 0 for second in (0.5, 1.0, 1.4, 1.5)] == [False, False, False, True]


def test_a_slow_bucket_passes_its_rate() -> None:
    bucket, passed = TokenBucket(0.5), 0
    for second in range(100):
        if bucket.room(float(second)):
            bucket.take(1)
            passed += 1
    assert 49 <= passed <= 51


@given(st.text(max_size=5), st.integers(1, 60), st.integers(10, 5000), st.integers(5000, 10**7))
def test_a_wait_lies_within_its_bounds_and_is_the_same_every_time(name: str, tries: int, low: int, high: int) -> None:
    wait = wait_ms(name, tries, low, high, None)
    assert min(low << (tries - 1), high) // 2 <= wait <= high
    assert wait == wait_ms(name, tries, low, high, None)
    assert wait_ms(name, tries, low, high, 10**9) == 10**9


def test_a_decision_is_seen_once_in_log_order() -> None:
    seen = SeenDecisions()
    ids = ["0-1-0-7", "0-1-1-7", "0-3-0-7", "1-2-0-7"]
    assert [seen.mark(one) for one in ids + ids] == [True] * 4 + [False] * 4
    again = SeenDecisions()
    again.restore(seen.plain())
    assert [again.mark(one) for one in [*ids, "0-2-0-7", "0-3-1-7"]] == [False] * 5 + [True]


def test_kill_is_stronger_than_pause_and_resume_ends_both() -> None:
    switches, key = Switches(), RuleKey("sms", "care", "a")
    switches.set(SwitchScope.CHANNEL, "sms", Action.PAUSE)
    switches.set(SwitchScope.RULE, "a", Action.KILL)
    assert switches.action(key) is Action.KILL
    switches.set(SwitchScope.RULE, "a", Action.RESUME)
    assert switches.action(key) is Action.PAUSE
    assert switches.action(RuleKey("desk", "care", "a")) is None


# Receipts.


def awaited(*ids: str, name: str = "d", accepted_ms: int = 0) -> Awaited:
    return Awaited(name, 8613800000001, "smsc", ids, accepted_ms, 1)


def said(message_id: str, state: ReceiptState = ReceiptState.DELIVERED, gateway: str = "smsc") -> Receipt:
    return Receipt(gateway, message_id, state, "11" if state is ReceiptState.UNDELIVERED else "", 0)


def report_of(receipts: Receipts, receipt: Receipt) -> Report | None:
    """What is to be reported at a receipt that is awaited."""
    matched = receipts.match(receipt, 0)
    assert matched is not None
    return matched.report


def test_a_text_is_delivered_when_all_its_parts_are() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    receipts.expect(awaited("1", "2"))
    assert report_of(receipts, said("2")) is None
    last = report_of(receipts, said("1"))
    assert last is not None
    assert last.state is OutcomeState.DELIVERED
    assert len(receipts) == 0


def test_a_text_is_undelivered_with_the_first_part_that_is() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    receipts.expect(awaited("1", "2"))
    report = report_of(receipts, said("2", ReceiptState.UNDELIVERED))
    assert report is not None
    assert (report.state, report.error) == (OutcomeState.UNDELIVERED, "11")
    assert receipts.match(said("1"), 0) is None


def test_a_receipt_that_comes_first_waits_for_its_message() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    assert receipts.match(said("1"), 0) is None
    assert receipts.expect(awaited("1")) == [said("1")]


def test_ids_of_different_gateways_are_different() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    receipts.expect(awaited("1"))
    assert receipts.match(said("1", gateway="other"), 0) is None


def test_a_doubled_receipt_becomes_an_orphan_and_is_let_go() -> None:
    receipts = Receipts(FOREVER_MS, 10)
    receipts.expect(awaited("1"))
    assert report_of(receipts, said("1")) is not None
    assert receipts.match(said("1"), 1) is None
    receipts.tidy(1 + ORPHAN_MS)
    assert receipts.orphans_seen == 1


def test_waiting_ends_after_its_time_and_with_the_oldest_when_too_many_wait() -> None:
    receipts = Receipts(72 * 3_600_000, 2)
    for number in range(3):
        receipts.expect(awaited(f"{number}", name=f"d{number}", accepted_ms=number))
    assert (len(receipts), receipts.given_up) == (2, 1)
    receipts.tidy(72 * 3_600_000 + 1)
    assert (len(receipts), receipts.given_up) == (1, 2)


def test_too_many_orphans_let_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.dispatch.orphans.ORPHANS_MAX", 2)
    orphans = Orphans()
    for receipt in (said("1"), said("2"), said("1", ReceiptState.UNDELIVERED)):
        orphans.park(receipt, 0)
    assert orphans.seen == 0
    orphans.park(said("3"), 1)
    assert (orphans.seen, orphans.claim("smsc", "1")) == (1, None), "asking again does not make one younger"
    assert (orphans.claim("smsc", "2"), orphans.claim("smsc", "3")) == (said("2"), said("3"))


def test_the_first_of_several_orphans_for_a_message_counts() -> None:
    orphans = Orphans()
    for receipt in (said("1"), said("1", ReceiptState.UNDELIVERED)):
        orphans.park(receipt, 0)
    assert (orphans.claim("smsc", "1"), orphans.claim("smsc", "1")) == (said("1"), None)


# Order.


def make(
    order: int, subscriber: int = 1, name: str = "a", priority: int = 0, channel: str = "sms", life_ms: int = 0
) -> Send:
    what = Decided(f"0-{order}-0-7", subscriber, name, "care", channel, "", "", "commercial", 0, life_ms, priority)
    return Send(what, order, 0)


def filled(*sends: Send) -> SendQueue:
    queue = SendQueue()
    for send in sends:
        queue.add(send)
    return queue


def names(sends: list[Send]) -> list[int]:
    return [send.order for send in sends]


def take_all(is_open: Callable[[Any], bool] = lambda one: True) -> Callable[[SendQueue], list[Send]]:
    return lambda queue: queue.take(is_open, lambda send: Verdict.TAKE)


def test_priority_goes_first_then_age() -> None:
    queue = filled(make(1, 1), make(2, 2, "b", 5), make(3, 3), make(4, 4, "b", 5))
    assert names(take_all()(queue)) == [2, 4, 1, 3]


def test_an_earlier_send_to_the_same_subscriber_goes_first_whatever_the_priority() -> None:
    queue = filled(make(1), make(2, name="b", priority=9))
    first = take_all()(queue)
    assert names(first) == [1]
    queue.drop(first[0])
    assert names(take_all()(queue)) == [2]


def test_a_send_overtakes_one_whose_rule_is_closed() -> None:
    queue = filled(make(1), make(2, name="b"))
    assert names(take_all(lambda one: one.key.rule == "b")(queue)) == [2]


def test_one_that_was_overtaken_goes_after_the_other_ends_also_when_that_backs_off() -> None:
    queue = filled(make(1), make(2, name="b"))
    (second,) = take_all(lambda one: one.key.rule == "b")(queue)
    assert take_all()(queue) == []
    queue.back_off(second, 1000)
    assert take_all()(queue) == []
    queue.wake(1000)
    (first,) = take_all()(queue)
    assert first.order == 1
    queue.drop(first)
    assert take_all()(queue) == [second]


def test_subscribers_and_channels_do_not_wait_for_each_other() -> None:
    queue = filled(make(1), make(2, 2), make(3, channel="desk"))
    assert names(take_all()(queue)) == [1, 2, 3]


def test_a_closed_rule_queue_keeps_its_sends_in_order() -> None:
    queue = filled(make(1, 1), make(2, 2), make(3, 3, "b"))
    judged = queue.take(lambda one: True, lambda send: Verdict.CLOSE if send.what.rule == "a" else Verdict.TAKE)
    assert names(judged) == [3]
    assert names(take_all()(queue)) == [1, 2]


def test_one_that_is_passed_over_lets_the_next_of_its_rule_go() -> None:
    queue = filled(make(1, 1), make(2, 2))
    assert names(queue.take(lambda one: True, lambda s: Verdict.PASS if s.order == 1 else Verdict.TAKE)) == [2]


def test_expired_sends_are_named_once_and_those_on_their_way_are_left_alone() -> None:
    queue = filled(make(1, 1, life_ms=10), make(2, 2, life_ms=20), make(3, 3, life_ms=10))
    queue.take(lambda one: True, lambda send: Verdict.TAKE if send.order == 1 else Verdict.CLOSE)
    late = []
    for send in queue.expired(10):
        late.append(send.order)
        queue.drop(send)
    assert late == [3]
    assert list(queue.expired(10)) == []
    assert [send.phase for send in queue.subscriber_queue(1, "sms")] == [Phase.FLYING]


def test_an_empty_queue_keeps_nothing() -> None:
    sends = [make(number, number % 5, life_ms=1000) for number in range(4000)]
    queue = filled(*sends)
    for send in sends:
        queue.drop(send)
    list(queue.expired(0))
    assert (queue.count, queue.rule_queues, queue._subscriber_queues, queue._expiry) == (0, {}, {}, [])


def test_decisions_that_are_offered_together_are_new_in_whatever_order_they_stand() -> None:
    seen = SeenDecisions()

    assert seen.new(["0-9-1-a", "0-2-1-a", "1-4-0-b", "0-9-1-a", "0-2-3-a"]) == [True, True, True, False, True]
    assert seen.new(["0-2-1-a", "0-9-2-a", "1-5-0-b"]) == [False, True, True]
