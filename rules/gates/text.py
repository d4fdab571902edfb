"""Text: a message whose gap nothing is known for is not sent.

Only channels of kind "sms" are asked: what an alert or a card says of an unknown value is nothing. A gap with words of
its own for this case, `{name|words}`, needs no value. Where arms have texts of their own, what one of them needs all
do: who is stopped has nothing to do with the draw. Columns, by pair: what its texts need. The detail is the index among
the names of the texts.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.expressions.tree import Operand
from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, int32s, pairs_of, starts
from rules.model import Book, Rule
from rules.templates import Template
from state.jit import part


class Needs(NamedTuple):
    """What the text of pair p needs: the rows `start[p]:start[p + 1]`.

    `feature` uint8: 1 where `at` int32 is the index of a feature, 0 where it is a field's slot; `name` int32: its place
    among the names of the text.
    """

    start: NDArray[np.int32]
    feature: NDArray[np.uint8]
    at: NDArray[np.int32]
    name: NDArray[np.int32]


def _columns(book: Book) -> Needs:
    needs = [_needs(book, rule, channel) for rule, channel in pairs_of(book)]
    flat = [one for some in needs for one in some]
    return Needs(
        start=starts(len(some) for some in needs),
        feature=np.array([operand.source != "cell" for _, operand in flat], np.uint8),
        at=int32s(book.place_of(operand) for _, operand in flat),
        name=int32s(name for name, _ in flat),
    )


def texts_of(rule: Rule, channel: str) -> list[Template]:
    """Return the texts of a rule on a channel: its own, then those of its arms."""
    return [one[channel] for one in (rule.texts, *rule.arm_texts.values()) if channel in one]


def names_of(texts: Iterable[Template]) -> list[str]:
    """Return the names of texts, each once."""
    return list(dict.fromkeys(name for text in texts for name in text.names))


def _needs(book: Book, rule: Rule, channel: str) -> list[tuple[int, Operand]]:
    """Return what texts need that may be unknown, with its place among the names of the texts."""
    texts = texts_of(rule, channel)
    if book.channels[channel].kind != "sms":
        return []
    facts = {fact.name: fact for fact in rule.facts if fact.source != "builtin"}
    needed = {name for text in texts for name in text.needed if name in facts}
    return [(place, facts[name]) for place, name in enumerate(names_of(texts)) if name in needed]


@part
def no_value(needs: Needs, scene: Scene, row: int, pair: int) -> int:
    """Stop at a channel whose text has a gap that nothing is known for."""
    rows = scene.rows
    for i in range(needs.start[pair], needs.start[pair + 1]):
        at = needs.at[i]
        is_present = (rows.present[row] >> at) & 1 == 1
        if not (rows.known[at, row] != 0 if needs.feature[i] != 0 else is_present):
            return int(needs.name[i])
    return PASSES


def _explain(_book: Book, rule: Rule, channel: str, detail: int) -> str:
    return f"{channel}: nothing is known of {names_of(texts_of(rule, channel))[detail]}"


GATE = Gate(
    number=13,
    word="no value",
    stops=no_value,
    columns=_columns,
    explain=_explain,
    example="""
[attributes]
name = "string"
[[rule]]
id = "r"
on = "e"
channels = ["sms"]
text.sms = "Dear {name}"
[[test]]
name = "nobody is called nothing"
events = [{ at = 2026-01-05T08:00:00Z, e = {} }]
expect = [{ at = 2026-01-05T08:00:00Z, rule = "r", gate = "no value" }]
""",
)
