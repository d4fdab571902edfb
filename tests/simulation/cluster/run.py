"""Clusters by number: run them, say what failed, and which rare states were never seen.

python -m tests.simulation.cluster.run [SEEDS [FIRST]]
"""

import gc
import logging
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from tests.simulation.cluster.reach import unreached
from tests.simulation.cluster.world import ClusterWorld
from tests.simulation.judges import BrokenError

TRACE_LINES = 12
WORLDS = 300


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
            f"cluster {self.seed}, step {self.step}: {self.invariant}",
            *(f"    {line}" for line in self.detail.splitlines()),
            "  the last steps:",
            *(f"    {line}" for line in self.trace),
            f"  again: python -m tests.simulation.cluster.run 1 {self.seed}",
        ]
        return "\n".join(lines)


def run_seed(seed: int, counted: Counter[str] | None = None) -> Failure | None:
    """Live through the world of a seed; return what failed, None when everything held."""
    world = ClusterWorld(seed)
    try:
        world.run()
    except BrokenError as broken:
        return Failure(seed, world.step, broken.invariant, str(broken), tuple(world.trace[-TRACE_LINES:]))
    except Exception as fault:  # noqa: BLE001 whatever the product raises is a finding
        detail = "".join(traceback.format_exception(fault)[-6:])
        name = f"a worker does not fail: {type(fault).__name__}"
        return Failure(seed, world.step, name, detail, tuple(world.trace[-TRACE_LINES:]))
    finally:
        if counted is not None:
            counted.update(world.broker.counted)
            counted.update(world.judges.counted)
        del world
        gc.collect()  # arrays of a world hang in circles of few objects
    return None


def first_failure(
    seeds: Iterable[int],
    plant: AbstractContextManager[object] | None = None,
    counted: Counter[str] | None = None,
) -> Failure | None:
    """Return the first failure among seeds, with a bug planted if one is given."""
    with quiet(), plant if plant is not None else nullcontext():
        found = (run_seed(seed, counted) for seed in seeds)
        return next((failure for failure in found if failure is not None), None)


@contextmanager
def quiet() -> Iterator[None]:
    """Let workers die without a line in the log, and the collector look at what worlds make and at nothing older."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        logging.disable(before)


def simulate(seeds: int, start: int, say: Callable[[str], object]) -> int:
    """Run `seeds` worlds from number `start`, say what failed and a summary; return the number of failures."""
    began_s = time.process_time()
    counted: Counter[str] = Counter()
    failures = 0
    with quiet():
        for seed in range(start, start + seeds):
            failure = run_seed(seed, counted)
            if failure is not None:
                failures += 1
                say(f"{failure}\n")
    for name, count in sorted(counted.items()):
        say(f"  {count:7,d} {name}\n")
    say(f"never seen: {unreached(counted)}\n")
    say(f"{seeds} clusters in {time.process_time() - began_s:.1f} s of one core, {failures} failed\n")
    return failures


if __name__ == "__main__":
    count, first = (*map(int, sys.argv[1:]), *(WORLDS, 1)[len(sys.argv) - 1 :])
    sys.exit(1 if simulate(count, first, sys.stdout.write) else 0)
