"""Arbitration: an event yields at most so many decisions; rules of lower priority are outranked.

Candidates come in order of priority, so the places of an event go to the first that pass. Service messages neither take
a place nor need one. Columns: `event_max` int32[types].
"""

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, int32s
from rules.model import Book
from state.jit import part


def _columns(book: Book) -> NDArray[np.int32]:
    return int32s(book.decisions_max)


@part
def outranked(event_max: NDArray[np.int32], scene: Scene, row: int, rule: int) -> int:
    """Stop where the event has all the decisions that it may have."""
    full = scene.used[scene.rules.shadow[rule], 0] >= event_max[scene.rows.type[row]]
    return 0 if scene.rules.service[rule] == 0 and full else PASSES


GATE = Gate(
    number=6,
    word="outranked",
    stops=outranked,
    columns=_columns,
    example="""
[[rule]]
id = "r"
on = "e"
channels = ["sms"]
text.sms = "t"
[[rule]]
id = "first"
priority = 90
on = "e"
channels = ["sms"]
text.sms = "t"
[[test]]
name = "the other rule comes first"
events = [{ at = 2026-01-05T08:00:00Z, e = {} }]
expect = [
    { at = 2026-01-05T08:00:00Z, rule = "first", channel = "sms" },
    { at = 2026-01-05T08:00:00Z, rule = "r", gate = "outranked" },
]
""",
)
