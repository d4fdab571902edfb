"""Age: a moment that has passed is no longer opportune.

The age of an event is the log's time of its row minus the time it happened; both are in the log, so a replay judges
alike. Columns: `max_age_ms` int64[rules], 0 where any age is allowed.
"""

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, int64s
from rules.model import Book, Rule
from rules.spans import duration_text
from state.jit import part


def _columns(book: Book) -> NDArray[np.int64]:
    return int64s(rule.max_age_ms for rule in book.rules)


@part
def too_old(max_age_ms: NDArray[np.int64], scene: Scene, row: int, rule: int) -> int:
    """Stop an event that is older than the rule allows."""
    allowed_ms = max_age_ms[rule]
    return 0 if allowed_ms > 0 and scene.rows.log_ms[row] - scene.rows.at_ms[row] > allowed_ms else PASSES


def _explain(_book: Book, rule: Rule, _channel: str, _detail: int) -> str:
    return f"older than {duration_text(rule.max_age_ms)}"


GATE = Gate(number=2, word="stale", stops=too_old, columns=_columns, explain=_explain)
"""No example: a test appends each event at the moment it happens, so none is old."""
