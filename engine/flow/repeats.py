"""Visits and answers that stand in the log twice: the desk reports each at least once, a partition folds it once.

A desk that loses the log's reply, or its own process, reports again, perhaps from another worker. The visit's id and
the decision's id name the doubles. A visit's row is a repetition when the last one of that visit said the same, at most
`VISIT_MS_MAX` of event time before: one that moves to another counter and back opens there again. An answer's row is a
repetition when the decision was answered before. What has no visit's name or no decision is taken as it comes.

Remembered are the last `KEPT_MAX` of each, in the order of the log: a broker that is away holds up all of them alike.
Like the positions of sources this belongs to the partition, and is in its snapshot.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from cachetools import FIFOCache

from rules.gates.desk import VISIT_MS_MAX
from state.batch import Batch
from state.schema import ANSWER, DECISION_SLOTS, VISIT, VISIT_NAME, VISIT_OPEN, VISIT_TERMINAL

KEPT_MAX = 1_024


class Repeats:
    """The visits and answers that a partition folded last."""

    def __init__(self) -> None:
        self._visits: FIFOCache[tuple[int, int], tuple[int, bool, int]] = FIFOCache(KEPT_MAX)
        self._answers: FIFOCache[tuple[int, ...], None] = FIFOCache(KEPT_MAX)

    def rows(self, batch: Batch) -> list[int]:
        """Return the rows of a frame that repeat an earlier row, and remember all others."""
        reported = np.flatnonzero((batch.type == VISIT) | (batch.type == ANSWER)).tolist()
        return [row for row in reported if (self._visit if batch.type[row] == VISIT else self._answer)(batch, row)]

    def _visit(self, batch: Batch, row: int) -> bool:
        present = int(batch.present[row])
        terminal, visit, opens = batch.cells[[VISIT_TERMINAL, VISIT_NAME, VISIT_OPEN], row].tolist()
        if not present >> VISIT_NAME & 1:
            return False
        name = (int(batch.subscriber[row]), visit)
        opened, at_ms = not (present >> VISIT_OPEN & 1 and opens == 0), int(batch.at_ms[row])
        before = self._visits.get(name)
        if before is not None and before[:2] == (terminal, opened) and abs(at_ms - before[2]) < VISIT_MS_MAX:
            return True
        self._visits.pop(name, None)  # so that the order in which names go is the order in a snapshot
        self._visits[name] = (terminal, opened, at_ms)
        return False

    def _answer(self, batch: Batch, row: int) -> bool:
        if int(batch.present[row]) & 0b1111 != 0b1111:
            return False
        name = tuple(batch.cells[DECISION_SLOTS, row].tolist())
        if name in self._answers:
            return True
        self._answers[name] = None
        return False

    def forget(self, subscriber: int) -> None:
        """Forget the visits of a subscriber."""
        for name in [name for name in self._visits if name[0] == subscriber]:
            del self._visits[name]

    def plain(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {"visits": [[*name, *said] for name, said in self._visits.items()], "answers": [*self._answers]}

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Replace everything by what `plain` returned."""
        self._visits.clear()
        self._answers.clear()
        self._visits.update({(row[0], row[1]): (row[2], row[3], row[4]) for row in plain["visits"]})
        self._answers.update({tuple(name): None for name in plain["answers"]})
