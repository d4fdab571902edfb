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
from engine.settings.config import Config
from perf import books, lines
from perf.measure import arguments, isolated, workplace
from perf.product import configure, running, write_book
from perf.report import keep, table

CHANNELS = {"gateways": {"spool": {"kind": "spool", "folder": "unused"}}, "channels": {"sms": {"gateway": "spool"}}}


def record(folder: Path, events: int, subscribers: int) -> Config:
    """Make a log; return the settings of its engine."""
    config = configure(folder, books.large(), subscribers=subscribers, threads=2, partitions=2)
    lines.write_lines(folder / "inbox" / "day.ndjson", lines.Feed(subscribers), events)
    with running(config) as engine:
        engine.take_files(folder / "inbox")
    return Config.model_validate({**config.model_dump(), **CHANNELS})


def measure(folder: Path, events: int, subscribers: int) -> dict[str, Any]:
    """Return seconds of the wall and of CPU, by what was run."""
    config = record(folder, events, subscribers)
    text = (
        books.large()["book.toml"].replace("kbytes > 3000", "kbytes > 2500").replace("seconds > 200", "seconds > 250")
    )
    write_book(folder / "other", {"book.toml": text})
    recording = Recording(DataDir(config.data.directory))
    extent = recording.extent()
    recording.close()
    running_one = [Side(RUNNING)]
    three = [*running_one, *(Side(name, compiled_folder(folder / name)) for name in ("book", "other"))]
    found: dict[str, Any] = {}
    for name, share, sides in (
        ("one book", 1.0, running_one),
        ("three books", 1.0, three),
        ("1 % of three", 0.01, three),
    ):
        began_s, before = time.monotonic(), os.times()
        results = Backtest(config, extent, Sample(share, 2), Span()).run(sides)
        after = os.times()
        agreement = results[0].agreement
        assert agreement is not None
        assert agreement.whole, agreement
        found[name] = {
            "wall_s": time.monotonic() - began_s,
            "cpu_s": sum(after[:4]) - sum(before[:4]),
            "lanes_cpu_s": [one.cpu_s for one in results],
            "decided": [int(one.tally.decided["key"].shape[0]) for one in results],
        }
    return found


def main() -> None:
    """Run it and print what it cost."""
    given = arguments(__doc__, events=10_000_000, subscribers=500_000, quick_events=60_000, quick_subscribers=5_000)
    with workplace() as folder:
        found = isolated(measure, folder, given.events, given.subscribers)
    rows = [
        (name, f"{one['wall_s']:.1f}", f"{one['cpu_s']:.1f}", ", ".join(f"{lane:.1f}" for lane in one["lanes_cpu_s"]),
         ", ".join(map(str, one["decided"])))
        for name, one in found.items()
    ]  # fmt: skip
    print(f"{given.events:,} events over {given.subscribers:,} subscribers, 100 rules")
    print(table(("run", "wall s", "CPU s", "CPU s of each book", "decided"), rows))
    keep("backtest", {"events": given.events, "subscribers": given.subscribers, **found}, path=given.results)


if __name__ == "__main__":
    main()
