"""What does an event cost the whole way: `opportune run --drain` as a process, from a file to texts in the spool?

Nothing is known before: each of a million subscribers is new to the engine, and some 2.5 % of events are texted. Four
cases: as it is; without the one field that has a new value in each event (the other party's number); with every text
held back (`holdout = "100%"`); without both. CPU is that of the process with all its threads. Each case runs twice, the
second with a tenth of the events; the difference of the two is what the events cost, so start-up is left out.

Plain Python (`perf.plain`), which keeps nothing and sends nothing, works through the same feed in the same run; one of
its eight rules asks for longer calls, so it decides less often.
"""

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perf import books, lines, plain
from perf.measure import arguments, isolated, workplace
from perf.product import write_book
from perf.report import keep, table

CASES = (("as it is", True, True), ("no number of the other party", False, True), ("held back", True, False),
         ("neither", False, False))  # fmt: skip
"""Name, whether lines have the field, whether texts go."""
PART = 10
CONFIG = """
data = {{ directory = "data", partitions = 2, threads = {threads} }}
book.folder = "book"
http.enabled = false
desk.enabled = false
state.memory_subscribers = {subscribers}
gateways.spool = {{ kind = "spool", folder = "spool", rate_per_s = 1000000.0, sync = false }}
channels.sms = {{ gateway = "spool", rate_per_s = 1000000.0 }}
[[sources.files]]
name = "feed"
directory = "inbox"
"""
START = "import sys; from engine.commands import main; sys.exit(main())"


def book(*, texted: bool) -> Mapping[str, str]:
    """Return the small book, with a field for the other party, caps that let one text an hour go, and a holdout."""
    text = books.small()["book.toml"].replace("fields = { ", 'fields = { party = "string", ')
    text = text.replace("calls_hour >= 3 and seconds > 200", "calls_hour >= 2 and seconds > 150")
    text = text.replace('cap = ["3 per day"]', 'cap = ["24 per day"]' + ("" if texted else '\nholdout = "100%"'))
    return {"book.toml": text.replace('cap = ["6 per 7d"]', 'cap = ["48 per 7d"]')}


def run(folder: Path, feed: Path, *, texted: bool, threads: int, subscribers: int) -> dict[str, float]:
    """Drain one file; return CPU and wall seconds of the process, and texts in the spool."""
    (folder / "inbox").mkdir(parents=True)
    (folder / "inbox" / "feed.ndjson").hardlink_to(feed)
    write_book(folder / "book", book(texted=texted))
    (folder / "config.toml").write_text(CONFIG.format(threads=threads, subscribers=subscribers + subscribers // 8))
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", START, "run", "--drain", "--quiet", "--config", str(folder / "config.toml")]
    subprocess.run(command, check=True, cwd=folder)
    wall_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    texts = sum(file.read_bytes().count(b"\n") for file in (folder / "spool").glob("out*.ndjson"))
    shutil.rmtree(folder)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_s": cpu_s, "wall_s": wall_s, "texts": texts}


def measure(folder: Path, name: str, *, party: bool, texted: bool, threads: int, given: Any) -> dict[str, Any]:
    """Run one case in whole and in part."""
    files = [
        folder / f"{'party' if party else 'bare'}-{events}.ndjson" for events in (given.events, given.events // PART)
    ]
    whole, part = (
        isolated(run, folder / "run", file, texted=texted, threads=threads, subscribers=given.subscribers)
        for file in files
    )
    events = given.events - given.events // PART
    return {
        "case": name, "threads": threads, "texts": whole["texts"], "texted_share": whole["texts"] / given.events,
        "cpu_s_per_million": (whole["cpu_s"] - part["cpu_s"]) / events * 1e6,
        "events_per_s": events / (whole["wall_s"] - part["wall_s"]), "start_cpu_s": part["cpu_s"],
    }  # fmt: skip


def measure_plain(feed: Path, events: int) -> float:
    """Let the plain program decide the feed; return CPU seconds a million events."""
    with feed.open("rb") as file:
        cpu = time.process_time()
        plain.decide((file.readline() for _ in range(events)), {})
        return (time.process_time() - cpu) / events * 1e6


def main() -> None:
    """Measure all cases with one thread and with two."""
    given = arguments(__doc__, events=3_000_000, subscribers=1_000_000, quick_events=100_000, quick_subscribers=20_000)
    with workplace() as folder:
        for party in (True, False):
            feed = lines.Feed(given.subscribers, seed=11, parties=party)
            for events in (given.events, given.events // PART):
                lines.write_lines(folder / f"{'party' if party else 'bare'}-{events}.ndjson", feed, events)
        runs = [
            measure(folder, name, party=party, texted=texted, threads=threads, given=given)
            for name, party, texted in (CASES[::2] if given.quick else CASES)
            for threads in ((1,) if given.quick else (1, 2))
        ]
        plain_cost = isolated(measure_plain, folder / f"party-{given.events}.ndjson", min(given.events, 1_000_000))
    print(f"{given.events:,} events over {given.subscribers:,} new subscribers, `opportune run --drain` as a process")
    rows: list[tuple[object, ...]] = [
        (f"{one['case']}, {one['threads']} threads", one["cpu_s_per_million"], plain_cost / one["cpu_s_per_million"],
         int(one["events_per_s"]), one["texts"], 100 * one["texted_share"])
        for one in runs
    ]  # fmt: skip
    rows.append(("plain Python, nothing kept or sent", plain_cost, 1.0, int(1e6 / plain_cost), 0, 0.0))
    print(table(("case", "CPU-s/M", "plain / it", "events/s", "texts", "% texted"), rows))
    keep("whole", {"subscribers": given.subscribers, "runs": runs, "plain": plain_cost}, path=given.results)


if __name__ == "__main__":
    main()
