"""Visit events of a frame, as rows: a subscriber came to a terminal, or left it.

A name that a row of format 1 has may be known by its hash alone: then the row has that, and `name_of` finds the text
where the directory or the cluster kept it.
"""

from dataclasses import dataclass

import numpy as np

from state.batch import Batch
from state.schema import VISIT, VISIT_NAME, VISIT_OPEN, VISIT_TERMINAL
from state.texts import Lookup


@dataclass(frozen=True, slots=True)
class VisitRow:
    """A visit event of a frame; `terminal` and `visit` are names, empty for none, or hashes of names."""

    subscriber: int
    terminal: str | int
    visit: str | int
    opened: bool
    at_ms: int


def visits_of(batch: Batch | None) -> list[VisitRow]:
    """Return the visit events of a batch; there are few."""
    if batch is None:
        return []
    rows = np.flatnonzero(batch.type == VISIT)
    return [
        VisitRow(
            int(batch.subscriber[row]),
            _name(batch, row, VISIT_TERMINAL),
            _name(batch, row, VISIT_NAME),
            not (batch.present[row] >> VISIT_OPEN & 1 and batch.cells[VISIT_OPEN, row] == 0),
            int(batch.at_ms[row]),
        )
        for row in rows.tolist()
    ]


def name_of(found: str | int, texts: Lookup) -> str:
    """Return the name of a terminal or a visit; empty where its text is not kept."""
    return found if isinstance(found, str) else (texts.text(found) or b"").decode(errors="replace")


def _name(batch: Batch, row: int, slot: int) -> str | int:
    if not batch.present[row] >> slot & 1:
        return ""
    hashed = int(batch.cells[slot, row])
    text = batch.texts.text(hashed)
    return text.decode(errors="replace") if text is not None else hashed
