"""Shadow: a rule that is tried on what happens, and sends nothing.

A rule with `shadow = true` is asked like any other, and what it would have decided is recorded with the channel. It
looks at all that was promised to the subscriber, and at what rules in shadow would have promised; no other rule looks
at that, so what a book decides is what it would without its rules in shadow. Nobody is held out of one, and it keeps no
audience. Columns: `shadow` uint8[rules].
"""

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate
from rules.model import Book, Rule
from state.jit import part


def _columns(book: Book) -> NDArray[np.uint8]:
    return np.array([rule.shadow for rule in book.rules], np.uint8)


@part
def rehearses(shadow: NDArray[np.uint8], _scene: Scene, _row: int, rule: int) -> int:
    """Stop a rule that is in shadow."""
    return 0 if shadow[rule] != 0 else PASSES


def _explain(_book: Book, _rule: Rule, _channel: str, _detail: int) -> str:
    return "it would have been decided"


GATE = Gate(
    number=15,
    word="shadow",
    stops=rehearses,
    columns=_columns,
    explain=_explain,
    example="""
[[rule]]
id = "r"
on = "e"
channels = ["sms"]
text.sms = "t"
shadow = true
[[test]]
name = "it says what it would have done"
events = [{ at = 2026-01-05T08:00:00Z, e = {} }]
expect = [{ at = 2026-01-05T08:00:00Z, rule = "r", gate = "shadow" }]
""",
)
