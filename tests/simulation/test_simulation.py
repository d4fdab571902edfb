"""Three hundred worlds hold; every planted bug is found in them; a world is the same every time.

`OPPORTUNE_SEED` moves the search to other worlds; `opportune simulate` runs any number of them.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from engine.commands import main
from tests.simulation.plants import PLANTS
from tests.simulation.reach import unreached
from tests.simulation.run import Failure, first_failure
from tests.simulation.world import World

ROOT = Path(__file__).parents[2]
WORLDS = 300
BLOCK = 100


@pytest.mark.parametrize("block", range(WORLDS // BLOCK))
def test_in_every_world_all_invariants_hold_after_every_step_and_every_rare_state_is_seen(
    block: int, seed: int
) -> None:
    start = (seed - 1) * WORLDS + block * BLOCK + 1
    counted: Counter[str] = Counter()

    failure = first_failure(range(start, start + BLOCK), counted=counted)

    assert failure is None, f"\n{failure}"
    assert unreached(counted) == []


@pytest.mark.parametrize("bug", PLANTS)
def test_a_planted_bug_is_found_within_three_hundred_worlds(bug: str, seed: int) -> None:
    start = (seed - 1) * WORLDS + 1

    failure = first_failure(range(start, start + WORLDS), PLANTS[bug]())

    assert failure is not None, f"{bug}: not found in {WORLDS} worlds"
    print(f"{bug}: found at seed {failure.seed}, step {failure.step}: {failure.invariant}")


def test_a_world_is_the_same_in_another_process_with_other_hashes(seed: int) -> None:
    world = World(seed + 6)
    world.run()
    program = f"from tests.simulation.world import World\nworld = World({seed + 6})\nworld.run()\nprint(world.digest())"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}

    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment, cwd=ROOT
    )

    assert int(told.stdout) == world.digest()


def test_a_failure_says_how_to_see_it_again() -> None:
    text = str(Failure(17, 42, "no cap is breached", "no cap is breached: 3 of 2", ("41 fold", "42 commit")))

    assert "seed 17, step 42: no cap is breached" in text
    assert "opportune simulate --seeds 1 --from 17" in text


def test_the_command_runs_as_many_worlds_as_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["simulate", "--seeds", "2", "--from", "3"])

    assert status == 0
    assert "2 worlds" in capsys.readouterr().out
