"""Caps: at most N contacts of a scope in a window, over everything that was promised to the subscriber.

A rolling cap of N per W promises that no window of W milliseconds, wherever it starts, holds more than N contacts. An
event may come late, so contacts on both sides of it count: every contact nearer than W to the event. A calendar cap
counts the contacts of the event's own local day, week (from Monday) or month.
"""

import numpy as np
from numpy.typing import NDArray

from state.contacts import AT_MS, CHUNK, SERVICE, STATE, ContactArrays, campaign_of, channel_of, next_entry, rule_of
from state.jit import part
from state.zone import local_day, local_month, local_week

RULE, CAMPAIGN, CHANNEL, ALL = range(4)
ROLLING, DAY, WEEK, MONTH = range(4)

LONGEST_CALENDAR_MS = 33 * 86_400_000
"""No day, week or month, in any zone, reaches further back."""


@part
def in_scope(arrays: ContactArrays, entry: int, scope: int, scope_id: int) -> bool:
    """Return whether a contact counts for a scope; service messages count for their rule and campaign only."""
    if scope == RULE:
        return rule_of(arrays, entry) == scope_id
    if scope == CAMPAIGN:
        return campaign_of(arrays, entry) == scope_id
    if arrays.entries[entry, STATE] & SERVICE != 0:
        return False
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
    at_ms: int,
    scope: int,
    scope_id: int,
    count_max: int,
    kind: int,
    window_ms: int,
    transitions: NDArray[np.int64],
) -> bool:
    """Return whether one more contact at `at_ms` would break the cap."""
    block = int(arrays.block[slot])
    if block == 0:
        return count_max <= 0
    reach = window_ms if kind == ROLLING else LONGEST_CALENDAR_MS
    if arrays.floor_ms[block] != 0 and arrays.floor_ms[block] > at_ms - reach:
        return True
    wanted = 0 if kind == ROLLING else period(at_ms, kind, transitions)
    count = 0
    entry = int(arrays.first[block]) * CHUNK
    for _ in range(int(arrays.size[block])):
        counts = in_scope(arrays, entry, scope, scope_id)
        made_ms = int(arrays.entries[entry, AT_MS])
        entry = next_entry(arrays, entry)
        if not counts:
            continue
        if kind == ROLLING:
            count += abs(made_ms - at_ms) < window_ms
        else:
            count += period(made_ms, kind, transitions) == wanted
    return count >= count_max
