"""Three hundred clusters hold, every rare state is seen in them, every planted bug is found; a cluster repeats itself.

`OPPORTUNE_SEED` moves the search to other clusters; `python -m tests.simulation.cluster.run` runs any number of them.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.cluster.plants import PLANTS
from tests.simulation.cluster.reach import GOALS, unreached
from tests.simulation.cluster.run import Failure, first_failure
from tests.simulation.cluster.world import ClusterWorld

ROOT = Path(__file__).parents[3]
WORLDS = 300
BLOCK = 150
DIGEST = """
from tests.simulation.cluster.world import ClusterWorld
world = ClusterWorld({})
world.run()
print(world.digest())
"""


@pytest.mark.parametrize("block", range(WORLDS // BLOCK))
def test_in_every_cluster_all_invariants_hold_and_every_rare_state_is_seen(block: int, seed: int) -> None:
    start = (seed - 1) * WORLDS + block * BLOCK + 1
    counted: Counter[str] = Counter()

    failure = first_failure(range(start, start + BLOCK), counted=counted)

    assert failure is None, f"\n{failure}"
    assert unreached(counted) == []


@pytest.mark.parametrize("bug", PLANTS)
def test_a_planted_bug_is_found_within_three_hundred_clusters(bug: str, seed: int) -> None:
    start = (seed - 1) * WORLDS + 1

    failure = first_failure(range(start, start + WORLDS), PLANTS[bug]())

    assert failure is not None, f"{bug}: not found in {WORLDS} clusters"
    print(f"{bug}: found in cluster {failure.seed}, step {failure.step}: {failure.invariant}")


def test_a_cluster_is_the_same_in_another_process_with_other_hashes(seed: int) -> None:
    world = ClusterWorld(seed + 6)
    world.run()
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}

    told = subprocess.run(
        [sys.executable, "-c", DIGEST.format(seed + 6)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=ROOT,
    )

    assert int(told.stdout) == world.digest()


def test_a_state_that_was_never_seen_is_told() -> None:
    seen = Counter(dict.fromkeys(GOALS, 1))
    seen["a fenced owner wrote"] = 0

    assert unreached(seen) == ["a fenced owner wrote"]


def test_a_failure_says_how_to_see_it_again() -> None:
    text = str(Failure(17, 42, "no cap is breached", "no cap is breached: 3 of 2", ("41 kill", "42 wait")))

    assert "cluster 17, step 42: no cap is breached" in text
    assert "python -m tests.simulation.cluster.run 1 17" in text
