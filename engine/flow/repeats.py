"""Visits and answers that the log was told twice: the desk tells each at least once, a partition folds it once.

A desk that loses the log's reply, or its own process, tells again, perhaps from another worker. The visit's id and the
decision's id name the doubles. A visit's row is a repetition when the last one of that visit said the same, at most
`VISIT_MS_MAX` of event time before: one that moves to another counter and back opens there again. An answer's row is a
repetition when the decision was answered before. What has no visit's name or no decision is taken as it comes.

Remembered are the last `KEPT_MAX` of each, in the order in which they were told: a broker that is away holds up all of
them alike. Like the positions of sources this belongs to the partition, and is in its snapshot.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from rules.gates.channel import VISIT_MS_MAX
from state.batch import Batch
from state.schema import ANSWER, DECISION_SLOTS, VISIT, VISIT_NAME, VISIT_OPEN, VISIT_TERMINAL

KEPT_MAX = 1_024


class Repeats:
    """What a partition was told of visits and answers lately."""

    def __init__(self) -> None:
        self._visits: OrderedDict[tuple[int, int], tuple[int, bool, int]] = OrderedDict()
        self._answers: OrderedDict[tuple[int, ...], None] = OrderedDict()

    def rows(self, batch: Batch) -> list[int]:
        """Return the rows of a frame that repeat what was told before; takes note of all others."""
        told = np.flatnonzero((batch.type == VISIT) | (batch.type == ANSWER)).tolist()
        return [row for row in told if (self._visit if batch.type[row] == VISIT else self._answer)(batch, row)]

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
        self._visits[name] = (terminal, opened, at_ms)
        _bound(self._visits, name)
        return False

    def _answer(self, batch: Batch, row: int) -> bool:
        if int(batch.present[row]) & 0b1111 != 0b1111:
            return False
        name = tuple(batch.cells[DECISION_SLOTS, row].tolist())
        if name in self._answers:
            return True
        self._answers[name] = None
        _bound(self._answers, name)
        return False

    def plain(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {"visits": [[*name, *said] for name, said in self._visits.items()], "answers": [*self._answers]}

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Replace everything by what `plain` returned."""
        self._visits = OrderedDict(((row[0], row[1]), (row[2], row[3], row[4])) for row in plain["visits"])
        self._answers = OrderedDict((tuple(name), None) for name in plain["answers"])


def _bound(kept: OrderedDict[Any, Any], name: tuple[int, ...]) -> None:
    kept.move_to_end(name)
    if len(kept) > KEPT_MAX:
        kept.popitem(last=False)
