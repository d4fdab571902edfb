"""Races by number: run them, say what failed, and which states were never seen.

python -m tests.simulation.races.run [RACES [FIRST]] [--cluster]
"""

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from tests.simulation.cluster.run import quiet
from tests.simulation.judges import BrokenError
from tests.simulation.races.cluster import ClusterRace
from tests.simulation.races.reach import CLUSTER_GOALS, GOALS, unreached, watched
from tests.simulation.races.world import Race

TRACE_LINES = 30
RACES = 10_000
SHOWN = 20
"""Failures that are told at length."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A race in which something did not hold."""

    seed: int
    invariant: str
    detail: str
    trace: tuple[str, ...]
    cluster: bool

    def __str__(self) -> str:
        lines = [
            f"race {self.seed}: {self.invariant}",
            *(f"    {line}" for line in self.detail.splitlines()),
            "  the last steps:",
            *(f"    {line}" for line in self.trace),
            f"  again: python -m tests.simulation.races.run 1 {self.seed}{' --cluster' if self.cluster else ''}",
        ]
        return "\n".join(lines)


def run_seed(seed: int, counted: Counter[str] | None = None, *, cluster: bool = False) -> Failure | None:
    """Run the race of a seed; return what failed, None when everything held."""
    race = ClusterRace(seed) if cluster else Race(seed)
    try:
        with watched(race.counted):
            race.run()
    except BrokenError as broken:
        return Failure(seed, broken.invariant, str(broken), tuple(race.trace[-TRACE_LINES:]), cluster)
    except Exception as fault:  # noqa: BLE001 whatever the engine raises is a finding
        detail = "".join(traceback.format_exception(fault)[-6:])
        name = f"the engine does not fail: {type(fault).__name__}"
        return Failure(seed, name, detail, tuple(race.trace[-TRACE_LINES:]), cluster)
    finally:
        if counted is not None:
            counted.update(race.counted)
    return None


def first_failure(
    seeds: Iterable[int],
    plant: AbstractContextManager[object] | None = None,
    counted: Counter[str] | None = None,
    *,
    cluster: bool = False,
) -> Failure | None:
    """Return the first failure among seeds, with a bug planted if one is given."""
    with quiet(), plant if plant is not None else nullcontext():
        found = (run_seed(seed, counted, cluster=cluster) for seed in seeds)
        return next((failure for failure in found if failure is not None), None)


def simulate(races: int, start: int, say: Callable[[str], object], *, cluster: bool = False) -> int:
    """Run races from number `start`, say what failed and a summary; return the number of failures."""
    began_s = time.perf_counter()
    counted: Counter[str] = Counter()
    failures = 0
    with quiet():
        for seed in range(start, start + races):
            failure = run_seed(seed, counted, cluster=cluster)
            if failure is not None:
                failures += 1
                say(f"{failure}\n" if failures <= SHOWN else "")
    for name, count in sorted(counted.items()):
        say(f"  {count:9,d} {name}\n")
    say(f"never seen: {unreached(counted, CLUSTER_GOALS if cluster else GOALS)}\n")
    seconds = time.perf_counter() - began_s
    say(f"{races} races in {seconds:.1f} s, {60 * races / seconds:,.0f} a minute, {failures} failed\n")
    return failures


def main(argv: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="races")
    parser.add_argument("races", type=int, nargs="?", default=RACES)
    parser.add_argument("first", type=int, nargs="?", default=1)
    parser.add_argument("--cluster", action="store_true", help="workers over brokers, not one machine")
    given = parser.parse_args(argv)
    return 1 if simulate(given.races, given.first, sys.stdout.write, cluster=given.cluster) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
