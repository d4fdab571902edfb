"""Kernels that pack one column of values into bytes and back.

A column is sixteen bytes of description (width and shift in one word, then the smallest value), and each value's
distance from the smallest in `width` bytes, its low `shift` bits left out. Format 1 has dictionaries too, of a column's
few different values; they are still read.

What is said of addresses, and of trust, in `state.column_packing` holds here.
"""

import numpy as np

from state.jit import routine
from state.raw import load_i64, shift_right, store_i64, trailing_zeros
from state.widths import byte_mask, byte_width

COLUMN_BYTES = 16
"""Bytes of a column's description."""
DICTIONARY_MAX = 2048
"""Values in a dictionary of format 1."""


@routine
def pack_column(source: int, count: int, at: int) -> int:
    """Pack `count` int64 at address `source` to address `at`; return the address after it."""
    first = load_i64(source)
    low, high, differ = first, first, np.int64(0)
    for i in range(count):
        value = load_i64(source + 8 * i)
        low = min(low, value)
        high = max(high, value)
        differ |= value ^ first
    shift = trailing_zeros(differ) & 63
    width = byte_width(shift_right(high - low, shift))
    at = write_column(at, width, shift, low)
    return pack_values(source, count, low, shift, width, at)


@routine
def write_column(at: int, width: int, shift: int, low: int) -> int:
    """Write a column's description; return the address after it."""
    store_i64(at, width | (shift << 8))
    store_i64(at + 8, low)
    return at + COLUMN_BYTES


@routine
def pack_values(source: int, count: int, low: int, shift: int, width: int, at: int) -> int:
    """Write the distance of each value from `low` in `width` bytes; overwrites up to eight bytes after the end."""
    if width > 0:
        for i in range(count):
            store_i64(at + i * width, shift_right(load_i64(source + 8 * i) - low, shift))
    return at + count * width


@routine
def unpack_column(at: int, end: int, count: int, target: int) -> int:
    """Unpack `count` values to int64 at address `target`; return the address after the column, -1 when it is none."""
    if at < 0 or at + COLUMN_BYTES > end:
        return -1
    head = load_i64(at)
    low = load_i64(at + 8)
    width, shift, size = head & 0xFF, (head >> 8) & 0xFF, shift_right(head, 16)
    at += COLUMN_BYTES
    if width > 8 or shift > 63 or size > DICTIONARY_MAX or at + 8 * size + count * width > end:
        return -1
    dictionary = at
    at += 8 * size
    mask = byte_mask(width)
    if width == 0:
        for i in range(count):
            store_i64(target + 8 * i, low)
    elif size == 0:
        for i in range(count):
            store_i64(target + 8 * i, low + ((load_i64(at + i * width) & mask) << shift))
    else:
        for i in range(count):
            code = load_i64(at + i * width) & mask
            if not 0 <= code < size:
                return -1
            store_i64(target + 8 * i, load_i64(dictionary + 8 * code))
    return at + count * width
