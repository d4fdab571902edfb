"""Values that settle: a value counts only when it was seen often enough, or for long enough, with no other in between.

A phone with two cards shows two values in turn, and neither replaces the other. Sightings are taken in the order of
their times: one that is older than the newest changes nothing.

Six words a subscriber: when the newest sighting was; the value that has settled, and when; the candidate, how often it
was seen in a row, and when first. A time or a number of 0 says that there is none.
"""

from state.jit import routine
from state.raw import load_i64, store_i64

SETTLING_BYTES = 48
VALUE, SETTLED_AT, CANDIDATE, SEEN, SEEN_FIRST = range(8, 48, 8)
"""Where a row has them, in bytes; the newest sighting comes first."""


@routine
def sight(address: int, at: int, value: int, sightings: int, held_ms: int) -> bool:
    """Take a sighting; return whether its value has settled with it."""
    if at < load_i64(address):
        return False
    store_i64(address, at)
    if load_i64(address + SETTLED_AT) != 0 and load_i64(address + VALUE) == value:
        store_i64(address + SEEN, 0)
        return False
    if load_i64(address + SEEN) == 0 or load_i64(address + CANDIDATE) != value:
        store_i64(address + CANDIDATE, value)
        store_i64(address + SEEN, 0)
        store_i64(address + SEEN_FIRST, at)
    seen = load_i64(address + SEEN) + 1
    store_i64(address + SEEN, seen)
    return seen >= sightings or 0 < held_ms <= at - load_i64(address + SEEN_FIRST)


@routine
def settle(address: int, at: int, value: int) -> None:
    """Let a value have settled."""
    store_i64(address + VALUE, value)
    store_i64(address + SETTLED_AT, at)
    store_i64(address + SEEN, 0)
