"""How fast are recorded events run again under other books, and what do three books cost against one?

A log is made by the engine as it is, with the large book (100 rules); then `opportune backtest`'s own code runs it: the
running book alone, and three books side by side, of which one differs in a third of its rules. Also a sample of 1 %.
"""

import os
import time
from pathlib import Path
from typing import Any

from engine.flow.datadir import DataDir
from engine.runtimes.backtest.lane import Span
from engine.runtimes.backtest.recorded import Recording
from engine.runtimes.backtest.sample import Sample
from engine.runtimes.backtest.side import RUNNING, Backtest, Side, compiled_folder
from perf import books, lines
from perf.measure import arguments, isolated, workplace
from perf.product import configure, running, write_book
from perf.report import keep, table
from engine.runtimes.warmup import warm_up


def record(folder: Path, events: int, subscribers: int) -> Any:
    """Make a log; return the settings of its engine."""
    config = configure(folder, books.large(), subscribers=subscribers, threads=2, partitions=2)
    feed = lines.Feed(subscribers=subscribers)
    inbox = folder / "inbox"
    inbox.mkdir()
    lines.write_lines(inbox / "day.ndjson", feed, events)
    with running(config) as engine:
        engine.take_files(inbox)
    return config


def measure(folder: Path, events: int, subscribers: int) -> dict[str, Any]:
    """Return seconds of the wall and of CPU, by what was run."""
    config = record(folder, events, subscribers)
    warm_up(None)
    write_book(folder / "other", {name: text.replace('cap = ["1 per day"', 'cap = ["2 per day"') for name, text in books.large().items()})
    other = compiled_folder(folder / "other")
    same = compiled_folder(folder / "book")
    recording = Recording(DataDir(config.data.directory))
    extent = recording.extent()
    recording.close()
    found: dict[str, Any] = {"events": events}
    for name, share, sides in (
        ("one", 1.0, [Side(RUNNING)]),
        ("three", 1.0, [Side(RUNNING), Side("same", same), Side("other", other)]),
        ("sample", 0.01, [Side(RUNNING), Side("same", same), Side("other", other)]),
    ):
        began_s, cpu_before = time.monotonic(), os.times()
        results = Backtest(config, extent, Sample(share, 2), Span()).run(sides)
        cpu = os.times()
        found[f"{name} s"] = round(time.monotonic() - began_s, 2)
        found[f"{name} CPU-s"] = round(sum(cpu[:4]) - sum(cpu_before[:4]), 2)
        found[f"{name} lanes"] = [round(one.cpu_s, 2) for one in results]
        found[f"{name} decided"] = [int(one.tally.decided["key"].shape[0]) for one in results]
        assert share < 1 or (results[0].agreement is not None and results[0].agreement.whole)
    return found


def main() -> None:
    """Run it and print what it cost."""
    args = arguments(__doc__ or "", events=(3_000_000, 60_000), subscribers=(300_000, 5_000))
    with workplace() as folder:
        found = isolated(measure, folder, args.events, args.subscribers)
    keep("backtest", found)
    print(table(("what", "figure"), list(found.items())))  # noqa: T201 a program


if __name__ == "__main__":
    main()
