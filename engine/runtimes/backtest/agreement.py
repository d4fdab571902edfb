"""Whether a rehearsal decided what was decided live: record by record, every column of it.

Compared are the records of the frames of which the journal still tells, of the sampled subscribers.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.runtimes.backtest.sample import Sample
from state.decisions import DecisionBatch, decision_id

NAMES_MAX = 5
_COLUMNS = (
    "kind", "row", "rule", "channel", "detail", "subscriber", "at_ms", "log_ms", "outcome", "gate", "of_position",
    "of_row", "arm", "probability",
)  # fmt: skip
_KEY = ("kind", "row", "rule", "of_position", "of_row")


@dataclass
class Agreement:
    """How many records are the same, differ, came live only and came here only; ids of the first that are not."""

    same: int = 0
    differ: int = 0
    live_only: int = 0
    here_only: int = 0
    first: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every record is the same."""
        return not (self.differ or self.live_only or self.here_only)

    def add(self, other: "Agreement") -> None:
        """Take in what another part found."""
        self.same += other.same
        self.differ += other.differ
        self.live_only += other.live_only
        self.here_only += other.here_only
        self.first = [*self.first, *other.first][:NAMES_MAX]

    def frame(self, partition: int, here: DecisionBatch | None, live: DecisionBatch | None, sample: Sample) -> None:
        """Compare the records of one frame."""
        if sample.whole and here is not None and live is not None and here.encode() == live.encode():
            self.same += here.n
            return
        ours = _records(here, sample) if here is not None else {}
        theirs = _records(live, sample) if live is not None else {}
        for key, record in ours.items():
            other = theirs.pop(key, None)
            if other == record:
                self.same += 1
                continue
            self.here_only += other is None
            self.differ += other is not None
            self._name(partition, here or live, key)
        for key in theirs:
            self.live_only += 1
            self._name(partition, live or here, key)

    def _name(self, partition: int, batch: DecisionBatch | None, key: tuple[int, ...]) -> None:
        if len(self.first) < NAMES_MAX and batch is not None:
            self.first.append(decision_id(partition, batch.position, key[1], key[2]))


def _records(batch: DecisionBatch, sample: Sample) -> dict[tuple[int, ...], tuple[Any, ...]]:
    """Return the records of a frame by kind, row, rule and the decision they end."""
    rows = np.arange(batch.n) if sample.whole else np.flatnonzero(sample.rows(batch.subscriber))
    columns = [getattr(batch, name)[rows].tolist() for name in _COLUMNS]
    facts = [_facts(batch, row) for row in rows.tolist()]
    keys = zip(*(columns[_COLUMNS.index(name)] for name in _KEY), strict=True)
    return dict(zip(keys, zip(*columns, facts, strict=True), strict=True))


def _facts(batch: DecisionBatch, row: int) -> tuple[bytes, bytes]:
    """Return what a record says of the facts; the cell of one that was unknown says nothing."""
    part = slice(int(batch.fact_start[row]), int(batch.fact_start[row + 1]))
    known: NDArray[np.uint8] = batch.facts_known[part]
    return (batch.facts[part] * known).tobytes(), known.tobytes()
