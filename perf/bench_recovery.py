"""How long is the engine away after a crash?

A process with every subscriber in memory is killed (-9) when its redo is as long as the flusher lets it become: just
before a sweep ends. Then the data directory is opened again: pages are loaded, the log is folded again from where they
end. The page cache is warm, as after a crash of the process.
"""

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from engine.flow.core import open_core
from engine.runtimes.warmup import warm_up
from engine.settings.config import Config
from perf import books, lines
from perf.measure import arguments, isolated, workplace
from perf.product import configure, running
from perf.report import keep, table

PART = 1_000_000
NEARLY = 1.42
"""Events at the crash, in those at the end of the first sweep. Redo is longest at 1.5 of them: a sweep takes 0.9 of the
events from one's begin to the next one's, the first begins after as many, and what it began with is redone."""


def work(folder: Path, feed: lines.Feed, part: int, target_s: float | None, told: Connection) -> None:
    """Take in the feed until the second sweep is nearly done; say so and wait to be killed."""
    config = _config(folder, feed, target_s)
    with running(config) as engine:
        engine.take_files(folder / "warm")
        taken, first_sweep = 0, 0
        while not first_sweep or taken < NEARLY * first_sweep:
            inbox = folder / f"main-{taken}"
            lines.write_lines(inbox / f"{taken}.ndjson", lines.Feed(feed.subscribers, first=taken), part)
            engine.take_files(inbox)
            (inbox / f"{taken}.ndjson").unlink()
            taken += part
            if not first_sweep and all(one.flusher.sweeps for one in engine.core.partitions):
                first_sweep = taken
        told.send((taken, engine.sweeps))
        time.sleep(3_600)


def _config(folder: Path, feed: lines.Feed, target_s: float | None) -> Config:
    return configure(
        folder, books.small(), subscribers=feed.subscribers, threads=2, partitions=2, recovery_target_s=target_s
    )


def recover(folder: Path, feed: lines.Feed, target_s: float | None) -> dict[str, Any]:
    """Open the directory; return what that took."""
    config = _config(folder, feed, target_s)
    warm_up(None)
    began, cpu = time.perf_counter(), time.process_time()
    core = open_core(config)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    try:
        return {
            "seconds": seconds,
            "cpu_s": cpu,
            "subscribers": core.recovery.subscribers,
            "refolded": core.recovery.refolded,
        }
    finally:
        core.close()


def crash(folder: Path, feed: lines.Feed, part: int, target_s: float | None) -> tuple[int, int]:
    """Run `work` in a process of its own and kill it; return the events it took and the sweeps it did."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(folder, feed, part, target_s, theirs))
    process.start()
    assert process.pid is not None
    while not ours.poll(0.1):
        if not process.is_alive():
            raise RuntimeError(f"the process ended by itself, exit code {process.exitcode}")
    taken, sweeps = ours.recv()
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return taken, sweeps


def main() -> None:
    """Crash and recover."""
    given = arguments(__doc__, events=PART, subscribers=2_000_000, quick_events=50_000, quick_subscribers=20_000)
    target_s = 0.2 if given.quick else None
    with workplace() as folder:
        feed = lines.Feed(given.subscribers)
        lines.write_everybody(folder / "warm" / "a.ndjson", feed)
        taken, sweeps = crash(folder, feed, given.events, target_s)
        run = isolated(recover, folder, feed, target_s)
    rows = [
        ("seconds until the engine takes events again", run["seconds"]),
        ("CPU seconds", run["cpu_s"]),
        ("subscribers", run["subscribers"]),
        ("events folded again", run["refolded"]),
        ("events before the crash", taken),
        ("sweeps before the crash", sweeps),
    ]
    print(table(("recovery after kill -9", ""), rows))
    keep("recovery", run | {"events": taken, "sweeps": sweeps}, path=given.results)


if __name__ == "__main__":
    main()
