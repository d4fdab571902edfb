"""Records of decisions for hostile topics."""

import numpy as np

from engine.runtimes.cluster.shared.journal_position import record_of
from state.decisions import DecisionBatch


def decision_record(position: int) -> bytes:
    """Return a record that reaches a position and holds no decision."""
    none64, none32, none8 = np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.uint8)
    batch = DecisionBatch(
        position=position, append_ms=0, book="0" * 16, subscriber=none64, at_ms=none64, facts=none64, row=none32,
        rule=none64, channel=none64, detail=none32, fact_start=np.zeros(1, np.int32), outcome=none8, gate=none8,
        facts_known=none8, kind=none8, log_ms=none64, of_position=none64, of_row=none32, arm=none8,
        probability=np.zeros(0, np.float32),
    )  # fmt: skip
    return record_of(position, batch)
