"""Caps: at most N contacts of a scope in a window, counted where they happen, by the log's clock.

A rolling cap of N per W promises that no window of W milliseconds, wherever it starts, holds more than N contacts; a
calendar cap promises the same of each local day, week (from Monday) or month. W is a span of time and not of the wall
clock: on the day when clocks change, "24h" reaches back 24 hours, 23 or 25 by the dial.

What waits may reach the subscriber at any time until it expires: it counts in every window as if it went now. What has
reached the subscriber counts at its contact time, near the row's log time or in the same local period; one that may
have, at its attempt; a held-out subscriber's, at its decision, and so, for rules in shadow alone, what these would have
sent. What has expired counts no more; what was withdrawn may have been on its way, and counts until its refund.
The event's own time counts nothing: a late or an early one buys no second text.

A contact is reserved when a channel is chosen, so what is promised counts before it is sent. The detail is the index of
the cap in `caps_that_hold`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, int64s, pairs_of, starts
from rules.model import Book, Cap, Rule
from rules.spans import duration_text
from state.contacts import (
    AT_MS,
    CHUNK,
    REHEARSED,
    RESERVED,
    SERVICE,
    STATES,
    WITHDRAWN,
    ContactArrays,
    campaign_of,
    category_of,
    channel_of,
    may_come,
    next_entry,
    rule_of,
    state_of,
)
from state.jit import part
from state.zone import local_day, local_month, local_week

RULE, CAMPAIGN, CHANNEL, ALL, CATEGORY = range(5)
ROLLING, DAY, WEEK, MONTH = range(4)
_SCOPES = {"rule": RULE, "campaign": CAMPAIGN, "category": CATEGORY, "channel": CHANNEL, "all": ALL}
_KINDS = {"rolling": ROLLING, "day": DAY, "week": WEEK, "month": MONTH}

LONGEST_CALENDAR_MS = 33 * 86_400_000
"""No day, week or month, in any zone, reaches further back."""


class Caps(NamedTuple):
    """The caps of pair p: the rows `start[p]:start[p + 1]` of the others, int64; `start` int32[pairs + 1].

    `shadow` uint8[pairs]: whether the rule is in shadow, and counts what others of its kind would have made.
    """

    start: NDArray[np.int32]
    scope: NDArray[np.int64]
    scope_id: NDArray[np.int64]
    count_max: NDArray[np.int64]
    kind: NDArray[np.int64]
    window_ms: NDArray[np.int64]
    shadow: NDArray[np.uint8]


def caps_that_hold(book: Book, rule: Rule, channel: str) -> tuple[Cap, ...]:
    """Return the caps that a contact of `rule` on `channel` must respect; see the package for service messages."""
    caps = book.caps_of(rule, channel)
    return tuple(cap for cap in caps if rule.klass != "service" or cap.scope in {"rule", "campaign"})


def horizon_ms(book: Book) -> int:
    """Return how far back any cap that holds in the book can count a contact; nothing is kept for rules in shadow."""
    pairs = (pair for pair in pairs_of(book) if not pair[0].shadow)
    caps = (cap for rule, channel in pairs for cap in caps_that_hold(book, rule, channel))
    return max((cap.window_ms if cap.kind == "rolling" else LONGEST_CALENDAR_MS for cap in caps), default=0)


def _columns(book: Book) -> Caps:
    caps = [caps_that_hold(book, rule, channel) for rule, channel in pairs_of(book)]
    flat = [cap for some in caps for cap in some]
    return Caps(
        start=starts(len(some) for some in caps),
        scope=int64s(_SCOPES[cap.scope] for cap in flat),
        scope_id=int64s(cap.scope_id for cap in flat),
        count_max=int64s(cap.count_max for cap in flat),
        kind=int64s(_KINDS[cap.kind] for cap in flat),
        window_ms=int64s(cap.window_ms for cap in flat),
        shadow=np.array([rule.shadow for rule, _ in pairs_of(book)], np.uint8),
    )


@part
def in_scope(arrays: ContactArrays, entry: int, scope: int, scope_id: int) -> bool:
    """Return whether a contact counts for a scope; service messages count for their rule and campaign only."""
    if scope == RULE:
        return rule_of(arrays, entry) == scope_id
    if scope == CAMPAIGN:
        return campaign_of(arrays, entry) == scope_id
    if state_of(arrays, entry) & SERVICE != 0:
        return False
    if scope == CATEGORY:
        return category_of(arrays, entry) == scope_id
    return scope == ALL or channel_of(arrays, entry) == scope_id


@part
def period(at_ms: int, kind: int, transitions: NDArray[np.int64]) -> int:
    """Return the number of the local day, week or month of a time."""
    if kind == DAY:
        return local_day(at_ms, transitions)
    if kind == WEEK:
        return local_week(at_ms, transitions)
    return local_month(at_ms, transitions)


@part
def cap_reached(
    arrays: ContactArrays,
    slot: int,
    log_ms: int,
    scope: int,
    scope_id: int,
    count_max: int,
    kind: int,
    window_ms: int,
    transitions: NDArray[np.int64],
    unseen: int,
) -> bool:
    """Return whether one more contact, reserved at `log_ms`, could break the cap; none has a mark of `unseen`."""
    block = int(arrays.block[slot])
    if block == 0:
        return count_max <= 0
    reach = window_ms if kind == ROLLING else LONGEST_CALENDAR_MS
    if arrays.floor_ms[block] != 0 and arrays.floor_ms[block] > log_ms - reach:
        return True
    wanted = 0 if kind == ROLLING else period(log_ms, kind, transitions)
    count = 0
    entry = int(arrays.first[block]) * CHUNK
    for _ in range(int(arrays.size[block])):
        this, entry = entry, next_entry(arrays, entry)
        if state_of(arrays, this) & unseen != 0 or not in_scope(arrays, this, scope, scope_id):
            continue
        state = state_of(arrays, this) & STATES
        if state in (RESERVED, WITHDRAWN):
            count += may_come(arrays, this, log_ms)
        elif kind == ROLLING:
            count += abs(int(arrays.entries[this, AT_MS]) - log_ms) < window_ms
        else:
            count += period(int(arrays.entries[this, AT_MS]), kind, transitions) == wanted
    return count >= count_max


@part
def capped(caps: Caps, scene: Scene, row: int, pair: int) -> int:
    """Stop at a channel where one more contact would break a cap."""
    slot, log_ms = scene.rows.slot[row], scene.rows.log_ms[row]
    start = caps.start[pair]
    unseen = 0 if caps.shadow[pair] != 0 else REHEARSED
    for cap in range(start, caps.start[pair + 1]):
        if cap_reached(
            scene.contacts, slot, log_ms, caps.scope[cap], caps.scope_id[cap], caps.count_max[cap],
            caps.kind[cap], caps.window_ms[cap], scene.transitions, unseen,
        ):  # fmt: skip
            return int(cap - start)
    return PASSES


def _explain(book: Book, rule: Rule, channel: str, detail: int) -> str:
    cap = caps_that_hold(book, rule, channel)[detail]
    window = duration_text(cap.window_ms) if cap.kind == "rolling" else cap.kind
    return f"{channel}: {cap.count_max} per {window} for {cap.scope}"


GATE = Gate(
    number=10,
    word="cap",
    stops=capped,
    columns=_columns,
    explain=_explain,
    example="""
[[rule]]
id = "r"
on = "e"
channels = ["sms"]
text.sms = "t"
cap = "1 per day"
[[test]]
name = "once a day"
events = [{ at = 2026-01-05T08:00:00Z, e = {} }, { at = "+1h", e = {} }]
expect = [
    { at = 2026-01-05T08:00:00Z, rule = "r", channel = "sms" },
    { at = 2026-01-05T09:00:00Z, rule = "r", gate = "cap" },
]
""",
)
