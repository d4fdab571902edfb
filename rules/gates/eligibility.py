"""Eligibility: an offer may need what the subscriber must hold, and is not made to one that holds it already.

What a subscriber holds are the bits of SET attributes, as of the event; an unknown set holds nothing. The detail is the
index of the set among those that the offer asks about.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, int32s, int64s, starts
from rules.model import Book, Rule
from state.jit import part

SERVICES = "services"
"""The attribute that says which services a subscriber holds."""


class Holdings(NamedTuple):
    """What the offer of rule r asks about holdings: the rows `start[r]:start[r + 1]`.

    `feature` int32: the set's index among the features; `needed`, `refused` int64: bits of the set.
    """

    start: NDArray[np.int32]
    feature: NDArray[np.int32]
    needed: NDArray[np.int64]
    refused: NDArray[np.int64]


def _columns(book: Book) -> Holdings:
    holdings = [_holdings_of(book, rule) for rule in book.rules]
    flat = [one for some in holdings for one in some]
    return Holdings(
        start=starts(len(some) for some in holdings),
        feature=int32s(feature for feature, _, _ in flat),
        needed=int64s(needed for _, needed, _ in flat),
        refused=int64s(refused for _, _, refused in flat),
    )


def _holdings_of(book: Book, rule: Rule) -> list[tuple[int, int, int]]:
    """Return (feature, bits needed, bits refused) for each word of a SET that the rule's offer asks about."""
    offer = book.offers[rule.offer] if rule.offer is not None else None
    if offer is None or not (offer.requires or offer.unless_holds):
        return []
    found = []
    for index in book.words(SERVICES):
        members = book.features[index].members
        needed, refused = _bits(members, offer.requires), _bits(members, offer.unless_holds)
        found += [(index, needed, refused)] if needed | refused else []
    return found


def _bits(members: tuple[str, ...], names: Iterable[str]) -> int:
    return sum(1 << members.index(name) for name in names if name in members)


def _reads(book: Book, rule: Rule) -> list[int]:
    return [feature for feature, _, _ in _holdings_of(book, rule)]


@part
def not_eligible(holdings: Holdings, scene: Scene, row: int, rule: int) -> int:
    """Stop where a bit that is needed is missing, or one that is refused is held."""
    for i in range(holdings.start[rule], holdings.start[rule + 1]):
        feature = holdings.feature[i]
        held = scene.rows.outs[feature, row] if scene.rows.known[feature, row] != 0 else 0
        needed = holdings.needed[i]
        if (held & needed) != needed or (held & holdings.refused[i]) != 0:
            return int(i - holdings.start[rule])
    return PASSES


GATE = Gate(
    number=3,
    word="eligibility",
    stops=not_eligible,
    columns=_columns,
    reads=_reads,
    again=True,
    example="""
[attributes]
services = { set = ["roaming"] }
[offers.o]
title = "Roaming"
unless_holds = ["roaming"]
[[rule]]
id = "r"
on = "e"
offer = "o"
channels = ["sms"]
text.sms = "t"
[[test]]
name = "it is held already"
given = { services = ["roaming"] }
events = [{ at = 2026-01-05T08:00:00Z, e = {} }]
expect = [{ at = 2026-01-05T08:00:00Z, rule = "r", gate = "eligibility" }]
""",
)
