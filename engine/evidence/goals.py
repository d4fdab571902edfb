"""Where the log reaches the goals of a book, whatever book was in force when it was written.

A frame is moved to the book's schema by name, so an event type, or a field, that came later is simply not there before.
"""

import numpy as np

from engine.evidence.said import SAID, What
from engine.evidence.spill import Rows
from rules.expressions.program import Workspace, compile_program
from rules.model import Book, Goal
from state.batch import Batch, remap
from state.schema import Kind

_ROWS_MIN = 1 << 14


class Watch:
    """The goals of one book, asked of frames."""

    def __init__(self, book: Book) -> None:
        self.goals = book.goals
        self._schema = book.schema
        asked = [(goal.on, goal.when) for goal in book.goals]
        self._program = compile_program(asked, len(book.schema.types), book.transitions)
        self._workspace = Workspace(self._program, _ROWS_MIN)

    def hits(self, batch: Batch, append_ms: int) -> Rows:
        """Return a row for each goal that an event reaches; its `rule` is the goal's number."""
        if not self.goals:
            return np.zeros(0, SAID)
        batch = remap(batch, self._schema)
        n = batch.n
        if n > self._workspace.rows_max:
            self._workspace = Workspace(self._program, n)
        count = self._workspace.run(batch, append_ms, np.zeros((1, n), np.int64), np.zeros((1, n), np.uint8))
        rows, goals = self._workspace.rows[:count], self._workspace.exprs[:count]
        out = np.zeros(count, SAID)
        out["subscriber"], out["at_ms"] = batch.subscriber[rows], batch.log_ms[rows]
        out["rule"], out["what"] = goals, What.GOAL
        for number in np.unique(goals).tolist():
            mine = goals == number
            out["value"][mine] = _worth(self.goals[number], batch, rows[mine])
        return out


def _worth(
    goal: Goal, batch: Batch, rows: "np.ndarray[tuple[int], np.dtype[np.int32]]"
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return what the events in `rows` are worth; 0 where the field is unknown."""
    if goal.value_slot < 0:
        return np.full(rows.shape[0], goal.worth)
    cells = batch.cells[goal.value_slot, rows]
    known = batch.present[rows] >> goal.value_slot & 1
    values = cells.view(np.float64) if goal.value_kind == Kind.FLOAT else cells.astype(np.float64)
    return np.where((known != 0) & np.isfinite(values), values, 0.0)
