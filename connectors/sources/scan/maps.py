"""Bit maps of a chunk's bytes, and its line ends: what is done to a chunk before it is scanned, 64 bytes at a time."""

from connectors.sources.scan.values import BACKSLASH, QUOTE
from state.jit import kernel, routine
from state.raw import below_mask64, equal_mask64, ones, store_i64, trailing_zeros

_LINE_END = 10


@kernel
def count_lines(address: int, length: int) -> int:
    """Count the line ends in `length` bytes; 64 bytes after them must be readable."""
    count = 0
    done = 0
    while done + 64 <= length:
        count += ones(equal_mask64(address + done, _LINE_END))
        done += 64
    if done < length:
        count += ones(equal_mask64(address + done, _LINE_END) & ((1 << (length - done)) - 1))
    return count


@routine
def line_end(p: int) -> int:
    """Return the address of the next line end at or after `p`; there must be one."""
    while True:
        found = equal_mask64(p, _LINE_END)
        if found != 0:
            return p + trailing_zeros(found)
        p += 64


@kernel
def map_bytes(address: int, length: int, special: int, high: int) -> tuple[int, int]:
    """Map `length` bytes, 64 a word: bit i of `special` is a quote, backslash or control byte, of `high` no ASCII.

    Returns the number of line ends, and whether any byte is not ASCII. Words after the last one are not touched.
    """
    lines = 0
    any_high = 0
    done = 0
    word = 0
    while done < length:
        p = address + done
        control = below_mask64(p, 32)
        above = ~below_mask64(p, 128)
        store_i64(special + word, control | equal_mask64(p, QUOTE) | equal_mask64(p, BACKSLASH))
        store_i64(high + word, above)
        ends = equal_mask64(p, _LINE_END)
        if done + 64 > length:
            inside = (1 << (length - done)) - 1
            above &= inside
            ends &= inside
        lines += ones(ends)
        any_high |= above
        done += 64
        word += 8
    return lines, any_high


@kernel
def map_delimiters(address: int, length: int, delimiter: int, quote: int, special: int, high: int) -> tuple[int, int]:
    """Map `length` bytes, 64 a word: bit i of `special` is a delimiter, quote or line end, of `high` no ASCII.

    Where quotes are letters, `quote` is the delimiter. Returns the number of line ends, and whether any byte is not
    ASCII.
    """
    lines = 0
    any_high = 0
    done = 0
    word = 0
    while done < length:
        p = address + done
        above = ~below_mask64(p, 128)
        ends = equal_mask64(p, _LINE_END)
        store_i64(special + word, ends | equal_mask64(p, quote) | equal_mask64(p, delimiter))
        store_i64(high + word, above)
        if done + 64 > length:
            inside = (1 << (length - done)) - 1
            above &= inside
            ends &= inside
        lines += ones(ends)
        any_high |= above
        done += 64
        word += 8
    return lines, any_high
