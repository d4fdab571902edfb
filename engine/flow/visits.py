"""Visit events of a frame, as rows: a subscriber came to a terminal, or left it."""

from dataclasses import dataclass

import numpy as np

from state.batch import Batch
from state.schema import VISIT, VISIT_NAME, VISIT_OPEN, VISIT_TERMINAL


@dataclass(frozen=True, slots=True)
class VisitRow:
    """A visit event of a frame; `terminal` and `visit` are text hashes."""

    subscriber: int
    terminal: int
    visit: int
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
            int(batch.cells[VISIT_TERMINAL, row]),
            int(batch.cells[VISIT_NAME, row]) if batch.present[row] >> VISIT_NAME & 1 else 0,
            not (batch.present[row] >> VISIT_OPEN & 1 and batch.cells[VISIT_OPEN, row] == 0),
            int(batch.at_ms[row]),
        )
        for row in rows.tolist()
    ]
