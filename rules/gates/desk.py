"""Desk: a card for the front desk needs a customer at the desk.

A visit is open from its `visit` event until the closing one that names it, and for `VISIT_MS_MAX` at the most. A close
that comes late, after the subscriber's next visit has opened, names another visit and changes nothing; one without a
name closes a visit without a name that began before it. Columns: `is_desk` uint8[channels].
"""

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate
from rules.model import Book
from state.jit import part

VISIT_MS_MAX = 30 * 60_000
"""A visit that nobody closed ends after this long, by the log's clock."""


def _columns(book: Book) -> NDArray[np.uint8]:
    return np.array([channel.kind == "desk" for channel in book.channels.values()], np.uint8)


@part
def nobody_at_desk(is_desk: NDArray[np.uint8], scene: Scene, row: int, pair: int) -> int:
    """Stop at a desk where no visit of the subscriber is open for the event.

    An event from before the visit that comes in while it is open counts: the customer is there. An event that comes in
    after the end does not, whenever it happened.
    """
    if is_desk[scene.rules.pair_channel[pair]] == 0:
        return PASSES
    visit_ms = scene.rows.visit_ms[scene.rows.slot[row]]
    return PASSES if visit_ms > 0 and scene.rows.log_ms[row] - visit_ms < VISIT_MS_MAX else 0


GATE = Gate(
    number=8,
    word="no visit",
    stops=nobody_at_desk,
    columns=_columns,
    example="""
[[rule]]
id = "r"
on = "e"
channels = ["desk"]
reason = "t"
[[test]]
name = "nobody is there"
events = [{ at = 2026-01-05T08:00:00Z, e = {} }]
expect = [{ at = 2026-01-05T08:00:00Z, rule = "r", gate = "no visit" }]
""",
)
