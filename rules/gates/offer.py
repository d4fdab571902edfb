"""Offer: one offer is made once at a time, whatever rules and channels carry it.

A commercial rule with an offer is stopped where, on any channel and by any rule of the active book with this offer,

- the same event has made it already;
- a contact with it still waits to be sent, or is on the screen of the visit that is open now;
- one was made within the offer's `repeat`;
- one was declined, and the contact is nearer than `declined_hides`.

So a contact is kept for each commercial decision with an offer, capped or not; where the list of a subscriber is full
of others, an uncapped one goes without. A contact names its rule: what a rule offered that has left the book is
forgotten. Service messages are neither stopped here nor counted. The detail is which of these it was.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.gates.desk import VISIT_MS_MAX
from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, int32s, int64s, starts
from rules.model import Book, Rule
from rules.spans import duration_text
from state.contacts import (
    AT_MS,
    CHUNK,
    DECLINED,
    POSITION,
    RESERVED,
    ROW_RULE,
    SERVICE,
    STATE,
    STATE_MASK,
    ContactArrays,
    channel_of,
    next_entry,
    rule_of,
)
from state.hashing import hash_text
from state.jit import part

ONCE, WAITS, REPEATED, DECLINED_BEFORE = range(4)
DECLINE = hash_text(b"decline")
"""How the word of an `answer` that declines is kept in a row."""


class Offers(NamedTuple):
    """By rule: `of` int32, its offer or -1. By offer: the ids of its rules, `stable[start[o]:start[o + 1]]` int32,
    ascending; `repeat_ms`, `hides_ms`, `waits_ms` int64, how long a contact, a decline and one that is not sent hold.
    `desks` int32: ids of the channels that are desks.
    """

    of: NDArray[np.int32]
    start: NDArray[np.int32]
    stable: NDArray[np.int32]
    repeat_ms: NDArray[np.int64]
    hides_ms: NDArray[np.int64]
    waits_ms: NDArray[np.int64]
    desks: NDArray[np.int32]


def offers_of(book: Book) -> list[int]:
    """Return the index of each rule's offer, -1 where it has none or is a service."""
    index = {name: at for at, name in enumerate(book.offers)}
    return [-1 if rule.klass == "service" or rule.offer is None else index[rule.offer] for rule in book.rules]


def horizon_ms(book: Book) -> int:
    """Return how far back an offer of the book looks at contacts; 0 where no rule makes one."""
    offered = {rule.offer for rule in book.rules if rule.klass != "service"}
    waits = _waits_ms(book)
    made = [one for name, one in book.offers.items() if name in offered]
    return max((max(one.repeat_ms, one.declined_hides_ms, waits[one.name]) for one in made), default=0)


def _waits_ms(book: Book) -> dict[str, int]:
    """Return how long a decision with each offer may wait to be sent: the longest shelf life of its rules."""
    waits = dict.fromkeys(book.offers, 0)
    for rule in book.rules:
        if rule.offer is not None and rule.klass != "service":
            waits[rule.offer] = max(waits[rule.offer], rule.shelf_life_ms)
    return waits


def _columns(book: Book) -> Offers:
    by_offer: dict[str, list[int]] = {name: [] for name in book.offers}
    for rule in book.rules:
        if rule.offer is not None and rule.klass != "service":
            by_offer[rule.offer].append(rule.stable_id)
    return Offers(
        of=int32s(offers_of(book)),
        start=starts(len(some) for some in by_offer.values()),
        stable=int32s(one for some in by_offer.values() for one in sorted(some)),
        repeat_ms=int64s(one.repeat_ms for one in book.offers.values()),
        hides_ms=int64s(one.declined_hides_ms for one in book.offers.values()),
        waits_ms=int64s(_waits_ms(book).values()),
        desks=int32s(one.channel_id for one in book.channels.values() if one.kind == "desk"),
    )


@part
def made_before(offers: Offers, scene: Scene, row: int, rule: int) -> int:
    """Stop an offer that this event, or a contact that still counts, has made."""
    offer = offers.of[rule]
    if offer < 0:
        return PASSES
    if scene.offered[offer] == row + 1:
        return ONCE
    arrays, slot = scene.contacts, scene.rows.slot[row]
    block = int(arrays.block[slot])
    entry = int(arrays.first[block]) * CHUNK
    for _ in range(int(arrays.size[block])):
        if arrays.entries[entry, STATE] & SERVICE == 0 and _is_of(offers, offer, rule_of(arrays, entry)):
            why = _holds(offers, offer, scene, entry, row)
            if why != PASSES:
                return why
        entry = next_entry(arrays, entry)
    return PASSES


@part
def _is_of(offers: Offers, offer: int, stable: int) -> bool:
    """Return whether a rule makes an offer, by bisection."""
    low, high = int(offers.start[offer]), int(offers.start[offer + 1])
    last = high
    while low < high:
        middle = (low + high) // 2
        if offers.stable[middle] < stable:
            low = middle + 1
        else:
            high = middle
    return low < last and offers.stable[low] == stable


@part
def _holds(offers: Offers, offer: int, scene: Scene, entry: int, row: int) -> int:
    """Return why a contact with the offer forbids another one for the event, or PASSES."""
    at_ms, made_ms = scene.rows.at_ms[row], scene.contacts.entries[entry, AT_MS]
    state, apart_ms = scene.contacts.entries[entry, STATE], abs(at_ms - made_ms)
    if state & DECLINED != 0 and apart_ms < offers.hides_ms[offer]:
        return DECLINED_BEFORE
    if apart_ms < offers.repeat_ms[offer]:
        return REPEATED
    if state & STATE_MASK == RESERVED and apart_ms < offers.waits_ms[offer]:
        return WAITS
    visit_ms = scene.rows.visit_ms[scene.rows.slot[row]]
    if visit_ms > 0 and at_ms - visit_ms < VISIT_MS_MAX and made_ms >= visit_ms:
        channel = channel_of(scene.contacts, entry)
        for desk in range(offers.desks.shape[0]):
            if offers.desks[desk] == channel:
                return WAITS
    return PASSES


@part
def decline(arrays: ContactArrays, slot: int, position: int, row: int, rule: int) -> None:
    """Mark the contact of one decision as declined, where it is still kept."""
    block = arrays.block[slot]
    entry = int(arrays.first[block]) * CHUNK
    for _ in range(int(arrays.size[block])):
        if arrays.entries[entry, POSITION] == position and arrays.entries[entry, ROW_RULE] == row | (rule << 32):
            arrays.entries[entry, STATE] |= DECLINED
        entry = next_entry(arrays, entry)


def _explain(book: Book, rule: Rule, _channel: str, detail: int) -> str:
    offer = book.offers[rule.offer or ""]
    return (
        f"{offer.name}: made by this event",
        f"{offer.name}: one waits or is on screen",
        f"{offer.name}: made less than {duration_text(offer.repeat_ms)} ago",
        f"{offer.name}: declined less than {duration_text(offer.declined_hides_ms)} ago",
    )[detail]


GATE = Gate(
    number=12,
    word="offer",
    stops=made_before,
    columns=_columns,
    explain=_explain,
    example="""
[offers.o]
repeat = "7d"
[[rule]]
id = "other"
on = "e"
offer = "o"
channels = ["sms"]
text.sms = "t"
[[rule]]
id = "r"
on = "e"
offer = "o"
channels = ["sms"]
text.sms = "t"
[[test]]
name = "once an event, and once a week"
events = [{ at = 2026-01-05T08:00:00Z, e = {} }, { at = "+6d", e = {} }]
expect = [
    { at = 2026-01-05T08:00:00Z, rule = "other", channel = "sms" },
    { at = 2026-01-05T08:00:00Z, rule = "r", gate = "offer" },
    { at = 2026-01-11T08:00:00Z, rule = "other", gate = "offer" },
    { at = 2026-01-11T08:00:00Z, rule = "r", gate = "offer" },
]
""",
)
