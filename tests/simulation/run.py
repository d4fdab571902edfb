"""Worlds by number: run them, and say of a failure all that is needed to see it again."""

import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from tests.simulation.judges import BrokenError
from tests.simulation.reach import unreached, watched
from tests.simulation.world import World

TRACE_LINES = 12


@dataclass(frozen=True, slots=True)
class Failure:
    """A world in which something did not hold."""

    seed: int
    step: int
    invariant: str
    detail: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}, step {self.step}: {self.invariant}",
            *(f"    {line}" for line in self.detail.splitlines()),
            "  the last steps:",
            *(f"    {line}" for line in self.trace),
            f"  again: opportune simulate --seeds 1 --from {self.seed}",
        ]
        return "\n".join(lines)


def run_seed(seed: int, counted: Counter[str] | None = None) -> Failure | None:
    """Live through the world of a seed; return what failed, None when everything held."""
    world = World(seed)
    try:
        with watched(world.counted):
            world.run()
    except BrokenError as broken:
        return Failure(seed, world.step, broken.invariant, str(broken), tuple(world.trace[-TRACE_LINES:]))
    except Exception as fault:  # noqa: BLE001 whatever the engine raises is a finding
        detail = "".join(traceback.format_exception(fault)[-6:])
        name = f"the engine does not fail: {type(fault).__name__}"
        return Failure(seed, world.step, name, detail, tuple(world.trace[-TRACE_LINES:]))
    finally:
        if counted is not None:
            counted.update(world.counted)
            counted.update(world.judges.counted)
    return None


def first_failure(
    seeds: Iterable[int],
    plant: AbstractContextManager[object] | None = None,
    counted: Counter[str] | None = None,
) -> Failure | None:
    """Return the first failure among seeds, with a bug planted if one is given."""
    with plant if plant is not None else nullcontext():
        found = (run_seed(seed, counted) for seed in seeds)
        return next((failure for failure in found if failure is not None), None)


def simulate(seeds: int, start: int, say: Callable[[str], object]) -> int:
    """Run `seeds` worlds from number `start`, say what failed and a summary; return the number of failures."""
    began = time.perf_counter()
    counted: Counter[str] = Counter()
    failures = 0
    for done, seed in enumerate(range(start, start + seeds), start=1):
        failure = run_seed(seed, counted)
        if failure is not None:
            failures += 1
            say(f"{failure}\n")
        if done % 100 == 0:
            say(f"{done} worlds, {failures} failed, {done / (time.perf_counter() - began):.1f} a second\n")
    seconds = time.perf_counter() - began
    names = ("crash", "crash in recovery", "disk full", "activate", "refolded", "rows", "handed over")
    told = ", ".join(f"{counted[name]:,d} {name}" for name in names)
    say(f"{seeds} worlds in {seconds:.1f} s, {failures} failed: {told}\n")
    never = unreached(counted)
    if never:
        say(f"never seen: {', '.join(never)}\n")
    return failures


if __name__ == "__main__":
    sys.exit(1 if simulate(int(sys.argv[1]), int(sys.argv[2]), sys.stdout.write) else 0)
