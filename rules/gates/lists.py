"""Lists: black and grey lists, opt-outs, staff; membership comes through the log, one bit a list.

Columns: `exclude` int64[rules], the bits of the lists that exclude the rule. The detail is the bit of the list.
"""

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, int64s
from rules.model import Book, Rule
from state.jit import part
from state.raw import trailing_zeros

LISTS = "lists"
"""The feature that holds which lists a subscriber is on."""


def _columns(book: Book) -> NDArray[np.int64]:
    return int64s(_excluding(book, rule) for rule in book.rules)


def _excluding(book: Book, rule: Rule) -> int:
    return sum(1 << one.index for name, one in book.lists.items() if name in rule.exclude)


def _reads(book: Book, _rule: Rule) -> list[int]:
    return [book.feature_index(LISTS)] if book.lists else []


@part
def on_list(exclude: NDArray[np.int64], scene: Scene, row: int, rule: int) -> int:
    """Stop a subscriber on a list that excludes the rule."""
    hit = scene.rows.lists[row] & exclude[rule]
    return trailing_zeros(hit) if hit != 0 else PASSES


def _explain(book: Book, _rule: Rule, _channel: str, detail: int) -> str:
    return next((name for name, one in book.lists.items() if one.index == detail), "")


GATE = Gate(
    number=4,
    word="list",
    stops=on_list,
    columns=_columns,
    reads=_reads,
    explain=_explain,
    again=True,
    example="""
[lists.staff]
excludes = "commercial"
[[rule]]
id = "r"
on = "e"
channels = ["sms"]
text.sms = "t"
[[test]]
name = "one of the staff"
given = { lists = ["staff"] }
events = [{ at = 2026-01-05T08:00:00Z, e = {} }]
expect = [{ at = 2026-01-05T08:00:00Z, rule = "r", gate = "list" }]
""",
)
