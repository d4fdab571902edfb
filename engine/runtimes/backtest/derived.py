"""Which recorded rows another book takes: all that came from outside, and what came of decisions that it made too.

A row is derived when it names the decision from which it came: an outcome and an answer do so in their fields, any
other in its cause. A visit, a reply and a list are what people did; a book that was not live is given them all the
same, as nobody knows who would have done otherwise.

Two books took the same decision when it has the same id, which is the row of the same event, so subscriber, rule and
time are the same, and the same channel.
"""

import numpy as np
from numpy.typing import NDArray

from state.batch import Batch
from state.decisions import DecisionBatch, Outcome, RecordKind
from state.schema import ANSWER, DECISION_POSITION, DECISION_ROW, DECISION_RULE, OUTCOME

Keys = NDArray[np.int64]
_A = np.int64(-0x61C8864680B583EB)
_B = np.int64(-0x4B47D0C5A1A2B6C5)
_SHIFT = np.int64(31)


def keys_of(position: Keys | int, row: NDArray[np.int32] | Keys, rule: Keys) -> Keys:
    """Return a hash of each decision of one partition; two are alike with a probability of 2**-64 a pair."""
    mixed = np.asarray(position, np.int64) * _A ^ (row.astype(np.int64) << np.int64(32)) ^ rule
    mixed = (mixed ^ (mixed >> _SHIFT)) * _B
    return mixed ^ (mixed >> _SHIFT)


def decided_rows(batch: DecisionBatch) -> NDArray[np.intp]:
    """Return the indices of what was decided."""
    return np.flatnonzero((batch.outcome == Outcome.DECIDED) & (batch.kind == RecordKind.DECISION))


def shared(ours: DecisionBatch, live: DecisionBatch | None) -> NDArray[np.bool_]:
    """Return, for each of our records, whether it is a decision that was taken live as well, on the same channel."""
    found = np.zeros(ours.n, np.bool_)
    if live is None:
        return found
    mine, theirs = decided_rows(ours), decided_rows(live)
    if mine.shape[0] and theirs.shape[0]:
        found[mine] = np.isin(_on_channel(ours, mine), _on_channel(live, theirs))
    return found


def _on_channel(batch: DecisionBatch, rows: NDArray[np.intp]) -> Keys:
    return keys_of(batch.channel[rows], batch.row[rows], batch.rule[rows])


class SharedDecisions:
    """The decisions of one partition that this book has in common with the one that ran, and their channels."""

    def __init__(self) -> None:
        self._channels: dict[int, int] = {}

    def add(self, position: int, batch: DecisionBatch, rows: NDArray[np.bool_] | NDArray[np.intp]) -> None:
        """Remember decisions of a frame."""
        keys = keys_of(position, batch.row[rows], batch.rule[rows])
        self._channels.update(zip(keys.tolist(), batch.channel[rows].tolist(), strict=True))

    def discard(self, keys: Keys) -> None:
        """Forget decisions: from now on they go another way than live."""
        for key in keys.tolist():
            self._channels.pop(key, None)

    def has(self, keys: Keys) -> NDArray[np.bool_]:
        """Return which of the decisions are remembered."""
        return np.array([key in self._channels for key in keys.tolist()], np.bool_)

    def channels(self, keys: Keys) -> list[int]:
        """Return the stable id of each decision's channel, 0 where it is not remembered."""
        return [self._channels.get(key, 0) for key in keys.tolist()]

    def keep(self, batch: Batch) -> NDArray[np.bool_] | None:
        """Return which rows of a recorded frame this book takes; None for all."""
        named = np.flatnonzero((batch.type == OUTCOME) | (batch.type == ANSWER))
        caused = np.flatnonzero(batch.cause[3]) if batch.cause.shape[1] else named[:0]
        if named.shape[0] + caused.shape[0] == 0:
            return None
        keep = np.ones(batch.n, np.bool_)
        keep[caused] = self.has(keys_of(*batch.cause[1:4, caused]))
        keep[named] = self.has(keys_named(batch, named))
        return None if keep.all() else keep


def keys_named(batch: Batch, rows: NDArray[np.intp]) -> Keys:
    """Return the decisions that rows of outcomes and answers name."""
    position, row, rule = (batch.cells[slot, rows] for slot in (DECISION_POSITION, DECISION_ROW, DECISION_RULE))
    return keys_of(position, row, rule)
