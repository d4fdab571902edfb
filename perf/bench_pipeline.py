"""What does an event cost, from bytes in a file to a durable decision?

Log, journal, decision records and page sweep are on. CPU is that of the whole process. Before the measurement begins
every subscriber is known, every page has been written once and has changed since, as it is after a day; then a sweep
begins in every partition, and the run is as long as sweeps lie apart (`state.recovery_target_s` as shipped: 7.1 million
events a partition), so that the pages in it are those of its events: "sweeps" is pages written over pages there are,
"due" the share of sweeps that belongs to so many events. Where they differ, as in a run of another length, "steady" is
the figure to quote: it charges or gives back the difference at the cost of a page, measured before the run.

The runs with one and with two threads of a book come one after the other; "waited" says for how many seconds threads
had no core, which with one thread on two cores is other work on the machine. The small book's work is also done by a
plain Python program (`perf.plain`), in the same run; on a part of the feed both must decide the same.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.answers.records import Wanted, read_records
from engine.book.shelf import BookShelf
from perf import books, lines, plain
from perf.measure import arguments, isolated, waited_s, workplace
from perf.probes import Counter
from perf.product import configure, running
from perf.report import keep, table
from state.flusher import Flusher
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
    with running(config) as engine, Counter(Flusher, "step") as written:
        engine.take_files(folder / "warm")
        cpu = time.process_time()
        engine.write_pages()
        page_s = (time.process_time() - cpu) / written.total
        pages = written.total
        engine.take_files(folder / "settle")
        engine.begin_sweeps()
        before, begun, waited = engine.events, written.total, waited_s()
        cpu = time.process_time()
        seconds = engine.take_files(folder / "main")
        cpu = time.process_time() - cpu
        events = engine.events - before
        sweeps, due = (written.total - begun) / pages, events / engine.sweep_events
        return {
            "book": book, "partitions": partitions, "threads": threads, "events": events,
            "cpu_s_per_million": cpu / events * 1e6, "events_per_s": events / seconds,
            "steady_cpu_s_per_million": (cpu + (due - sweeps) * pages * page_s) / events * 1e6,
            "sweeps": sweeps, "sweeps_due": due, "pages_written": written.total - begun,
            "waited_s": waited_s() - waited,
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


def speed_up(runs: Sequence[dict[str, Any]], book: str) -> float:
    """Return the events a second of two threads over those of one, with the same partitions; 0 where one is missing."""
    speed = {run["threads"]: run["events_per_s"] for run in runs if run["book"] == book and run["partitions"] == 2}
    return float(speed[2] / speed[1]) if len(speed) == 2 else 0.0


def main() -> None:
    """Measure all cases, then print what an event costs and how that compares."""
    given = arguments(__doc__, events=14_250_000, subscribers=1_000_000, quick_events=300_000, quick_subscribers=20_000)
    plain_events = min(given.events, 50_000 if given.quick else 1_000_000)
    with workplace() as folder:
        same = isolated(same_decisions, folder / "same-decisions")
        feed = lines.Feed(given.subscribers)
        lines.write_everybody(folder / "warm" / "a.ndjson", feed)
        lines.write_lines(folder / "settle" / "a.ndjson", feed, given.subscribers)
        later = replace(feed, first=given.subscribers)
        lines.write_lines(folder / "main" / "a.ndjson", later, given.events)
        cases = CASES[1:3] if given.quick else CASES
        runs = [isolated(measure, folder, *case, given.subscribers) for case in cases]
        other = isolated(measure_plain, folder, plain_events)
    best = min(run["steady_cpu_s_per_million"] for run in runs if run["book"] == "small")
    ratio = other["cpu_s_per_million"] / best
    print(f"{given.events:,} events of 185 bytes over {given.subscribers:,} subscribers, durable, sweep on")
    rows = [
        (f"{run['book']}, {run['partitions']} partitions, {run['threads']} threads", run["cpu_s_per_million"],
         run["steady_cpu_s_per_million"], int(run["events_per_s"]), run["sweeps"], run["sweeps_due"], run["waited_s"])
        for run in runs
    ]  # fmt: skip
    plain_cost = other["cpu_s_per_million"]
    rows.append(("small, plain Python", plain_cost, plain_cost, int(1e6 / plain_cost), 0.0, 0.0, 0.0))
    print(table(("run", "CPU-s/M", "steady", "events/s", "sweeps", "due", "waited s"), rows))
    speed_ups = {book: speed_up(runs, book) for book in ("small", "large")}
    print(f"two threads / one: {speed_ups['small']:.2f} small, {speed_ups['large']:.2f} large")
    print(f"plain Python / engine: {ratio:.1f}; on a part of the feed both made the same {same:,} decisions")
    keep(
        "pipeline",
        {
            "subscribers": given.subscribers, "runs": runs, "plain": other, "ratio": ratio, "same": same,
            "speed_ups": speed_ups,
        },
        path=given.results,
    )  # fmt: skip


if __name__ == "__main__":
    main()
