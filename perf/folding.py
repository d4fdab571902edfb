"""A decider that folds frames in memory, for benchmarks of what one construct of a book costs an event.

    run = Run(BOOK + RULE, subscribers)
    spent_s = sum(run.fold(batch) for batch in frames(run, subscribers, events))

No log and no thread: the CPU time is that of the fold alone.
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.book.compiled import compile_book
from engine.flow.deadlines import Deadlines
from engine.flow.decider import Decider
from rules.load import load_text
from state.batch import Batch, empty
from state.columns import Table
from state.contacts import Contacts

BASE_MS = 1_700_000_000_000
FRAME_ROWS = 8_192
BOOK = """
campaign = "care"
[book]
max_age = "366d"
[events.use]
fields = { kind = "int", item = "int" }
[channels.alert]
[features.uses]
count = "use"
[[rule]]
id = "never"
on = "use"
when = "uses < 0"
channels = ["alert"]
"""
Fill = Callable[[Batch, np.random.Generator], None]
"""Fills the fields of a frame in."""


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
        """Fold a frame and encode its records; return the CPU seconds that it took."""
        self.position += 1
        slots, numbers = np.empty(batch.n, np.int32), np.arange(batch.n, dtype=np.int32)
        self.table.lookup(batch.subscriber, slots, self.position)
        began_s = time.process_time()
        found = self.decider.fold(self.position, int(batch.log_ms[-1]), batch, numbers, slots)
        if found is not None:
            self.records += found.n
            found.encode()
        spent_s = time.process_time() - began_s
        self.look(batch, slots)
        return spent_s

    def look(self, batch: Batch, slots: NDArray[np.int32]) -> None:
        """Look at a frame that was folded; its time does not count."""


def frames(run: Run, subscribers: int, events: int, fill: Fill = lambda *_: None) -> list[Batch]:
    """Return events of subscribers drawn at random, a millisecond apart, in frames."""
    random = np.random.default_rng(1)
    found = []
    for start in range(0, events, FRAME_ROWS):
        batch = empty(run.book.schema, FRAME_ROWS)
        batch.subscriber[:] = 8613800000000 + random.integers(0, subscribers, FRAME_ROWS)
        batch.at_ms[:] = batch.log_ms[:] = BASE_MS + start + np.arange(FRAME_ROWS)
        batch.type[:] = run.book.schema.code("use")
        fill(batch, random)
        found.append(batch)
    return found


def whole_frames(events: int) -> int:
    """Return the number of events, rounded up to whole frames."""
    return -(-events // FRAME_ROWS) * FRAME_ROWS
