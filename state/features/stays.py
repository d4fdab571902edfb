"""Stays of a subscriber in an area: what the kernels of both kinds share that follow them.

A stay begins with a sighting inside. It ends when a sighting outside is followed by none inside for the area's *leave*,
rounded up to the second; a sighting inside before that makes it go on as if nothing had been. So whoever goes back and
forth between two cells at the edge has one stay. Sightings are taken in the order of their times: one that is older
than the newest changes nothing.

Three words a subscriber: when the stay began that is going on or was the last, when the newest sighting was, and since
when sightings are outside; 0 each for never. A subscriber who was only seen outside has no beginning.
"""

from state.features.timer_cells import deadline_of
from state.jit import part, routine
from state.raw import load_i64, store_i64

STAY_WORDS = 3
NEWEST, OUTSIDE = 8, 16
"""Where a row has them, in bytes; the beginning comes first."""
IN, OUT = 1, 2
"""What `updates` says of a row, as bits; that a deadline has come is `timer_cells.DUE`."""
NOTHING, BEGAN, FOUND, WENT, CAME_BACK = range(5)
"""What a sighting was: nothing new; the beginning of a stay, by someone who was seen outside before, or by one who was
never seen; the first outside during a stay; inside again in time."""


@part
def is_over(outside: int, at: int, leave_ms: int) -> bool:
    """Tell whether a stay has ended at a time, of someone who is seen outside since `outside`, 0 for not."""
    return outside != 0 and at >= deadline_of(outside, leave_ms)


@routine
def see(address: int, inside: bool, at: int, leave_ms: int) -> int:
    """Take a sighting; return what it was."""
    begun, outside = load_i64(address), load_i64(address + OUTSIDE)
    if at < load_i64(address + NEWEST):
        return NOTHING
    store_i64(address + NEWEST, at)
    if not inside:
        if outside != 0:
            return NOTHING
        store_i64(address + OUTSIDE, at)
        return WENT if begun != 0 else NOTHING
    store_i64(address + OUTSIDE, 0)
    if begun != 0 and not is_over(outside, at, leave_ms):
        return CAME_BACK if outside != 0 else NOTHING
    store_i64(address, at)
    return BEGAN if outside != 0 else FOUND


@routine
def since(address: int, at: int, leave_ms: int) -> int:
    """Return when the stay began that is going on at a time, 0 where none is; a late row asks as of the newest one."""
    now = max(at, load_i64(address + NEWEST))
    return 0 if is_over(load_i64(address + OUTSIDE), now, leave_ms) else load_i64(address)
