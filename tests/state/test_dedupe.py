"""Which ids came before, against a plain list of sightings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.dedupe import Dedupe


def mark(dedupe: Dedupe, ids: list[int], append_ms: int) -> list[int]:
    out = np.full(len(ids), 7, np.uint8)
    duplicates = dedupe.mark(np.array(ids, np.int64), append_ms, out)
    assert duplicates == out.sum()
    return out.tolist()


class Plain:
    """All sightings, the last first."""

    def __init__(self, window_ms: int, ids_max: int) -> None:
        self.window_ms, self.ids_max = window_ms, ids_max
        self.sightings: list[tuple[int, int]] = []

    def mark(self, ids: list[int], append_ms: int) -> list[int]:
        return [self._one(identity, append_ms) for identity in ids]

    def _one(self, identity: int, append_ms: int) -> int:
        if identity == 0:
            return 0
        reach = [one for one, at in self.sightings[: self.ids_max] if append_ms - at <= self.window_ms]
        self.sightings.insert(0, (identity, append_ms))
        return int(identity in reach)


calls = st.lists(st.tuples(st.integers(0, 60), st.lists(st.integers(0, 30), max_size=30)), max_size=25)


@given(st.integers(1, 100), st.integers(1, 50), calls)
@settings(max_examples=200, deadline=None)
def test_an_id_is_doubled_exactly_when_its_last_sighting_is_in_reach(
    window_ms: int, ids_max: int, steps: list[tuple[int, list[int]]]
) -> None:
    dedupe, plain = Dedupe(window_ms, ids_max), Plain(window_ms, ids_max)
    now = 10**12
    for pause, ids in steps:
        now += pause
        assert mark(dedupe, ids, now) == plain.mark(ids, now)


@given(calls, calls)
@settings(max_examples=100, deadline=None)
def test_a_replay_of_the_reach_makes_the_same_memory(
    before: list[tuple[int, list[int]]], after: list[tuple[int, list[int]]]
) -> None:
    whole, replayed = Dedupe(100, 40), Dedupe(100, 40)
    now = 10**12
    log = []
    for pause, ids in before:
        now += pause
        mark(whole, ids, now)
        log += [(identity, now) for identity in ids if identity]
    for identity, at in log[-40:]:
        mark(replayed, [identity], at)
    for pause, ids in after:
        now += pause
        assert mark(whole, ids, now) == mark(replayed, ids, now)


@given(calls, calls)
@settings(max_examples=100, deadline=None)
def test_a_replay_of_the_log_from_where_it_says_makes_the_same_memory(
    before: list[tuple[int, list[int]]], after: list[tuple[int, list[int]]]
) -> None:
    whole, replayed = Dedupe(10**9, 20), Dedupe(10**9, 20)
    now = 10**12
    log = []
    for position, (pause, ids) in enumerate(before):
        now += pause
        whole.at(position)
        mark(whole, ids, now)
        log.append((ids, now))
    start = whole.replay_from
    for ids, at in log[start:]:
        mark(replayed, ids, at)
    for pause, ids in after:
        now += pause
        assert mark(whole, ids, now) == mark(replayed, ids, now)


def test_a_replay_is_not_much_longer_than_what_is_remembered() -> None:
    dedupe = Dedupe(window_ms=10**9, ids_max=1_600)
    for position in range(10_000):
        dedupe.at(position)
        mark(dedupe, list(range(1 + 10 * position, 11 + 10 * position)), 10**12)

    assert 10_000 - 180 < dedupe.replay_from <= 10_000 - 160


@settings(max_examples=200, deadline=None)
@given(
    calls=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), min_size=1, max_size=60),
    window_ms=st.integers(1, 200),
    ids_max=st.integers(1, 30),
)
def test_it_says_how_far_back_it_remembers(calls: list[tuple[int, int]], window_ms: int, ids_max: int) -> None:
    """All ids of the reach are known, but for those of its first millisecond; with a full reach none is missing."""
    dedupe = Dedupe(window_ms, ids_max)
    now_ms, seen = 0, list[tuple[int, int]]()
    for after_ms, count in calls:
        now_ms += after_ms
        ids = np.arange(len(seen) + 1, len(seen) + count + 1)
        before = list(seen)
        dedupe.mark(ids, now_ms, np.zeros(count, np.uint8))
        kept = [at_ms for at_ms, _ in before[-ids_max:]]
        lost = [at_ms for at_ms, _ in before[:-ids_max] if at_ms >= now_ms - window_ms]
        if lost:
            assert now_ms - kept[0] <= dedupe.reach_ms <= now_ms - min(lost)
            assert max(lost) <= now_ms - dedupe.reach_ms
        else:
            assert dedupe.reach_ms == window_ms or now_ms - dedupe.reach_ms <= kept[0]
        seen += [(now_ms, int(one)) for one in ids]


def test_many_ids_are_told_apart_in_bounded_memory() -> None:
    dedupe = Dedupe(window_ms=10**9, ids_max=20_000)
    rng = np.random.default_rng(3)
    ids = rng.integers(-(2**63), 2**63 - 1, 100_000)
    out = np.empty(10_000, np.uint8)
    for start in range(0, 100_000, 10_000):
        assert dedupe.mark(ids[start : start + 10_000], start, out) == 0
        assert dedupe.mark(ids[start : start + 10_000][::-1].copy(), start, out) == 10_000
    assert dedupe.sightings == 200_000
    assert dedupe._entries.nbytes + dedupe._ring.nbytes <= 20_000 * 48
    assert dedupe.mark(ids[80_000:90_000], 10**6, out) == 0, "20,000 sightings ago is out of reach"


def test_a_clock_that_falls_back_is_held() -> None:
    dedupe = Dedupe(window_ms=10, ids_max=100)
    assert mark(dedupe, [5], 1000) == [0]
    assert mark(dedupe, [5], 0) == [1]
    assert mark(dedupe, [5], 1011) == [0]


@pytest.mark.parametrize(
    ("window_ms", "ids_max", "message"),
    [(0, 5, "window_ms=0 must be >= 1"), (5, 0, "ids_max=0 must be >= 1 and <= 134217727")],
)
def test_a_reach_out_of_bounds_is_refused_with_the_bound(window_ms: int, ids_max: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Dedupe(window_ms, ids_max)
