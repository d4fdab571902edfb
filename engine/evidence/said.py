"""What frames say of decisions made earlier, as rows: outcomes, answers, replies; visits and goals beside them.

Rows keep the order of the log. A row of an outcome, an answer, a reply or a withdrawal names its decision by
`position`, `row` and `rule`; a visit names a terminal, a goal its number in the book and what it is worth.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.evidence.spill import Rows
from engine.evidence.words import Words
from state.batch import Batch
from state.decisions import DecisionBatch, OutcomeState, RecordKind, parse_decision_id
from state.schema import (
    ANSWER,
    ANSWER_NOTE,
    ANSWER_WORD,
    DECISION_PARTITION,
    DECISION_POSITION,
    DECISION_ROW,
    DECISION_RULE,
    OUTCOME,
    OUTCOME_CONTACT,
    OUTCOME_ERROR,
    OUTCOME_GATEWAY,
    OUTCOME_STATE,
    REPLY_DECISION,
    VISIT,
    VISIT_OPEN,
    VISIT_TERMINAL,
)
from state.texts import Chained, Lookup


class What(IntEnum):
    """What a row says; the first five are those of `OutcomeState`."""

    COMMITTED = OutcomeState.COMMITTED
    REFUNDED = OutcomeState.REFUNDED
    DELIVERED = OutcomeState.DELIVERED
    UNDELIVERED = OutcomeState.UNDELIVERED
    UNKNOWN = OutcomeState.UNKNOWN
    WITHDRAWN = 6
    ANSWERED = 7
    REPLIED = 8
    VISIT = 9
    GOAL = 10


SAID = np.dtype(
    [
        ("subscriber", np.int64),
        ("position", np.int64),
        ("rule", np.int64),
        ("at_ms", np.int64),
        ("value", np.float64),
        ("row", np.int64),
        ("partition", np.int64),
        ("word", np.int32),  # the gateway, the answer, the terminal
        ("note", np.int32),  # the error, the answer's note
        ("what", np.uint8),
    ]
)


def said_in(batch: Batch, texts: Lookup, words: Words) -> Rows:
    """Return the rows of a frame that speak of decisions or of visits; `texts` has what frames of format 1 lack."""
    reply = batch.schema.codes.get("reply", -1)
    wanted = (batch.type == OUTCOME) | (batch.type == VISIT) | (batch.type == ANSWER) | (batch.type == reply)
    rows = np.flatnonzero(wanted)
    out = np.zeros(rows.shape[0], SAID)
    if not rows.shape[0]:
        return out
    kinds, cells = batch.type[rows], batch.cells[:, rows]
    out["subscriber"], out["at_ms"] = batch.subscriber[rows], batch.at_ms[rows]
    lookup = Chained(batch.texts, texts)
    _fill_outcomes(out, kinds == OUTCOME, cells, _known(batch, rows, OUTCOME_CONTACT), words, lookup)
    _fill_answers(out, kinds == ANSWER, cells, words, lookup)
    _fill_visits(out, kinds == VISIT, cells, words, lookup)
    if reply >= 0:
        _fill_replies(out, kinds == reply, cells, _known(batch, rows, REPLY_DECISION), lookup)
    return out[out["what"] > 0]


def withdrawn_in(partition: int, batch: DecisionBatch) -> Rows:
    """Return the withdrawals among the records of a frame."""
    found = np.flatnonzero(batch.kind == RecordKind.WITHDRAWAL)
    out = np.zeros(found.shape[0], SAID)
    out["subscriber"], out["at_ms"] = batch.subscriber[found], batch.log_ms[found]
    out["partition"], out["position"] = partition, batch.of_position[found]
    out["row"], out["rule"], out["what"] = batch.of_row[found], batch.rule[found], What.WITHDRAWN
    return out


def _known(batch: Batch, rows: NDArray[np.intp], slot: int) -> NDArray[np.bool_]:
    """Return which rows know a slot that earlier releases did not have."""
    return (batch.present[rows] >> slot & 1).astype(np.bool_)


def _fill_key(out: Rows, where: NDArray[np.bool_], cells: NDArray[np.int64]) -> None:
    out["partition"][where] = cells[DECISION_PARTITION, where]
    out["position"][where] = cells[DECISION_POSITION, where]
    out["row"][where] = cells[DECISION_ROW, where]
    out["rule"][where] = cells[DECISION_RULE, where]


def _fill_outcomes(
    out: Rows,
    where: NDArray[np.bool_],
    cells: NDArray[np.int64],
    has_contact: NDArray[np.bool_],
    words: Words,
    texts: Lookup,
) -> None:
    if not where.any():
        return
    _fill_key(out, where, cells)
    state = cells[OUTCOME_STATE, where]
    out["what"][where] = np.where((state >= What.COMMITTED) & (state <= What.UNKNOWN), state, 0)
    out["word"][where] = words.numbers(cells[OUTCOME_GATEWAY, where], texts)
    out["note"][where] = words.numbers(cells[OUTCOME_ERROR, where], texts)
    timed = where & has_contact
    if timed.any():
        out["at_ms"][timed] = cells[OUTCOME_CONTACT, timed]


def _fill_answers(out: Rows, where: NDArray[np.bool_], cells: NDArray[np.int64], words: Words, texts: Lookup) -> None:
    if where.any():
        _fill_key(out, where, cells)
        out["what"][where] = What.ANSWERED
        out["word"][where] = words.numbers(cells[ANSWER_WORD, where], texts)
        out["note"][where] = words.numbers(cells[ANSWER_NOTE, where], texts)


def _fill_visits(out: Rows, where: NDArray[np.bool_], cells: NDArray[np.int64], words: Words, texts: Lookup) -> None:
    opened = where.copy()
    opened[where] = cells[VISIT_OPEN, where] != 0
    if opened.any():
        out["what"][opened] = What.VISIT
        out["word"][opened] = words.numbers(cells[VISIT_TERMINAL, opened], texts)


def _fill_replies(
    out: Rows, where: NDArray[np.bool_], cells: NDArray[np.int64], known: NDArray[np.bool_], texts: Lookup
) -> None:
    for index in np.flatnonzero(where & known).tolist():
        text = texts.text(int(cells[REPLY_DECISION, index]))
        try:
            key = parse_decision_id((text or b"").decode(errors="replace"))
        except ValueError:
            continue  # a feed of its own may send replies: what it says is a decision need not be one
        out["partition"][index], out["position"][index], out["row"][index], out["rule"][index] = key
        out["what"][index] = What.REPLIED
