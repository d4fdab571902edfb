"""A text while functions work on it: where it begins, its bytes, whether its letters are read as small ones.

Nothing is copied: to take a part of a text is to move its bounds, and `lower` only says how bytes are to be read. The
view is three int64 at an address; a step is what one function was given: its code, two numbers, and the bytes of a text
that was written out. A position is counted in letters (code points of UTF-8), a size in bytes.
"""

from state.hashing import HASH_SEED, hash_address, hash_end, hash_step
from state.jit import part, routine
from state.raw import load_i64, load_u8, shift_right, store_i64

__all__ = [
    "BEGIN",
    "FIRST",
    "LOWERED",
    "NEEDLE",
    "SECOND",
    "SIZE",
    "after_letters",
    "before_letters",
    "byte_at",
    "cut",
    "has_at",
    "view_hash",
]

BEGIN, SIZE, LOWERED = 0, 8, 16
"""Where the words of a view stand, in bytes."""
FIRST, SECOND, NEEDLE = 8, 16, 24
"""Where the numbers of a step stand, and its text, after the code."""

_TOPS = -0x7F7F7F7F7F7F7F80
_LOWS = 0x7F7F7F7F7F7F7F7F
_TO_Z = 0x2525252525252525
_TO_A = 0x3F3F3F3F3F3F3F3F
_TAIL = (1 << 56) - 1


@part
def lower_word(word: int) -> int:
    """Eight bytes with A to Z as a to z: the sums carry into a byte's top bit where it is beyond Z, or from A on."""
    low = word & _LOWS
    capitals = ~word & _TOPS & ((low + _TO_Z) ^ (low + _TO_A))
    return word | shift_right(capitals, 2)


@part
def byte_at(view: int, at: int) -> int:
    """The byte of a text at an offset, as it is to be read."""
    byte = load_u8(load_i64(view + BEGIN) + at)
    return byte + 32 if load_i64(view + LOWERED) != 0 and 65 <= byte <= 90 else byte


@routine
def view_hash(view: int) -> int:
    """The hash of a text as it is to be read; seven bytes after it must be readable."""
    address, size = load_i64(view + BEGIN), load_i64(view + SIZE)
    if load_i64(view + LOWERED) == 0:
        return hash_address(address, size)
    state = HASH_SEED
    left = size
    while left >= 8:
        state = hash_step(state, lower_word(load_i64(address)))
        address += 8
        left -= 8
    if left > 0:
        state = hash_step(state, lower_word(load_i64(address) & shift_right(_TAIL, 8 * (7 - left))))
    return hash_end(state, size)


@routine
def after_letters(view: int, count: int) -> int:
    """How many bytes the first `count` letters take, all where there are fewer."""
    address, size = load_i64(view + BEGIN), load_i64(view + SIZE)
    at = 0
    while at < size and count > 0:
        at += 1
        while at < size and load_u8(address + at) & 0xC0 == 0x80:
            at += 1
        count -= 1
    return at


@routine
def before_letters(view: int, count: int) -> int:
    """Where the last `count` letters begin, in bytes; 0 where there are fewer."""
    address, at = load_i64(view + BEGIN), load_i64(view + SIZE)
    while at > 0 and count > 0:
        at -= 1
        while at > 0 and load_u8(address + at) & 0xC0 == 0x80:
            at -= 1
        count -= 1
    return at


@routine
def has_at(view: int, at: int, step: int) -> bool:
    """Whether the text of a step stands at an offset; there must be as many bytes."""
    for i in range(load_i64(step + FIRST)):  # noqa: SIM110 kernels have no generators
        if byte_at(view, at + i) != load_u8(step + NEEDLE + i):
            return False
    return True


@part
def cut(view: int, begin: int, size: int) -> None:
    """Take the part of `size` bytes from an offset on."""
    store_i64(view + BEGIN, load_i64(view + BEGIN) + begin)
    store_i64(view + SIZE, size)
