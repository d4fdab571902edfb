"""The judge of the chaos finds what it is there for: it is shown records with faults planted in them."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from perf import books
from perf.lines import Feed, blocks
from state.decisions import DecisionBatch
from tests.parts.kafka.chaos import plan
from tests.parts.kafka.judge import HOUR_MS, SMALL_BOOK, Contact, breaches, judge
from tests.parts.kafka.workers import decided_embedded

EVENTS = 60_000
DAY_MS = 24 * HOUR_MS
NOON_MS = 1_762_142_400_000  # 2025-11-03T12:00:00+08:00


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, DecisionBatch]]:
    lines = b"".join(bytes(block) for block in blocks(Feed(1_000), EVENTS)).splitlines()
    return decided_embedded(tmp_path_factory.mktemp("embedded"), books.small(), lines)


def changed(
    decided: list[tuple[int, DecisionBatch]], change: Callable[[DecisionBatch], list[DecisionBatch]]
) -> list[tuple[int, DecisionBatch]]:
    """Return the batches with one in the middle replaced by what `change` makes of it."""
    middle = next(n for n in range(len(decided) // 2, len(decided)) if decided[n][1].n > 1)
    partition, batch = decided[middle]
    return [*decided[:middle], *((partition, one) for one in change(batch)), *decided[middle + 1 :]]


def test_what_one_machine_decides_is_clean(decided: list[tuple[int, DecisionBatch]]) -> None:
    verdict = judge(decided, decided, SMALL_BOOK)

    assert verdict.clean
    assert verdict.contacts > 1_000
    assert verdict.stopped_by_caps > 1_000


def test_a_lost_frame_a_doubled_one_and_an_altered_record_are_found(decided: list[tuple[int, DecisionBatch]]) -> None:
    lost = judge(changed(decided, lambda batch: []), decided, SMALL_BOOK)
    doubled = judge(changed(decided, lambda batch: [batch, batch]), decided, SMALL_BOOK)
    altered = judge(
        changed(decided, lambda batch: [dataclasses.replace(batch, at_ms=batch.at_ms + 1)]), decided, SMALL_BOOK
    )

    assert (lost.lost > 1, lost.surplus, lost.clean) == (True, 0, False)
    assert (doubled.lost, doubled.surplus > 1, doubled.doubled_ids > 1, doubled.clean) == (0, True, True, False)
    assert (altered.lost > 1, altered.surplus == altered.lost, altered.clean) == (True, True, False)


def test_caps_that_let_everything_through_are_found(decided: list[tuple[int, DecisionBatch]]) -> None:
    leaky = [(number, dataclasses.replace(batch, outcome=np.zeros_like(batch.outcome))) for number, batch in decided]

    assert all(count > 0 for count in judge(leaky, leaky, SMALL_BOOK).breaches.values())


@pytest.mark.parametrize(
    ("times", "rules", "name"),
    [
        ([0, HOUR_MS // 2, HOUR_MS - 1], [1, 2, 3], "sms: 2 per 1h"),
        ([0, 2 * HOUR_MS, 4 * HOUR_MS, 6 * HOUR_MS], [1, 2, 3, 4], "3 per day"),
        ([DAY_MS * day for day in range(6)] + [7 * DAY_MS - 1], list(range(7)), "perf: 6 per 7d"),
        ([0, 7 * DAY_MS - 1], [5, 5], "rule: 1 per 7d"),
    ],
)
def test_one_contact_too_many_is_one_breach_of_that_cap_and_a_moment_later_it_is_none(
    times: list[int], rules: list[int], name: str
) -> None:
    def found(last: int) -> Counter[str]:
        moments = [*times[:-1], last]
        return breaches([Contact(7, NOON_MS + at, rule) for at, rule in zip(moments, rules, strict=True)], SMALL_BOOK)

    assert {cap: count for cap, count in found(times[-1]).items() if count} == {name: 1}
    assert not any(found(times[-1] + (1 if name != "3 per day" else 12 * HOUR_MS)).values())


def test_a_plan_is_a_function_of_its_seed_and_every_kind_of_fault_is_in_it() -> None:
    assert list(plan(3, 90)) == list(plan(3, 90)) != list(plan(4, 90))
    for seed in range(20):
        kinds = {fault.what for fault in plan(seed, 75)}
        workers = {"kill", "pause", "long pause", "restart", "lose disk", "join", "leave"}
        assert kinds == workers | {"broker", "hang", "redis", "redis hang", "smsc"}
        faults = list(plan(seed, 75))
        pairs = [(one, other) for one, other in pairwise(faults) if other.at_s < one.at_s + one.for_s]
        assert any(one.whom != other.whom for one, other in pairs), "two are away at once"
