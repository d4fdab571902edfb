"""What does an event cost that comes as columns, from a file of Arrow or Parquet to a durable decision?

The same events are taken as JSON lines, as an Arrow IPC stream, as one whose columns of few words are dictionaries, as
an Arrow file with zstd, and as Parquet, one process after the other: small book, one thread, every subscriber known
before, log, journal and decision records on. CPU is that of the whole process; "taken in" is the part of it that reads
and decodes. All must decide the same, which is counted and compared.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from connectors.sources.files import client as files
from connectors.sources.mapping import Mapping as LineMapping
from engine.answers.records import Wanted, read_records
from engine.book.shelf import BookShelf
from engine.flow import decoders
from perf import books, lines
from perf.measure import arguments, isolated, workplace
from perf.probes import Probes
from perf.product import Engine, configure, running
from perf.report import keep, table
from state.hashing import hash_text
from state.journal import Journal

ROWS = 1 << 16
PARTS = ("warm", "main")
FORMATS: Mapping[str, str] = {
    "json": "ndjson", "arrow stream": "arrow", "arrow stream, dictionaries": "arrow", "arrow file, zstd": "arrow",
    "parquet": "parquet",
}  # fmt: skip
WORDS = ("type", "kind", "direction", "city", "apn", "app", "cause", "rat", "sp", "service")
"""Columns of few different texts."""
STAGES = ((files.FilesSource, "next_chunk", "taken in"), (decoders.Decoders, "decode", "taken in"))


def write_columns(folder: Path) -> None:
    """Write the lines of every part again as columns."""
    for part in PARTS:
        read = pj.read_json(
            folder / "json" / part / "a.ndjson",
            pj.ReadOptions(block_size=16 << 20),
            pj.ParseOptions(explicit_schema=pa.schema([("time", pa.string())])),
        )
        place = read.schema.get_field_index("time")
        read = read.set_column(place, "time", pc.cast(read["time"], pa.timestamp("ms", "UTC")))
        targets = {name: folder / name / part / "a.columns" for name in list(FORMATS)[1:]}
        for path in targets.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        with pa.ipc.new_stream(targets["arrow stream"], read.schema) as stream:
            stream.write_table(read, ROWS)
        shared = as_dictionaries(read)
        with pa.ipc.new_stream(targets["arrow stream, dictionaries"], shared.schema) as stream:
            stream.write_table(shared, ROWS)
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(targets["arrow file, zstd"], read.schema, options=options) as file:
            file.write_table(read, ROWS)
        pq.write_table(read, targets["parquet"], compression="zstd")


def as_dictionaries(read: Any) -> Any:
    """Return a table whose columns of few different texts are dictionaries', the same in every batch."""
    for name in WORDS:
        read = read.set_column(
            read.schema.get_field_index(name), name, pc.dictionary_encode(read[name].combine_chunks())
        )
    return read


def measure(folder: Path, name: str, subscribers: int) -> dict[str, Any]:
    """Decide one form of the feed; return CPU seconds a million events and what was done."""
    mapping = LineMapping.model_validate({"format": FORMATS[name]})
    run = folder / f"run-{name}"
    config = configure(run, books.small(), subscribers=subscribers, threads=1, partitions=1, mapping=mapping)
    with Probes(STAGES) as probes, running(config) as engine:
        engine.take_files(folder / name / "warm")
        probes.clear()
        before = engine.events
        cpu = time.process_time()
        seconds = engine.take_files(folder / name / "main")
        cpu = time.process_time() - cpu
        events = engine.events - before
        return {
            "form": name, "events": events, "decisions": decisions(engine),
            "cpu_s_per_million": cpu / events * 1e6, "events_per_s": events / seconds,
            "taken_in_s_per_million": sum(probes.spent_ns.values()) / events / 1e3,
            "bytes_an_event": next((folder / name / "main").iterdir()).stat().st_size / events,
        }  # fmt: skip


def decisions(engine: Engine) -> list[int]:
    """Return how many decisions were made, and a sum of what they say."""
    shelf, texts = BookShelf(engine.core.datadir.books), engine.core.strings
    journals = [(0, Journal(engine.core.datadir.journal(0), read_only=True))]
    said = [
        hash_text(f"{one['subscriber']} {one['at_ms']} {one['rule']}".encode())
        for one in read_records(journals, shelf, texts, Wanted(decided_only=True))
    ]
    return [len(said), sum(said) & 0xFFFFFFFF]


def main() -> None:
    """Measure every form, and print what an event costs in it and against JSON."""
    given = arguments(__doc__, events=3_000_000, subscribers=500_000, quick_events=60_000, quick_subscribers=5_000)
    with workplace() as folder:
        feed = lines.Feed(given.subscribers)
        lines.write_everybody(folder / "json" / "warm" / "a.ndjson", feed)
        lines.write_lines(folder / "json" / "main" / "a.ndjson", feed, given.events)
        isolated(write_columns, folder)
        runs = [isolated(measure, folder, name, given.subscribers) for name in FORMATS]
    assert len({(run["events"], *run["decisions"]) for run in runs}) == 1, runs
    whole = runs[0]["cpu_s_per_million"]
    print(f"{given.events:,} events over {given.subscribers:,} subscribers, small book, one thread, durable")
    rows = [
        (run["form"], run["cpu_s_per_million"], run["cpu_s_per_million"] / whole, run["taken_in_s_per_million"],
         int(run["events_per_s"]), run["decisions"][0])
        for run in runs
    ]  # fmt: skip
    print(table(("form", "CPU-s/M", "of JSON", "taken in", "events/s", "decisions"), rows))
    keep("columns", {"subscribers": given.subscribers, "runs": runs}, path=given.results)


if __name__ == "__main__":
    main()
