"""Caps count contacts where they happen: by the log's clock, at the time of contact, and what waits as if it went now.

The judge of the random worlds knows the gateway's record alone: when each text reached its customer. It looks at every
window of those times and shares nothing with the gates.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from unittest.mock import patch

import pytest

from state.batch import Row
from state.contacts import RESERVED
from state.decisions import OutcomeState
from tests.rules.deciding import DAY_MS, HOUR_MS, MINUTE_MS, NOON_MS, WHO, Deciding, Made

BOOK = """
[book]
zone = "{zone}"
[channels.sms]
cap = {cap}
[campaigns.second]
[events.e]
decisions_max = 9
[events.f]
[[rule]]
id = "r"
on = "e"
channels = ["sms"]
shelf_life = "12h"
max_age = "9999d"
text.sms = "t"
[[rule]]
id = "other"
campaign = "second"
on = "f"
channels = ["sms"]
shelf_life = "12h"
max_age = "9999d"
text.sms = "t"
"""
A_DAY = '["1 per 24h"]'


def deciding(cap: str = A_DAY, zone: str = "Asia/Shanghai", contacts_max: int = 24) -> Deciding:
    return Deciding(BOOK.replace("{cap}", cap).replace("{zone}", zone), contacts_max)


def test_a_text_that_waits_counts_as_if_it_went_now_however_long_it_waits() -> None:
    one = deciding()
    (first,) = one.event(NOON_MS)
    assert one.event(NOON_MS + 11 * HOUR_MS) == []
    one.outcome(NOON_MS + 12 * HOUR_MS, first, OutcomeState.COMMITTED, NOON_MS + 12 * HOUR_MS)
    assert one.event(NOON_MS + 35 * HOUR_MS) == [], "23 hours after it reached the customer"
    assert one.event(NOON_MS + 36 * HOUR_MS) != []


def test_a_late_or_an_early_event_buys_no_second_text() -> None:
    one = deciding()
    (first,) = one.event(NOON_MS, at_ms=NOON_MS - 3 * DAY_MS)
    one.outcome(NOON_MS + MINUTE_MS, first, OutcomeState.COMMITTED, NOON_MS)
    assert one.event(NOON_MS + 30 * MINUTE_MS, at_ms=NOON_MS - 5 * DAY_MS) == []
    assert one.event(NOON_MS + 30 * MINUTE_MS, at_ms=NOON_MS + 400 * DAY_MS) == []


def test_two_campaigns_share_the_cap_of_their_channel() -> None:
    one = deciding()
    assert len(one.event(NOON_MS)) == 1
    assert one.event(NOON_MS + MINUTE_MS, "f") == []


def test_a_calendar_day_counts_what_waits_and_then_what_reached_the_customer_that_day() -> None:
    one = deciding('["1 per day"]')
    (first,) = one.event(NOON_MS + 11 * HOUR_MS)
    assert one.event(NOON_MS + 13 * HOUR_MS) == [], "the next day, while the first waits"
    one.outcome(NOON_MS + 14 * HOUR_MS, first, OutcomeState.COMMITTED, NOON_MS + 14 * HOUR_MS)
    assert one.event(NOON_MS + 20 * HOUR_MS) == [], "the first came on this day"
    assert one.event(NOON_MS + 37 * HOUR_MS) != []


def test_reporting_late_or_twice_changes_nothing() -> None:
    one = deciding()
    (first,) = one.event(NOON_MS)
    for hours in (5, 20, 23):
        one.outcome(NOON_MS + hours * HOUR_MS, first, OutcomeState.COMMITTED, NOON_MS + (HOUR_MS if hours == 5 else 9))
    assert one.event(NOON_MS + 24 * HOUR_MS) == []
    assert one.event(NOON_MS + 25 * HOUR_MS) != []


def test_what_may_have_been_sent_counts_at_its_attempt_until_more_is_known() -> None:
    one = deciding()
    (first,) = one.event(NOON_MS)
    one.outcome(NOON_MS + 2 * HOUR_MS, first, OutcomeState.UNKNOWN, NOON_MS + HOUR_MS)
    assert one.event(NOON_MS + 24 * HOUR_MS) == []
    one.outcome(NOON_MS + 24 * HOUR_MS, first, OutcomeState.REFUNDED)
    assert one.event(NOON_MS + 24 * HOUR_MS) != []


def test_a_reservation_without_an_outcome_ends_an_hour_after_its_shelf_life() -> None:
    one = deciding()
    assert len(one.event(NOON_MS)) == 1
    assert one.event(NOON_MS + 13 * HOUR_MS - 1) == []
    assert len(one.event(NOON_MS + 13 * HOUR_MS)) == 1


def test_an_outcome_later_than_the_expiry_counts_from_then_on_at_its_contact_time() -> None:
    one = deciding()
    (first,) = one.event(NOON_MS)
    one.outcome(NOON_MS + 14 * HOUR_MS, first, OutcomeState.COMMITTED, NOON_MS + 11 * HOUR_MS)
    assert one.event(NOON_MS + 35 * HOUR_MS - 1) == []
    assert one.event(NOON_MS + 35 * HOUR_MS) != []


def test_an_outcome_of_the_release_before_counts_at_its_place_in_the_log() -> None:
    one = deciding()
    (first,) = one.event(NOON_MS)
    one.outcome(NOON_MS + 2 * HOUR_MS, first, OutcomeState.COMMITTED)
    assert one.event(NOON_MS + 26 * HOUR_MS - 1) == []
    assert one.event(NOON_MS + 26 * HOUR_MS) != []


SPRING_MS = int(datetime(2008, 3, 29, 23, 30, tzinfo=UTC).timestamp() * 1000)
AUTUMN_MS = int(datetime(2008, 10, 25, 22, 30, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("start_ms", "cap", "hours", "allowed"),
    [
        (SPRING_MS, A_DAY, 22, 0),  # half past eleven in the evening of the short day
        (SPRING_MS, A_DAY, 23, 0),  # half past midnight of the next
        (SPRING_MS, A_DAY, 24, 1),
        (SPRING_MS, '["1 per day"]', 22, 0),
        (SPRING_MS, '["1 per day"]', 23, 1),
        (AUTUMN_MS, A_DAY, 23, 0),  # half past ten in the evening of the long day
        (AUTUMN_MS, A_DAY, 24, 1),  # half past eleven
        (AUTUMN_MS, '["1 per day"]', 24, 0),
        (AUTUMN_MS, '["1 per day"]', 25, 1),
    ],
)
def test_on_the_day_when_clocks_change_a_rolling_window_is_a_span_and_a_day_is_the_calendars(
    start_ms: int, cap: str, hours: int, allowed: int
) -> None:
    one = deciding(cap, "Europe/Berlin")
    (first,) = one.event(start_ms)  # half past midnight in Berlin
    one.outcome(start_ms, first, OutcomeState.COMMITTED, start_ms)
    assert len(one.event(start_ms + hours * HOUR_MS)) == allowed


def test_what_no_cap_counts_is_kept_while_it_waits_and_a_full_list_refuses_only_what_caps_count() -> None:
    one = deciding("[]", contacts_max=2)
    first, second, third = (one.event(NOON_MS + i)[0] for i in range(3))
    assert one.contacts.untracked == 1, third
    one.outcome(NOON_MS + 9, first, OutcomeState.COMMITTED, NOON_MS + 9)
    one.outcome(NOON_MS + 9, second, OutcomeState.UNKNOWN, NOON_MS + 9)
    assert one.states() == []


# Random worlds.


def caps_broken(times: list[int], count_max: int, window_ms: int) -> bool:
    """Whether any window of the contact times holds too many."""
    return any(sum(start <= one < start + window_ms for one in times) > count_max for start in times)


def run_world(seed: int) -> list[int]:
    """Texts wait, go, fail, are reported late, twice or never; return when they reached the customer."""
    random = Random(seed)
    one = deciding('["2 per 6h"]', contacts_max=random.choice([2, 3, 24]))
    now_ms, reached = NOON_MS, list[int]()
    waiting: list[tuple[int, Made, int]] = []  # when it goes, what, until when it may
    reports: list[tuple[int, Made, OutcomeState, int]] = []
    for _ in range(random.randint(20, 80)):
        now_ms += random.choice([0, MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, 9 * HOUR_MS])
        for due_ms, made, last_ms in [one for one in sorted(waiting) if one[0] <= now_ms]:
            waiting.remove((due_ms, made, last_ms))
            report_ms = due_ms + random.choice([0, MINUTE_MS, 2 * HOUR_MS])
            if due_ms > last_ms or random.random() < 0.2:
                reports.append((report_ms, made, OutcomeState.REFUNDED, 0))
                continue
            reached.append(due_ms)
            state = random.choice([OutcomeState.COMMITTED] * 3 + [OutcomeState.UNKNOWN])
            reports += [(report_ms, made, state, due_ms)] * random.choice([1, 1, 2])
        for report in [one for one in sorted(reports) if one[0] <= now_ms]:
            reports.remove(report)
            one.outcome(now_ms, report[1], report[2], report[3] or None)
        at_ms = now_ms + random.choice([0, 0, -HOUR_MS, -9 * HOUR_MS, 300 * DAY_MS, -MINUTE_MS])
        for made in one.event(now_ms, random.choice("ef"), at_ms):
            waits_ms = random.choice([0, 0, MINUTE_MS, HOUR_MS, 7 * HOUR_MS, 11 * HOUR_MS, 13 * HOUR_MS])
            waiting.append((now_ms + waits_ms, made, now_ms + 12 * HOUR_MS))
    return reached


def broken_worlds(worlds: int) -> int:
    return sum(caps_broken(run_world(seed), 2, 6 * HOUR_MS) for seed in range(worlds))


def test_no_window_of_contact_times_holds_more_than_the_cap_in_any_world() -> None:
    worlds = [run_world(seed) for seed in range(400)]
    assert not any(caps_broken(times, 2, 6 * HOUR_MS) for times in worlds)
    assert sum(map(len, worlds)) > 400 * 3, "caps that stop everything would pass"


@contextmanager
def counted_by_event_time() -> Iterator[None]:
    """Log times are what the events say."""
    take = Deciding.take

    def by_event(self: Deciding, log_ms: int, *rows: Row) -> object:
        return take(self, rows[0].at_ms if rows[0].type in ("e", "f") else log_ms, *rows)

    with patch.object(Deciding, "take", by_event):
        yield


@contextmanager
def after_each_event(change_state: bool) -> Iterator[None]:
    """Reservations are lost, or end too early, right after they are made."""
    take = Deciding.take

    def spoiled(self: Deciding, log_ms: int, *rows: Row) -> object:
        found = take(self, log_ms, *rows)
        arrays = self.contacts.arrays
        block = int(arrays.block[self.table.find(WHO)])
        if change_state:
            arrays.size[block] = sum(one["state"] & 15 != RESERVED for one in self.contacts.of(self.table.find(WHO)))
        else:
            arrays.entries[:, 1] = log_ms + MINUTE_MS
        return found

    with patch.object(Deciding, "take", spoiled):
        yield


def test_planted_bugs_are_found_by_the_judge_of_contact_times() -> None:
    for plant in (counted_by_event_time(), after_each_event(change_state=True), after_each_event(change_state=False)):
        with plant:
            assert broken_worlds(60) > 0, plant
