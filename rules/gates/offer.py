"""Offer: one offer is made once at a time, whatever rules and channels carry it.

A commercial rule with an offer is stopped where, on any channel and by any commercial rule with this offer,

- the same event has made it already;
- a contact with it still waits to be sent, or is on the screen of the visit that is open now;
- one was made within the offer's `repeat`;
- one was declined, and the contact is nearer than `declined_hides`.

Contacts are counted where they happen, by the log's clock, as caps count them; what has expired counts no more, what
was withdrawn from its refund on. One of an offer that looks back is kept after it was sent, capped or not; where the
list of a subscriber is full of others, an uncapped one goes without. Service messages are neither stopped here nor
counted. The detail is which of these it was.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.gates.desk import VISIT_MS_MAX
from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, int32s, int64s
from rules.model import Book, Rule
from rules.spans import duration_text
from state.contacts import (
    AT_MS,
    CHUNK,
    DECLINED,
    POSITION,
    REHEARSED,
    RESERVED,
    SERVICE,
    STATES,
    WITHDRAWN,
    ContactArrays,
    add_mark,
    channel_of,
    may_come,
    next_entry,
    offer_of,
    row_of,
    rule_of,
    state_of,
)
from state.hashing import hash_text
from state.jit import part

ONCE, WAITS, REPEATED, DECLINED_BEFORE = range(4)
DECLINE = hash_text(b"decline")
"""How the word of an `answer` that declines is kept in a row."""


class Offers(NamedTuple):
    """By offer: `repeat_ms` and `hides_ms` int64, how long a contact and a decline hold. `desks` int32: ids of the
    channels that are desks.
    """

    repeat_ms: NDArray[np.int64]
    hides_ms: NDArray[np.int64]
    desks: NDArray[np.int32]


def offers_of(book: Book) -> list[int]:
    """Return the index of each rule's offer, -1 where it has none or is a service."""
    index = {name: at for at, name in enumerate(book.offers)}
    return [-1 if rule.klass == "service" or rule.offer is None else index[rule.offer] for rule in book.rules]


def horizon_ms(book: Book) -> int:
    """Return how far back an offer of the book looks at contacts that were made; 0 where no rule out of shadow does."""
    made = {rule.offer for rule in book.rules if rule.klass != "service" and not rule.shadow}
    offers = [one for name, one in book.offers.items() if name in made]
    return max((max(one.repeat_ms, one.declined_hides_ms) for one in offers), default=0)


def looks_back(book: Book, rule: Rule, channel: str) -> bool:
    """Return whether the offer of `rule` counts a contact on `channel` after it was sent."""
    if rule.klass == "service" or rule.offer is None:
        return False
    offer = book.offers[rule.offer]
    return offer.repeat_ms > 0 or offer.declined_hides_ms > 0 or book.channels[channel].kind == "desk"


def _columns(book: Book) -> Offers:
    return Offers(
        repeat_ms=int64s(one.repeat_ms for one in book.offers.values()),
        hides_ms=int64s(one.declined_hides_ms for one in book.offers.values()),
        desks=int32s(one.channel_id for one in book.channels.values() if one.kind == "desk"),
    )


@part
def made_before(offers: Offers, scene: Scene, row: int, rule: int) -> int:
    """Stop an offer that this event, or a contact that still counts, has made."""
    offer = scene.rules.offer_index[rule]
    if offer < 0:
        return PASSES
    shadow = scene.rules.shadow[rule]
    if scene.offered[shadow, offer] == row + 1:
        return ONCE
    arrays = scene.contacts
    block = int(arrays.block[scene.rows.slot[row]])
    entry = int(arrays.first[block]) * CHUNK
    for _ in range(int(arrays.size[block])):
        this, entry = entry, next_entry(arrays, entry)
        unseen = SERVICE if shadow != 0 else SERVICE | REHEARSED
        if offer_of(arrays, this) == scene.rules.offer[rule] and state_of(arrays, this) & unseen == 0:
            why = _holds(offers, offer, scene, this, row)
            if why != PASSES:
                return why
    return PASSES


@part
def _holds(offers: Offers, offer: int, scene: Scene, entry: int, row: int) -> int:
    """Return why a contact with the offer forbids another one for the event, or PASSES."""
    arrays, log_ms = scene.contacts, scene.rows.log_ms[row]
    made_ms = int(arrays.entries[entry, AT_MS])
    apart_ms, whole = abs(log_ms - made_ms), state_of(arrays, entry)
    is_waiting = may_come(arrays, entry, log_ms)
    if whole & DECLINED != 0 and apart_ms < offers.hides_ms[offer]:
        return DECLINED_BEFORE
    if whole & STATES in (RESERVED, WITHDRAWN) and not is_waiting:
        return PASSES
    if is_waiting or _is_on_screen(offers, scene, entry, row):
        return WAITS
    return REPEATED if apart_ms < offers.repeat_ms[offer] else PASSES


@part
def _is_on_screen(offers: Offers, scene: Scene, entry: int, row: int) -> bool:
    """Return whether a contact was made at a desk in the visit that is open now."""
    rows = scene.rows
    visit_ms = rows.visit_ms[rows.slot[row]]
    is_there = visit_ms > 0 and rows.log_ms[row] - visit_ms < VISIT_MS_MAX
    if not is_there or scene.contacts.entries[entry, AT_MS] < visit_ms:
        return False
    channel = channel_of(scene.contacts, entry)
    is_desk = False
    for desk in range(offers.desks.shape[0]):
        is_desk |= offers.desks[desk] == channel
    return is_desk


@part
def decline(arrays: ContactArrays, slot: int, position: int, row: int, rule: int) -> None:
    """Mark the contact of one decision as declined, where it is still kept."""
    block = arrays.block[slot]
    entry = int(arrays.first[block]) * CHUNK
    for _ in range(int(arrays.size[block])):
        same = arrays.entries[entry, POSITION] == position and row_of(arrays, entry) == row
        if same and rule_of(arrays, entry) == rule:
            add_mark(arrays, entry, DECLINED)
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
