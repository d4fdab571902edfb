"""What a lane counts, as columns and counters: small enough to be handed from process to process.

Only what lies in the span asked for is counted; times are the log's. Of what was decided every record is kept, as five
numbers, so that two lanes can be held against each other decision by decision.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.runtimes.backtest.derived import decided_rows, keys_of
from state.batch import Batch
from state.decisions import DecisionBatch, Outcome, OutcomeState, RecordKind
from state.schema import DECISION_RULE, OUTCOME, OUTCOME_CONTACT, OUTCOME_ERROR, OUTCOME_STATE
from state.texts import Lookup

HOUR_MS = 3_600_000
COLUMNS = ("key", "hour", "rule", "channel", "subscriber")

Int64s = NDArray[np.int64]


@dataclass
class Tally:
    """Counts of one lane.

    `decided`: COLUMNS int64[m] of each decision: a hash of its id and channel, the hour since 1970 UTC, stable ids of
    rule and channel, subscriber. Counters: `stopped` by (rule, gate), `withdrawn` by (rule, gate), `ended` by (rule,
    state), `sent` by (hour, rule), `refunds` by (rule, reason).
    """

    from_ms: int
    to_ms: int
    events: int = 0
    decided: dict[str, Int64s] = field(default_factory=dict)
    stopped: Counter[tuple[int, int]] = field(default_factory=Counter)
    withdrawn: Counter[tuple[int, int]] = field(default_factory=Counter)
    ended: Counter[tuple[int, int]] = field(default_factory=Counter)
    sent: Counter[tuple[int, int]] = field(default_factory=Counter)
    refunds: Counter[tuple[int, str]] = field(default_factory=Counter)
    waiting: int = 0
    _parts: list[tuple[Int64s, ...]] = field(default_factory=list)

    def records(self, partition: int, batch: DecisionBatch) -> None:
        """Count what was decided, stopped and withdrawn on a frame."""
        inside = (batch.log_ms >= self.from_ms) & (batch.log_ms < self.to_ms)
        if not inside.any():
            return
        rows = decided_rows(batch)
        rows = rows[inside[rows]]
        if rows.shape[0]:
            rule, channel = batch.rule[rows], batch.channel[rows]
            keys = keys_of(batch.position * 1021 + partition, batch.row[rows], rule) ^ channel
            self._parts.append((keys, batch.log_ms[rows] // HOUR_MS, rule, channel, batch.subscriber[rows]))
        other = inside & (batch.outcome == Outcome.SUPPRESSED)
        for kind, counter in ((RecordKind.DECISION, self.stopped), (RecordKind.WITHDRAWAL, self.withdrawn)):
            some = np.flatnonzero(other & (batch.kind == kind))
            counter.update(zip(batch.rule[some].tolist(), batch.gate[some].tolist(), strict=True))

    def outcomes(self, batch: Batch, rows: NDArray[np.intp], texts: Lookup) -> None:
        """Count what became of decisions; `rows` are rows of outcomes."""
        rows = rows[(batch.log_ms[rows] >= self.from_ms) & (batch.log_ms[rows] < self.to_ms)]
        rule, state = batch.cells[DECISION_RULE, rows], batch.cells[OUTCOME_STATE, rows]
        self.ended.update(zip(rule.tolist(), state.tolist(), strict=True))
        reached = np.flatnonzero(state == OutcomeState.COMMITTED)
        hours = batch.cells[OUTCOME_CONTACT, rows[reached]] // HOUR_MS
        self.sent.update(zip(hours.tolist(), rule[reached].tolist(), strict=True))
        for row in rows[state == OutcomeState.REFUNDED].tolist():
            text = texts.text(int(batch.cells[OUTCOME_ERROR, row]))
            reason = text.decode(errors="replace").partition(" ")[0] if text else "?"
            self.refunds[int(batch.cells[DECISION_RULE, row]), reason] += 1

    def close(self) -> None:
        """Join the columns; nothing more is counted."""
        parts = zip(*self._parts, strict=True) if self._parts else ([np.zeros(0, np.int64)] for _ in COLUMNS)
        self.decided = {name: np.concatenate(part) for name, part in zip(COLUMNS, parts, strict=True)}
        self._parts = []


def outcome_rows(batch: Batch) -> NDArray[np.intp]:
    """Return the rows of a frame that say what became of decisions."""
    return np.flatnonzero(batch.type == OUTCOME)
