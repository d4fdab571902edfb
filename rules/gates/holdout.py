"""Holdout: a control group that receives nothing, so that the effect of the rest can be measured.

Membership is a hash of the subscriber and the level's own salt, so it is the same for ever, needs no memory, and the
groups of two campaigns are independent.
"""

from state.hashing import mix64
from state.jit import part
from state.raw import shift_right

PPM = 1_000_000


@part
def held_out(subscriber: int, salt: int, ppm: int) -> bool:
    """Return whether `subscriber` is among the `ppm` millionths that `salt` draws."""
    return ppm > 0 and shift_right(mix64(mix64(salt) ^ subscriber), 12) % PPM < ppm
