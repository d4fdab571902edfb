"""Eligibility: an offer may need what the subscriber must hold, and is not made to who holds it already.

What a subscriber holds are the bits of SET attributes, as of the event; an unknown set holds nothing.
"""

from state.jit import part


@part
def not_eligible(held: int, needed: int, refused: int) -> bool:
    """Return whether a bit of `needed` is missing from, or one of `refused` is in, the `held` bits."""
    return (held & needed) != needed or (held & refused) != 0
