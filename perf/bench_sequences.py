"""What does a sequence of three steps cost an event?

Events of one type, each of one of four kinds, fold into one count, with and without a sequence whose steps are three
of these kinds; the difference in CPU time is its price. Once the steps are only kinds, once the later two must be about
the same item as the first. A plain program follows the same runs in dicts: as many must end.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.book.compiled import compile_book
from engine.flow.decider import Decider
from perf.report import RESULTS, keep, table
from rules.load import load_text
from state.batch import Batch, empty
from state.columns import Table
from state.contacts import Contacts

BASE_MS = 1_700_000_000_000
FRAME_ROWS, KINDS, ITEMS = 8_192, 4, 16
SPAN_MS = 3_600_000
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
STEPS = """
[sequences.three]
within = "1h"
steps = [
    {{ name = "first", event = "use", where = "kind == 0" }},
    {{ event = "use", where = "kind == 1{same}" }},
    {{ event = "use", where = "kind == 2{same}" }},
]
[[rule]]
id = "done"
on = "use"
when = "completed('three') and uses < 0"
channels = ["alert"]
"""
SAME = " and item == first.item"
RUNS, STEPS_COUNT = 4, 3


class Run:
    """A decider over so many subscribers."""

    def __init__(self, text: str, subscribers: int) -> None:
        self.book = load_text({"book.toml": text})
        self.table = Table(subscribers)
        self.decider = Decider(self.table, Contacts(self.table.capacity, 4), FRAME_ROWS)
        self.decider.activate(compile_book(self.book), 0)
        self.position = 0
        self.sequence = next((at for at, one in enumerate(self.book.features) if one.sequence is not None), None)
        self.ended = 0

    def fold(self, batch: Batch) -> float:
        """Fold a frame; return the CPU seconds that it took."""
        self.position += 1
        slots, numbers = np.empty(batch.n, np.int32), np.arange(batch.n, dtype=np.int32)
        self.table.lookup(batch.subscriber, slots, self.position)
        began_s = time.process_time()
        self.decider.fold(self.position, int(batch.log_ms[-1]), batch, numbers, slots)
        spent_s = time.process_time() - began_s
        if self.sequence is not None:
            steps = self.decider.seen(batch, numbers, slots).outs[self.sequence, : batch.n]
            self.ended += int(np.count_nonzero(steps == STEPS_COUNT))
        return spent_s


def frames(run: Run, subscribers: int, events: int) -> list[Batch]:
    """Return events of subscribers drawn at random, a millisecond apart, in frames."""
    random = np.random.default_rng(1)
    found = []
    for start in range(0, events, FRAME_ROWS):
        batch = empty(run.book.schema, FRAME_ROWS)
        batch.subscriber[:] = 8613800000000 + random.integers(0, subscribers, FRAME_ROWS)
        batch.at_ms[:] = batch.log_ms[:] = BASE_MS + start + np.arange(FRAME_ROWS)
        batch.type[:] = run.book.schema.code("use")
        batch.cells[0], batch.cells[1] = random.integers(0, KINDS, FRAME_ROWS), random.integers(0, ITEMS, FRAME_ROWS)
        batch.present[:] = 0b11
        found.append(batch)
    return found


def ended(some: list[Batch], *, same: bool) -> int:
    """Return how many runs end, as a plain program finds them: by subscriber a list of [steps, begin, item]."""
    runs: dict[int, list[list[int]]] = {}
    count = 0
    for batch in some:
        columns = batch.subscriber.tolist(), batch.at_ms.tolist(), batch.cells[0].tolist(), batch.cells[1].tolist()
        for who, at_ms, kind, item in zip(*columns, strict=True):
            mine = runs.setdefault(who, [])
            if kind in (1, 2):
                for one in [one for one in mine if one[0] == kind and at_ms - one[1] < SPAN_MS]:
                    if same and one[2] != item:
                        continue
                    mine.remove(one)
                    count += kind == 2
                    if kind == 1:
                        add(mine, [2, one[1], one[2]], same=same)
            elif kind == 0:
                if len(mine) == (RUNS if same else 2):
                    mine.remove(min(mine, key=lambda one: one[1]))
                add(mine, [1, at_ms, item], same=same)
    return count


def add(mine: list[list[int]], run: list[int], *, same: bool) -> None:
    """Put a run among the others; one that stands where it stands goes on only if it began later."""
    for one in mine:
        if one[0] == run[0] and (not same or one[2] == run[2]):
            one[1] = max(one[1], run[1])
            return
    mine.append(run)


def cost(text: str, subscribers: int, events: int, *, rounds: int = 3) -> tuple[float, int, list[Batch]]:
    """Return nanoseconds an event of the best of some rounds, the first of which is not counted; and what ended."""
    run = Run(text, subscribers)
    some = frames(run, subscribers, events)
    told, best_s = some, float("inf")
    for number in range(rounds + 1):
        spent_s = sum(run.fold(batch) for batch in told)
        best_s = min(best_s, spent_s) if number else best_s
        if number == 0:
            count = run.ended
        for batch in told:
            batch.at_ms += events
            batch.log_ms += events
    for batch in told:
        batch.at_ms -= (rounds + 1) * events
    return best_s / events * 1e9, count, told


def measure(subscribers: int, events: int) -> dict[str, Any]:
    """Return every figure."""
    without, _, _ = cost(BOOK, subscribers, events)
    kinds, done, told = cost(BOOK + STEPS.format(same=""), subscribers, events)
    assert done == ended(told, same=False)
    items, done_same, told = cost(BOOK + STEPS.format(same=SAME), subscribers, events)
    assert done_same == ended(told, same=True)
    return {
        "subscribers": subscribers, "events": events, "without_ns": round(without, 1),
        "steps_ns": round(kinds - without, 1), "ended": done,
        "compared_steps_ns": round(items - without, 1), "compared_ended": done_same,
    }  # fmt: skip


def main() -> None:
    """Measure with many subscribers, or a few."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="run in seconds, to see that it runs")
    parser.add_argument("--subscribers", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, default=RESULTS, help="file to append the figures to")
    given = parser.parse_args()
    subscribers = 10_000 if given.quick else given.subscribers
    measure(64, FRAME_ROWS)  # compiled, or loaded
    found = measure(subscribers, -(-4 * subscribers // FRAME_ROWS) * FRAME_ROWS)
    print(table(("sequences", "measured"), [*found.items()]))
    keep("sequences", found, path=given.results)


if __name__ == "__main__":
    main()
