"""How fast, and in how much memory, does `opportune report` read decisions and what became of them?

A data directory is written as the engine writes it: frames of 2,000 events with 200 decisions each, four outcomes of
five in later frames, one decision in ten held out. Then the commands run on it as processes; told are decisions a
second, CPU and the most memory that was private to the process; the effects, in a file that is mapped, are not.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.book.compiled import compile_texts
from engine.book.shelf import BookShelf
from engine.flow.datadir import DataDir, Fixed
from perf.report import RESULTS, keep, table
from rules.gates import NUMBERS
from rules.model import Book
from state.batch import empty
from state.decisions import DecisionBatch, Outcome, OutcomeState
from state.frame import Frame, FrameKind
from state.journal import Journal
from state.log import Log
from state.schema import DECISION_POSITION, DECISION_ROW, DECISION_RULE, OUTCOME, OUTCOME_CONTACT, OUTCOME_STATE
from state.segments import SEGMENT_BYTES

DECISIONS = 10_000_000
FRAME_ROWS, FRAME_DECISIONS = 2_000, 200
SUBSCRIBERS = 2_000_000
MAIN = "from engine.commands import main; raise SystemExit(main())"
BEGIN_MS = 1_225_728_000_000
BOOK = """
[events.call]
fields = { kind = "int", seconds = "int" }
[channels.sms]
[[rule]]
id = "r"
on = "call"
channels = ["sms"]
holdout = "10%"
text.sms = "t"
[[goal]]
name = "long"
on = "call"
when = "seconds > 590"
within = "1d"
value = "seconds"
"""


def write(folder: Path, decisions: int, segment_bytes: int = SEGMENT_BYTES) -> int:
    """Write a data directory with so many decisions; return the bytes of its log."""
    compiled = compile_texts({"book.toml": BOOK}, None)
    datadir = DataDir(folder / "data")
    datadir.root.mkdir()
    datadir.fix(Fixed(1, 24))
    BookShelf(datadir.books).put(compiled)
    log, journal = Log(datadir.log(0), segment_bytes=segment_bytes), Journal(datadir.journal(0))
    rng = np.random.default_rng(1)
    last: DecisionBatch | None = None
    for position in range(decisions // FRAME_DECISIONS):
        append_ms = BEGIN_MS + position * 20
        frame = _events(compiled.book, rng, last, append_ms)
        assert frame.batch is not None
        log.append(frame)
        last = _decisions(compiled.book, rng, frame.batch.subscriber, position, append_ms)
        journal.append(position, [last.encode()], append_ms)
    size = log.kept_bytes
    log.close()
    journal.close()
    (folder / "book").mkdir()
    (folder / "book" / "book.toml").write_text(BOOK)
    (folder / "config.toml").write_text('data = { directory = "data", partitions = 1 }\nbook = { folder = "book" }\n')
    return size


def _events(book: Book, rng: np.random.Generator, last: DecisionBatch | None, append_ms: int) -> Frame:
    batch = empty(book.schema, FRAME_ROWS)
    batch.subscriber[:] = rng.integers(1, SUBSCRIBERS, FRAME_ROWS)
    batch.type[:] = book.schema.code("call")
    batch.at_ms[:], batch.log_ms[:], batch.present[:] = append_ms, append_ms, 3
    batch.cells[1] = rng.integers(0, 600, FRAME_ROWS)
    if last is not None:
        sent = np.flatnonzero(last.outcome == Outcome.DECIDED)[: FRAME_DECISIONS * 4 // 5]
        rows = np.arange(sent.shape[0])
        batch.type[rows], batch.subscriber[rows] = OUTCOME, last.subscriber[sent]
        batch.cells[:, rows], batch.present[rows] = 0, (1 << OUTCOME_CONTACT + 1) - 1
        batch.cells[DECISION_POSITION, rows], batch.cells[DECISION_ROW, rows] = last.position, last.row[sent]
        batch.cells[DECISION_RULE, rows], batch.cells[OUTCOME_STATE, rows] = last.rule[sent], OutcomeState.COMMITTED
        batch.cells[OUTCOME_CONTACT, rows] = append_ms
    return Frame(FrameKind.EVENTS, append_ms, batch)


def _decisions(
    book: Book, rng: np.random.Generator, subscriber: "np.ndarray[Any, np.dtype[np.int64]]", position: int, at_ms: int
) -> DecisionBatch:
    n = FRAME_DECISIONS
    row = np.sort(rng.choice(FRAME_ROWS, n, replace=False)).astype(np.int32)
    held_out = rng.random(n) < 0.1
    zeros = np.zeros(n, np.int64)
    (rule,) = book.rules
    return DecisionBatch(
        position, at_ms, book.version, kind=zeros.astype(np.uint8), row=row, rule=np.full(n, rule.stable_id),
        channel=np.where(held_out, 0, rule.channel_ids[0]), detail=zeros.astype(np.int32), subscriber=subscriber[row],
        at_ms=np.full(n, at_ms), log_ms=np.full(n, at_ms), outcome=held_out.astype(np.uint8),
        gate=np.where(held_out, NUMBERS["holdout"], 0).astype(np.uint8), of_position=zeros,
        of_row=zeros.astype(np.int32), arm=zeros.astype(np.uint8), probability=zeros.astype(np.float32),
        fact_start=np.zeros(n + 1, np.int32), facts=zeros[:0], facts_known=zeros[:0].astype(np.uint8),
    )  # fmt: skip


def measure(folder: Path, *words: str) -> dict[str, float]:
    """Run a command; return its seconds, CPU seconds and the most private memory it had, in MB."""
    began = time.monotonic()
    with (folder / "out").open("w") as out:
        process = subprocess.Popen([sys.executable, "-c", MAIN, *words], cwd=folder, stdout=out)
    most, cpu = 0, 0.0
    while process.poll() is None:
        most = max(most, _private_bytes(process.pid))
        cpu = _cpu_s(process.pid) or cpu
        time.sleep(0.05)
    assert process.returncode == 0, words
    return {"s": round(time.monotonic() - began, 1), "cpu_s": round(cpu, 1), "private_mb": round(most / 1e6, 1)}


def _private_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Write a directory, report and export it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=DECISIONS, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="run in seconds, to see that it runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file to append the figures to")
    given = parser.parse_args()
    decisions = 20_000 if given.quick else given.decisions
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write(folder, decisions)
        found = {
            "report": measure(folder, "report", "--by", "rule,day", "--format", "ndjson"),
            "export": measure(folder, "export", "exported"),
        }
    rows = [(kind, *one.values(), round(decisions / one["s"])) for kind, one in found.items()]
    print(
        table((f"{decisions:,} decisions, log of {size / 1e6:,.0f} MB", "s", "CPU s", "private MB", "a second"), rows)
    )
    keep("evidence", {"decisions": decisions, "log_bytes": size, "runs": found}, path=given.results)


if __name__ == "__main__":
    main()
