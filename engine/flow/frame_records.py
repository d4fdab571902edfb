"""The records of one frame: what its candidates came to, and what its rows withdrew, as one batch."""

import numpy as np
from numpy.typing import NDArray

from rules.gates.arm import draw_arms
from rules.gates.kernel import Verdicts, Withdrawals
from rules.gates.table import GateTable
from state.batch import Batch
from state.decisions import DecisionBatch, Outcome, RecordKind

Head = tuple[int, int, str]
"""Of a frame: its position, its append time, and the version of the book that decides."""
Facts = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]
"""Starts, cells and known flags of what candidates read."""


def decided(
    head: Head,
    batch: Batch,
    number: NDArray[np.int32],
    gates: GateTable,
    candidates: tuple[NDArray[np.int32], NDArray[np.int32]],
    verdicts: Verdicts,
    facts: Facts,
) -> DecisionBatch:
    """Return the records of the candidates, int32[m] rows and rules."""
    row, rule = candidates
    m = row.shape[0]
    position, append_ms, book = head
    channel_ids = np.concatenate([np.zeros(1, np.int64), gates.rules.channel_id])
    subscriber = batch.subscriber[row]
    arm, probability = np.zeros(m, np.uint8), np.zeros(m, np.float32)
    if gates.arms.end.shape[0]:
        draw_arms(gates.arms, rule, subscriber, arm, probability)
    return DecisionBatch(
        position=position,
        append_ms=append_ms,
        book=book,
        kind=np.full(m, RecordKind.DECISION, np.uint8),
        row=number[row],
        rule=gates.rules.stable[rule].astype(np.int64),
        channel=channel_ids[verdicts.channel],
        detail=verdicts.detail,
        subscriber=subscriber,
        at_ms=batch.at_ms[row],
        log_ms=batch.log_ms[row],
        outcome=np.where(verdicts.gate == 0, Outcome.DECIDED, Outcome.SUPPRESSED).astype(np.uint8),
        gate=verdicts.gate,
        of_position=np.zeros(m, np.int64),
        of_row=np.zeros(m, np.int32),
        arm=arm,
        probability=probability,
        fact_start=facts[0],
        facts=facts[1],
        facts_known=facts[2],
    )


def withdrawn(head: Head, batch: Batch, number: NDArray[np.int32], found: Withdrawals) -> DecisionBatch:
    """Return the records of the decisions that rows of this frame withdrew."""
    k = int(found.found[0])
    row = found.row[:k]
    position, append_ms, book = head
    return DecisionBatch(
        position=position,
        append_ms=append_ms,
        book=book,
        kind=np.full(k, RecordKind.WITHDRAWAL, np.uint8),
        row=number[row],
        rule=found.rule[:k],
        channel=found.channel[:k],
        detail=found.detail[:k],
        subscriber=batch.subscriber[row],
        at_ms=batch.at_ms[row],
        log_ms=batch.log_ms[row],
        outcome=np.full(k, Outcome.SUPPRESSED, np.uint8),
        gate=found.gate[:k],
        of_position=found.of_position[:k],
        of_row=found.of_row[:k],
        arm=np.zeros(k, np.uint8),
        probability=np.zeros(k, np.float32),
        fact_start=np.zeros(k + 1, np.int32),
        facts=np.zeros(0, np.int64),
        facts_known=np.zeros(0, np.uint8),
    )
