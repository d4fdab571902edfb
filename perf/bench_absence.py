"""What does a deadline cost: re-armed by every event, when it comes, and looked for again at a start?

Events of one type fold into one count, with and without a rule `for = "30d"` that each of them begins anew; the
difference in CPU time is the price of re-arming. Then time passes: every deadline becomes a row, its frame is encoded,
folded, judged, and its record encoded, as the engine does between two syncs. A plain program keeps the last event of
each subscriber in a dict: count and checksum of what came must be the same. At last the hints are made anew.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.book.compiled import compile_book
from engine.flow.deadlines import NONE_MS, Deadlines
from engine.flow.decider import Decider
from perf.report import RESULTS, keep, table
from rules.load import load_text
from state.batch import Batch, empty
from state.columns import Table
from state.contacts import Contacts
from state.frame import Encoder, Frame, FrameKind

BASE_MS = 1_700_000_000_000
SPAN_MS = 30 * 86_400_000
FRAME_ROWS, DUE_ROWS = 8_192, 2_048
BOOK = """
campaign = "care"
[book]
max_age = "366d"
[events.use]
[channels.alert]
[features.uses]
count = "use"
[[rule]]
id = "never"
on = "use"
when = "uses < 0"
channels = ["alert"]
"""
RULE = """
[[rule]]
id = "silent"
after = "use"
for = "30d"
channels = ["alert"]
"""


class Run:
    """A decider over so many subscribers."""

    def __init__(self, text: str, subscribers: int) -> None:
        self.book = load_text({"book.toml": text})
        self.table = Table(subscribers)
        self.deadlines = Deadlines(self.table)
        self.decider = Decider(self.table, Contacts(self.table.capacity, 4), FRAME_ROWS, self.deadlines)
        self.decider.activate(compile_book(self.book), 0)
        self.position = 0
        self.records = 0

    def fold(self, batch: Batch) -> float:
        """Fold a frame; return the CPU seconds that it took."""
        self.position += 1
        slots = np.empty(batch.n, np.int32)
        numbers = np.arange(batch.n, dtype=np.int32)
        self.table.lookup(batch.subscriber, slots, self.position)
        began_s = time.process_time()
        found = self.decider.fold(self.position, int(batch.log_ms[-1]), batch, numbers, slots)
        if found is not None:
            self.records += found.n
            found.encode()
        return time.process_time() - began_s


def frames(run: Run, subscribers: int, events: int) -> list[Batch]:
    """Return events of subscribers drawn at random, a millisecond apart, in frames."""
    random = np.random.default_rng(1)
    found = []
    for start in range(0, events, FRAME_ROWS):
        batch = empty(run.book.schema, FRAME_ROWS)
        batch.subscriber[:] = 8613800000000 + random.integers(0, subscribers, FRAME_ROWS)
        batch.at_ms[:] = batch.log_ms[:] = BASE_MS + start + np.arange(FRAME_ROWS)
        batch.type[:] = run.book.schema.code("use")
        found.append(batch)
    return found


def rearming(run: Run, subscribers: int, events: int) -> tuple[float, NDArray[np.int64], NDArray[np.int64]]:
    """Return nanoseconds an event, after one round in which all is touched, and who was seen last when."""
    some = frames(run, subscribers, events)
    last: dict[int, int] = {}
    for batch in some:
        run.fold(batch)
    spent_s = 0.0
    for batch in some:
        batch.at_ms += events
        batch.log_ms += events
        spent_s += run.fold(batch)
        last.update(zip(batch.subscriber.tolist(), batch.at_ms.tolist(), strict=True))
    return spent_s / events * 1e9, np.array([*last]), np.array([*last.values()])


def firing(run: Run) -> tuple[float, int, int]:
    """Let every deadline come; return microseconds a deadline, how many came, and a checksum."""
    encoder, count, checksum = Encoder(), 0, 0
    began_s = time.process_time()
    while run.deadlines.next_ms < NONE_MS:
        batch = run.deadlines.take(NONE_MS - 1, DUE_ROWS)
        if batch is not None:
            encoder.encode(Frame(FrameKind.EVENTS, int(batch.log_ms[-1]), batch))
            run.fold(batch)
            count += batch.n
            checksum += int((batch.at_ms ^ batch.subscriber).sum())
    return (time.process_time() - began_s) / max(count, 1) * 1e6, count, checksum


def measure(subscribers: int, events: int) -> dict[str, Any]:
    """Return every figure."""
    without, _, _ = rearming(Run(BOOK, subscribers), subscribers, events)
    run = Run(BOOK + RULE, subscribers)
    with_, who, when = rearming(run, subscribers, events)
    began_s = time.process_time()
    run.deadlines.note_all()
    rebuild_s = time.process_time() - began_s
    fired_us, count, checksum = firing(run)
    due = -(-(when + SPAN_MS) // 1000) * 1000
    assert count == run.records == run.deadlines.fired == who.shape[0]
    assert checksum % (1 << 64) == int((due ^ who).sum()) % (1 << 64)
    return {
        "subscribers": subscribers, "events": events, "without_ns": round(without, 1), "with_ns": round(with_, 1),
        "rearm_ns": round(with_ - without, 1), "fired": count, "fired_us": round(fired_us, 2),
        "rebuild_ms": round(rebuild_s * 1000, 1), "hint_bytes": run.deadlines.hint_bytes,
    }  # fmt: skip


def main() -> None:
    """Measure with as many subscribers as the design has in memory, or a few."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="run in seconds, to see that it runs")
    parser.add_argument("--subscribers", type=int, default=2_000_000)
    parser.add_argument("--results", type=Path, default=RESULTS, help="file to append the figures to")
    given = parser.parse_args()
    subscribers = 20_000 if given.quick else given.subscribers
    measure(64, FRAME_ROWS)  # compiled, or loaded
    found = measure(subscribers, -(-2 * subscribers // FRAME_ROWS) * FRAME_ROWS)
    print(table(("deadlines", "measured"), [*found.items()]))
    keep("absence", found, path=given.results)


if __name__ == "__main__":
    main()
