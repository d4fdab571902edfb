"""Lists: black and grey lists, opt-outs, staff, kept audiences; membership comes through the log, one bit a list.

What waits is not withdrawn for the list that its own rule keeps (`rules.gates.keeping`): the rule made its subscriber a
member in the same step. The detail is the list's index.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, starts
from rules.model import Book, Rule
from state.jit import part
from state.raw import trailing_zeros
from state.schema import MEMBERS_MAX
from state.sets import word_name

LISTS = "lists"
"""The feature that holds which lists a subscriber is on; those after the first 62 are in further words."""


class Excluding(NamedTuple):
    """The lists that exclude rule r: the rows `start[r]:start[r + 1]` of `words`, int64[k, 4].

    A row is a word of lists: its index among the features, the index of its first list, the bits of those that exclude,
    and the same without the list that the rule keeps itself.
    """

    start: NDArray[np.int32]
    words: NDArray[np.int64]


FEATURE, FIRST, BITS, WAITING = range(4)


def _columns(book: Book) -> Excluding:
    excluding = [_excluding(book, rule) for rule in book.rules]
    rows = [
        (book.feature_index(word_name(LISTS, word)), word * MEMBERS_MAX, bits, waiting)
        for some in excluding
        for word, bits, waiting in some
    ]
    return Excluding(starts(len(some) for some in excluding), np.array(rows, np.int64).reshape(-1, 4))


def _excluding(book: Book, rule: Rule) -> list[tuple[int, int, int]]:
    """Return (word, bits, bits for what waits) of the lists that exclude a rule."""
    kept = {rule.keep.list} if rule.keep is not None else set()
    bits, waiting = _by_word(book, rule.exclude), _by_word(book, [name for name in rule.exclude if name not in kept])
    return [(word, some, waiting.get(word, 0)) for word, some in sorted(bits.items())]


def _by_word(book: Book, names: Collection[str]) -> dict[int, int]:
    found: dict[int, int] = {}
    for name in names:
        word, bit = divmod(book.lists[name].index, MEMBERS_MAX)
        found[word] = found.get(word, 0) | 1 << bit
    return found


def _reads(book: Book, rule: Rule) -> list[int]:
    return [book.feature_index(word_name(LISTS, word)) for word, _, _ in _excluding(book, rule)]


@part
def stopped_by(excluding: Excluding, scene: Scene, row: int, rule: int, which: int) -> int:
    """Return the index of a list that the subscriber is on and that excludes the rule; `which`: BITS or WAITING."""
    for i in range(excluding.start[rule], excluding.start[rule + 1]):
        feature = excluding.words[i, FEATURE]
        hit = scene.rows.outs[feature, row] & excluding.words[i, which] if scene.rows.known[feature, row] != 0 else 0
        if hit != 0:
            return int(excluding.words[i, FIRST] + trailing_zeros(hit))
    return PASSES


@part
def on_list(excluding: Excluding, scene: Scene, row: int, rule: int) -> int:
    """Stop a subscriber on a list that excludes the rule."""
    return stopped_by(excluding, scene, row, rule, BITS)


@part
def on_list_again(excluding: Excluding, scene: Scene, row: int, rule: int) -> int:
    """The same of a decision that waits."""
    return stopped_by(excluding, scene, row, rule, WAITING)


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
    stops_again=on_list_again,
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
