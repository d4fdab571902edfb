"""How many bytes a number needs, and the mask of so many bytes, for the kernels that pack."""

from state.jit import routine
from state.raw import shift_right


@routine
def byte_width(value: int) -> int:
    """Return how many bytes the unsigned `value` needs; 0 for 0."""
    width = 0
    while value != 0:
        value = shift_right(value, 8)
        width += 1
    return width


@routine
def byte_mask(width: int) -> int:
    """Return a word with the low `width` bytes set, 0 <= width <= 8."""
    return -1 if width == 8 else (1 << (8 * width)) - 1  # a shift by 64 bits is undefined on the machine
