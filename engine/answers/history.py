"""What became of a subscriber's decisions afterwards: outcomes and answers, as the log holds them.

The log is read from the first decision on, and only rows of the one subscriber become Python objects. What retention
has removed is not shown.
"""

from collections.abc import Iterator

import numpy as np

from state.batch import Batch
from state.decisions import OutcomeState, decision_id
from state.frame import Frame, FrameKind
from state.log import Log
from state.schema import (
    ANSWER,
    ANSWER_NOTE,
    ANSWER_WORD,
    DECISION_SLOTS,
    OUTCOME,
    OUTCOME_ERROR,
    OUTCOME_GATEWAY,
    OUTCOME_STATE,
)
from state.texts import Chained, Lookup

ENDS = {
    OutcomeState.COMMITTED: "accepted by {gateway}",
    OutcomeState.REFUNDED: "refunded: {error}",
    OutcomeState.DELIVERED: "delivered, says {gateway}",
    OutcomeState.UNDELIVERED: "not delivered, says {gateway}: {error}",
    OutcomeState.UNKNOWN: "nobody knows whether {gateway} took it: {error}",
}

Ends = dict[str, list[tuple[int, str]]]


def history(log: Log, subscriber: int, start: int, texts: Lookup) -> Ends:
    """Return (time, words) of everything that followed, by decision id; `start` is the first position to look at.

    `texts` has those of frames of format 1, which do not bring all of their own.
    """
    ends: Ends = {}
    for _, frame in log.read(max(start, log.first_position)):
        note_ends(ends, frame, subscriber, texts)
    return ends


def note_ends(ends: Ends, frame: Frame, subscriber: int, texts: Lookup) -> None:
    """Add what a frame says of the subscriber's decisions."""
    if frame.kind != FrameKind.EVENTS or frame.batch is None:
        return
    for name, at_ms, words in _said(frame.batch, subscriber, Chained(frame.batch.texts, texts)):
        ends.setdefault(name, []).append((at_ms, words))


def _said(batch: Batch, subscriber: int, texts: Lookup) -> Iterator[tuple[str, int, str]]:
    """Yield (decision id, time, words) of the rows of one subscriber that speak of its decisions."""
    spoken = (batch.subscriber == subscriber) & ((batch.type == OUTCOME) | (batch.type == ANSWER))
    for row in np.flatnonzero(spoken).tolist():
        cells = batch.cells[:, row].tolist()
        name = decision_id(*(cells[slot] for slot in DECISION_SLOTS))
        if batch.type[row] == OUTCOME:
            said = {"gateway": _text(texts, cells[OUTCOME_GATEWAY]), "error": _text(texts, cells[OUTCOME_ERROR])}
            words = ENDS[OutcomeState(cells[OUTCOME_STATE])].format(**said)
        else:
            note = _text(texts, cells[ANSWER_NOTE])
            words = f"at the desk: {_text(texts, cells[ANSWER_WORD])}" + (f" ({note})" if note else "")
        yield name, int(batch.at_ms[row]), words


def _text(texts: Lookup, hashed: int) -> str:
    found = texts.text(hashed) if hashed else b""
    return found.decode() if found is not None else "?"
