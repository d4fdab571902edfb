"""What does an event cost, from bytes in a file to a durable decision?

Log, journal, decision records and page sweep are on. Every subscriber is known before the measurement begins. CPU is
that of the whole process. The small book's work is also done by a plain Python program (`perf.plain`), in the same run;
on a part of the feed both must decide the same.
"""

import time
from pathlib import Path
from typing import Any

from engine.books import BookShelf
from engine.records import Wanted, read_records
from perf import books, lines, plain
from perf.measure import arguments, isolated, workplace
from perf.product import configure, running
from perf.report import keep, table
from state.journal import Journal

CASES = (("small", 1, 1), ("small", 2, 1), ("small", 2, 2), ("large", 1, 1), ("large", 2, 1), ("large", 2, 2))
"""Book, partitions, threads."""
SAME_SUBSCRIBERS = 5_000
SAME_EVENTS = 100_000


def measure(folder: Path, book: str, partitions: int, threads: int, subscribers: int) -> dict[str, Any]:
    """Run the engine over the feed; return CPU seconds a million events, events a second and what was done."""
    texts = books.small() if book == "small" else books.large()
    run = folder / f"{book}-{partitions}-{threads}"
    config = configure(run, texts, subscribers=subscribers, threads=threads, partitions=partitions)
    with running(config) as engine:
        engine.take_files(folder / "warm")
        counts = [partition.counts for partition in engine.core.partitions]
        before, sweeps = sum(count.events for count in counts), engine.sweeps
        cpu = time.process_time()
        seconds = engine.take_files(folder / "main")
        cpu = time.process_time() - cpu
        events = sum(count.events for count in counts) - before
        return {
            "book": book, "partitions": partitions, "threads": threads, "events": events,
            "cpu_s_per_million": cpu / events * 1e6, "events_per_s": events / seconds,
            "sweeps": engine.sweeps - sweeps,
        }  # fmt: skip


def measure_plain(folder: Path, events: int) -> dict[str, Any]:
    """Run the plain program over the same feed, as far as `events` lines; nothing but its own work is counted."""
    state: dict[int, list[Any]] = {}
    plain.decide((folder / "warm" / "a.ndjson").read_bytes().splitlines(), state)
    with (folder / "main" / "a.ndjson").open("rb") as file:
        cpu = time.process_time()
        decisions = plain.decide((file.readline() for _ in range(events)), state)
        cpu = time.process_time() - cpu
    return {"cpu_s_per_million": cpu / events * 1e6, "decisions": len(decisions), "events": events}


def same_decisions(folder: Path) -> int:
    """Let both decide a small feed; return how many decisions, or fail where they differ."""
    feed = lines.Feed(SAME_SUBSCRIBERS, seed=5)
    lines.write_lines(folder / "same" / "a.ndjson", feed, SAME_EVENTS)
    config = configure(folder / "engine", books.small(), subscribers=SAME_SUBSCRIBERS, threads=2, partitions=2)
    with running(config) as engine:
        engine.take_files(folder / "same")
        shelf, texts = BookShelf(engine.core.datadir.books), engine.core.strings
        journals = [(number, Journal(engine.core.datadir.journal(number), read_only=True)) for number in range(2)]
        records = list(read_records(journals, shelf, texts, Wanted(decided_only=True)))
    ours = sorted((record["subscriber"], record["at_ms"], record["rule"]) for record in records)
    written = (folder / "same" / "a.ndjson").read_bytes().splitlines()
    theirs = sorted(plain.decide(written, {}))
    if ours != theirs:
        differing = sorted(set(ours) ^ set(theirs))
        raise AssertionError(f"{len(differing)} decisions differ, the first: {differing[:3]}")
    return len(ours)


def main() -> None:
    """Measure all cases, then print what an event costs and how that compares."""
    given = arguments(__doc__, events=12_000_000, subscribers=1_000_000, quick_events=300_000, quick_subscribers=20_000)
    plain_events = min(given.events, 50_000 if given.quick else 1_000_000)
    with workplace() as folder:
        same = isolated(same_decisions, folder / "same-decisions")
        feed = lines.Feed(given.subscribers)
        lines.write_everybody(folder / "warm" / "a.ndjson", feed)
        lines.write_lines(folder / "main" / "a.ndjson", feed, given.events)
        cases = CASES[1:3] if given.quick else CASES
        runs = [isolated(measure, folder, *case, given.subscribers) for case in cases]
        other = isolated(measure_plain, folder, plain_events)
    best = min(run["cpu_s_per_million"] for run in runs if run["book"] == "small")
    ratio = other["cpu_s_per_million"] / best
    print(f"{given.events:,} events of 185 bytes over {given.subscribers:,} subscribers, durable, sweep on")
    rows = [
        (f"{run['book']}, {run['partitions']} partitions, {run['threads']} threads", run["cpu_s_per_million"],
         int(run["events_per_s"]), run["sweeps"])
        for run in runs
    ]  # fmt: skip
    rows.append(("small, plain Python", other["cpu_s_per_million"], int(1e6 / other["cpu_s_per_million"]), 0))
    print(table(("run", "CPU-s/M", "events/s", "sweeps"), rows))
    print(f"plain Python / engine: {ratio:.1f}; on a part of the feed both made the same {same:,} decisions")
    keep(
        "pipeline",
        {"subscribers": given.subscribers, "runs": runs, "plain": other, "ratio": ratio, "same": same},
        path=given.results,
    )


if __name__ == "__main__":
    main()
