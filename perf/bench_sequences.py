"""What does a sequence of three steps cost an event?

Events of one type, each of one of four kinds, fold into one count, with and without a sequence whose steps are three
of these kinds; the difference in CPU time is its price. Once the steps are only kinds, once the later two must be about
the same item as the first. A plain program follows the same runs in dicts: as many must end.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perf.folding import BOOK, FRAME_ROWS, Run, frames, whole_frames
from perf.measure import arguments
from perf.report import keep, table
from state.batch import Batch

KINDS, ITEMS = 4, 16
SPAN_MS = 3_600_000
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


class SequenceRun(Run):
    """Counts the sequences that end."""

    def __init__(self, text: str, subscribers: int) -> None:
        super().__init__(text, subscribers)
        self.sequence = next((at for at, one in enumerate(self.book.features) if one.sequence is not None), None)
        self.ended = 0

    def look(self, batch: Batch, slots: NDArray[np.int32]) -> None:
        """Count those of a frame."""
        if self.sequence is not None:
            numbers = np.arange(batch.n, dtype=np.int32)
            steps = self.decider.seen(batch, numbers, slots).outs[self.sequence, : batch.n]
            self.ended += int(np.count_nonzero(steps == STEPS_COUNT))


def fill(batch: Batch, random: np.random.Generator) -> None:
    """Draw a kind and an item for each event."""
    batch.cells[0], batch.cells[1] = random.integers(0, KINDS, batch.n), random.integers(0, ITEMS, batch.n)
    batch.present[:] = 0b11


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
    run = SequenceRun(text, subscribers)
    some = frames(run, subscribers, events, fill)
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
    given = arguments(__doc__, events=4_000_000, subscribers=1_000_000, quick_events=40_000, quick_subscribers=10_000)
    measure(64, FRAME_ROWS)  # compiled, or loaded
    found = measure(given.subscribers, whole_frames(given.events))
    print(table(("sequences", "measured"), [*found.items()]))
    keep("sequences", found, path=given.results)


if __name__ == "__main__":
    main()
