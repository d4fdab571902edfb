"""A source's clock goes with its rows, and no wrong one moves it: first, alone, in the middle, last, in a burst."""

from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.log_clock import ROWS_MAX, new_clock, pack_clock, run_clock, unpack_clock

START_MS = 1_225_756_800_000
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
YEAR_MS = 365 * DAY_MS

STEPS_MS = (0, 1, 9 * MINUTE_MS, HOUR_MS, 9 * HOUR_MS, 3 * DAY_MS, -HOUR_MS, YEAR_MS)

Rows = list[tuple[int, int]]
"""Subscribers and their times."""


def honest(count: int = 300, subscribers: int = 40) -> Rows:
    """A feed of one row a second, a little out of order."""
    random = Random(7)
    return [(random.randrange(subscribers), START_MS + 1000 * i - random.choice([0, 0, 5000])) for i in range(count)]


def times(rows: Rows) -> list[int]:
    log_ms = np.empty(len(rows), np.int64)
    who, at_ms = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    run_clock(new_clock(), who, at_ms, log_ms)
    return log_ms.tolist()


def bad(count: int, ahead_ms: int, subscribers: int = 1) -> Rows:
    return [(1000 + i % subscribers, START_MS + ahead_ms + i) for i in range(count)]


@pytest.mark.parametrize("ahead_ms", [15 * MINUTE_MS, 8 * HOUR_MS, 2 * DAY_MS, YEAR_MS, 100 * YEAR_MS])
@pytest.mark.parametrize("place", [0, 1, 2, 150, 300])
@pytest.mark.parametrize(("count", "subscribers"), [(1, 1), (2, 2), (10, 1), (10, 2)])
def test_wrong_rows_move_the_clock_of_no_honest_one(ahead_ms: int, place: int, count: int, subscribers: int) -> None:
    feed = honest()
    rows = [*feed[:place], *bad(count, ahead_ms, subscribers), *feed[place:]]
    if place == 0 and subscribers > 1:
        pytest.skip("what two subscribers say and nobody denies is where a source begins")
    found = [log_ms for (who, _), log_ms in zip(rows, times(rows), strict=True) if who < 1000]
    assert max(log_ms - at_ms for log_ms, (_, at_ms) in zip(found, feed, strict=True)) <= 10 * MINUTE_MS
    assert max(found[5:]) == max(at_ms for _, at_ms in feed)


def test_ten_wrong_subscribers_one_after_the_other_a_year_ahead_move_nothing() -> None:
    feed = honest()
    assert max(times([*feed[:150], *bad(10, YEAR_MS, 10), *feed[150:]])) == max(at_ms for _, at_ms in feed)


def test_a_night_passes_with_the_third_subscriber_of_the_morning_and_months_with_the_sixteenth() -> None:
    for pause_ms, needed in ((9 * HOUR_MS, 3), (100 * DAY_MS, 16)):
        later = [(who, START_MS + pause_ms + 1000 * who) for who in range(30)]
        found = times([*honest(), *later])[300:]
        assert [log_ms >= START_MS + pause_ms for log_ms in found].index(True) == needed - 1
        assert found[-1] == later[-1][1]


@pytest.mark.parametrize("subscribers", [1, 2, 3])
def test_a_feed_of_few_subscribers_goes_on_with_all_of_them(subscribers: int) -> None:
    rows = [(i % subscribers, START_MS + i * 5 * HOUR_MS) for i in range(40)]
    found = times(rows)
    begun = min(subscribers, 3) - 1  # the third may take back what the first two said
    assert found[begun:] == sorted(found[begun:])
    assert min(found[i] - rows[max(i - 2 * subscribers, 0)][1] for i in range(40)) >= 0
    assert all(log_ms <= at_ms for log_ms, (_, at_ms) in zip(found, rows, strict=True))


def test_of_two_subscribers_the_second_is_believed_in_the_morning() -> None:
    evening = [(1, START_MS), (1, START_MS + 5 * MINUTE_MS), (2, START_MS + 11 * HOUR_MS)]
    assert times(evening) == [at_ms for _, at_ms in evening]


def test_what_two_subscribers_said_is_taken_back_where_a_third_denies_it() -> None:
    rows = [(1, START_MS), (2, START_MS + 8 * HOUR_MS), (3, START_MS + 1000), (1, START_MS + 2000)]
    assert times(rows) == [START_MS, START_MS + 8 * HOUR_MS, START_MS + 1000, START_MS + 2000]


def test_a_second_subscriber_a_year_ahead_is_not_believed() -> None:
    rows = [(1, START_MS), (2, START_MS + YEAR_MS), (1, START_MS + 1000)]
    assert times(rows) == [START_MS, START_MS, START_MS + 1000]


def test_a_subscriber_that_is_the_only_one_left_is_believed_in_the_end() -> None:
    rows = [*honest(), *((1, START_MS + (2 + i) * HOUR_MS) for i in range(200))]
    assert times(rows)[-1] > START_MS + 100 * HOUR_MS


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 20), st.sampled_from(STEPS_MS)),
        min_size=1, max_size=150,
    ),
    cuts=st.lists(st.integers(0, 150), max_size=6),
)  # fmt: skip
def test_cuts_and_stored_states_change_no_time(rows: Rows, cuts: list[int]) -> None:
    steady = [(who, START_MS + 1000 * i + step) for i, (who, step) in enumerate(rows)]
    whole = times(steady)
    who, at_ms = (np.array(column, np.int64) for column in zip(*steady, strict=True))
    log_ms = np.empty(len(rows), np.int64)
    packed = pack_clock(new_clock())
    bounds = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    for start, end in pairwise(bounds):
        state = unpack_clock(packed)
        run_clock(state, who[start:end], at_ms[start:end], log_ms[start:end])
        packed = pack_clock(state)
    assert log_ms.tolist() == whole
    known = [len({who for who, _ in steady[: i + 1]}) for i in range(len(rows))]
    begun = [i for i in range(len(rows)) if known[i] > 2 or (known[i] == 2 and i >= ROWS_MAX)]
    assert [whole[i] for i in begun] == sorted(whole[i] for i in begun)
