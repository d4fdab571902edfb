"""How the benchmarks measure: arguments they share, a folder that goes away, a process of its own for each run."""

import argparse
import concurrent.futures
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from perf.report import RESULTS

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
POLL_S = 0.05


def arguments(
    what: str | None, *, events: int, subscribers: int, quick_events: int, quick_subscribers: int
) -> argparse.Namespace:
    """Read the command line: `--quick` (seconds, figures worth nothing), or sizes of one's own."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--quick", action="store_true", help="run in seconds, to see that it runs")
    parser.add_argument("--events", type=int, help=f"events measured ({events:,})")
    parser.add_argument("--subscribers", type=int, help=f"subscribers ({subscribers:,})")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file to append the figures to")
    given = parser.parse_args()
    given.events = given.events or (quick_events if given.quick else events)
    given.subscribers = given.subscribers or (quick_subscribers if given.quick else subscribers)
    return given


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder for one benchmark, removed after it. TMPDIR says where; it must be on a real disk."""
    with tempfile.TemporaryDirectory(prefix="opportune-perf-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def isolated(function: Callable[Arguments, Result], *args: Arguments.args, **named: Arguments.kwargs) -> Result:
    """Call a function in a new process, so that no run inherits memory or threads of another."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args, **named).result()


def waited_s() -> float:
    """Return how long threads of this process have been ready to run without a core: what else the machine did."""
    waits = (path.read_text(encoding="ascii").split()[1] for path in Path("/proc/self/task").glob("*/schedstat"))
    return sum(map(int, waits)) / 1e9


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used, its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait(what: str, done: Callable[[], bool], seconds: float) -> None:
    """Wait until `done` says so; AssertionError when `what` is not so after that long."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"{what}: not after {seconds} s"
        time.sleep(POLL_S)


def resident_bytes() -> int:
    """Return the memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()
