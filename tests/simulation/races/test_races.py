"""A share of the races holds and sees every rare state; a planted bug in each gate of the second judging is found.

`OPPORTUNE_SEED` moves the search to other races; `python -m tests.simulation.races.run 10000` runs any number of them.
"""

from collections import Counter

import pytest

from tests.simulation.races.plants import PLANTS
from tests.simulation.races.reach import unreached
from tests.simulation.races.run import Failure, first_failure
from tests.simulation.races.world import Race

RACES = 600
CLUSTER_RACES = 25


def test_in_every_race_the_gateway_gets_nothing_that_was_taken_back_and_every_rare_state_is_seen(seed: int) -> None:
    start = (seed - 1) * RACES + 1
    counted: Counter[str] = Counter()

    failure = first_failure(range(start, start + RACES), counted=counted)

    assert failure is None, f"\n{failure}"
    assert unreached(counted) == []


def test_in_every_race_of_a_cluster_the_gateway_gets_nothing_that_was_taken_back(seed: int) -> None:
    start = (seed - 1) * CLUSTER_RACES + 1
    counted: Counter[str] = Counter()

    failure = first_failure(range(start, start + CLUSTER_RACES), counted=counted, cluster=True)

    assert failure is None, f"\n{failure}"
    assert counted["an opt-out was acknowledged"] > 0


@pytest.mark.parametrize("bug", PLANTS)
def test_a_planted_bug_is_found(bug: str, seed: int) -> None:
    start = (seed - 1) * RACES + 1

    failure = first_failure(range(start, start + RACES), PLANTS[bug]())

    assert failure is not None, f"{bug}: not found in {RACES} races"
    print(f"{bug}: found in race {failure.seed}: {failure.invariant}")


def test_a_race_is_the_same_again(seed: int) -> None:
    first, second = Race(seed), Race(seed)
    first.run()
    second.run()

    assert first.gateway.record == second.gateway.record
    assert first.trace == second.trace


def test_a_failure_says_how_to_see_it_again() -> None:
    text = str(Failure(17, "no cap is exceeded", "no cap is exceeded: 2", ("41 fold", "42 turn"), cluster=True))

    assert "race 17: no cap is exceeded" in text
    assert "python -m tests.simulation.races.run 1 17 --cluster" in text
