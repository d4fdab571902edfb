"""Where does an event's time go? Nanoseconds of CPU an event, stage by stage, on one thread.

The same calls as `engine.flow.pipeline` makes, in its order, one after the other: what runs beside each other in the
product is added up here. "python" is what is not in any stage.
"""

import time
from pathlib import Path
from typing import Any

from connectors.sources.files import client as files
from connectors.sources.files.config import FilesConfig
from engine.flow import committer, core, decider, decoders, partition, pipeline
from engine.flow import stages as flow_stages
from engine.flow.tickets import Ticket
from perf import books, lines
from perf.measure import arguments, isolated, workplace
from perf.probes import Probes
from perf.product import Engine, configure, stopped
from perf.report import keep, table
from rules.expressions import run
from state import columns, decisions, flusher, frame, journal, page_writer, segments

STAGES = (
    (files.FilesSource, "next_chunk", "read"),
    (decoders.Decoders, "decode", "scan"),
    (flow_stages, "items_of", "split"),
    (partition, "_join", "join"),
    (frame.Encoder, "encode", "frame"),
    (segments.Segments, "append", "checksum, write"),
    (columns.Table, "lookup", "index"),
    (decider.Decider, "_fold_features", "features"),
    (run.Workspace, "run", "conditions"),
    (decider, "facts_of", "facts"),
    (decider.Decider, "judge", "gates"),
    (decisions.DecisionBatch, "encode", "journal"),
    (journal.Journal, "append", "journal"),
    (segments.Segments, "sync", "sync"),
    (flusher.Flusher, "step", "page pack"),
    (page_writer.PageWriter, "pump", "page write"),
    (core.Core, "decoded", "observe"),
    (core.Core, "committed", "observe"),
)


def measure(folder: Path, book: str, events: int, subscribers: int, partitions: int) -> dict[str, Any]:
    """Return nanoseconds an event by stage."""
    texts = books.small() if book == "small" else books.large()
    config = configure(
        folder / f"{book}-{partitions}", texts, subscribers=subscribers, threads=1, partitions=partitions
    )
    with Probes(STAGES) as probes, stopped(config) as engine:
        drive(engine, folder / "warm")
        probes.clear()
        began = time.thread_time_ns()
        rows = drive(engine, folder / "main")
        whole = time.thread_time_ns() - began
        assert rows == events, (rows, events)
        stages = {stage: spent / events for stage, spent in probes.spent_ns.items()}
        stages["python"] = whole / events - sum(stages.values())
        return stages | {"all": whole / events, "sweeps": engine.sweeps}


def drive(engine: Engine, folder: Path) -> int:
    """Take the files of a folder through every stage; return how many events that were."""
    source = files.FilesSource(FilesConfig(name="feed", directory=folder), {}, drain=True)
    partitions = engine.core.partitions
    before = sum(one.counts.events for one in partitions)
    waiting: list[list[partition.Item]] = [[] for _ in partitions]
    rows = [0] * len(partitions)
    while (chunk := source.next_chunk(pipeline.CHUNK_BYTES_A_PARTITION * len(partitions))) is not None:
        decoded = engine.doors.decode(chunk)
        engine.core.decoded(chunk, decoded)
        source.recycle(chunk)
        ticket = Ticket(chunk.length, chunk.received_ns)
        ticket.expect(len(partitions))
        for number, item in enumerate(flow_stages.items_of(chunk, decoded, ticket, len(partitions))):
            waiting[number].append(item)
            rows[number] += item.batch.n if item.batch is not None else 0
            if rows[number] >= partitions[number].batch_rows_max // 2:
                fold(engine, partitions[number], waiting[number])
                waiting[number], rows[number] = [], 0
    for number, one in enumerate(partitions):
        fold(engine, one, waiting[number])
    source.close()
    return sum(one.counts.events for one in partitions) - before


def fold(engine: Engine, one: partition.Partition, items: list[partition.Item]) -> None:
    """Append, decide, commit, and write what pages are due."""
    appended = list(one.process(items, time.time_ns() // 1_000_000))
    if appended:
        committer.commit(one, appended)
        engine.core.committed(one, appended, time.time_ns())
    one.flusher.pump()


def main() -> None:
    """Measure both books, with one partition and with two."""
    given = arguments(__doc__, events=3_000_000, subscribers=1_000_000, quick_events=200_000, quick_subscribers=20_000)
    with workplace() as folder:
        feed = lines.Feed(given.subscribers)
        lines.write_everybody(folder / "warm" / "a.ndjson", feed)
        lines.write_lines(folder / "main" / "a.ndjson", feed, given.events)
        runs = {
            f"{book} book, {partitions} partition{'s' * (partitions > 1)}": isolated(
                measure, folder, book, given.events, given.subscribers, partitions
            )
            for book, partitions in (("small", 1), ("small", 2), ("large", 2))
        }
    stages = [stage for stage in next(iter(runs.values())) if stage not in ("all", "sweeps")]
    rows = [(stage, *(one[stage] for one in runs.values())) for stage in (*stages, "all", "sweeps")]
    print(f"CPU ns an event, {given.events:,} events over {given.subscribers:,} subscribers")
    print(table(("stage", *runs), rows))
    keep("stages", {"events": given.events, "subscribers": given.subscribers, "ns": runs}, path=given.results)


if __name__ == "__main__":
    main()
