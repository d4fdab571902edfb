"""Lists: black and grey lists, opt-outs, staff; membership comes through the log, one bit a list."""

from state.jit import part
from state.raw import trailing_zeros


@part
def on_list(member_of: int, exclude: int) -> int:
    """Return the index of the first list that excludes the subscriber, -1 for none."""
    hit = member_of & exclude
    return trailing_zeros(hit) if hit != 0 else -1
