"""One value at an address: digits, texts, words, numbers that are read past.

Every function takes an address and returns the address after what it read, or 0 where it is not sure; then the
strict path judges the line. Nothing is read beyond a line end by more than `PADDING` bytes, because a line end stops
every loop.
"""

import numpy as np

from connectors.sources.scan import layout as at
from state.hashing import HASH_SEED, hash_address, hash_end, hash_step
from state.jit import part, routine
from state.raw import bits_of_float, load_i64, load_u8, shift_right, trailing_zeros

ZEROS = 0x3030303030303030
_NINES = 0x7676767676767676
_HIGHS = -0x7F7F7F7F7F7F7F80
_PAIRS = 0x000000FF000000FF
_TRUE, _FALSE, _NULL = 0x65757274, 0x65736C6166, 0x6C6C756E
_WORD4, _WORD5 = 0xFFFFFFFF, 0xFFFFFFFFFF
_LOWER4, _LOWER5 = 0x20202020, 0x2020202020
POWERS = np.array([10**n for n in range(19)], dtype=np.int64)
_FLOAT_POWERS = np.array([10.0**n for n in range(19)], dtype=np.float64)

QUOTE, BACKSLASH, COMMA, COLON, SPACE, PLUS, MINUS = 34, 92, 44, 58, 32, 43, 45


@part
def eight_digits(word: int) -> int:
    """Return the number that eight digit values write, the first one in the lowest byte."""
    word = word * 10 + shift_right(word, 8)
    low = (word & _PAIRS) * (100 + (1000000 << 32))
    high = (shift_right(word, 16) & _PAIRS) * (1 + (10000 << 32))
    return shift_right(low + high, 32)


@part
def not_digits(word: int) -> int:
    """Return a word whose lowest high bit stands in the first byte that is no digit value; 0 when all eight are."""
    return ((word + _NINES) | word) & _HIGHS


@part
def digits(p: int) -> tuple[int, int, int]:
    """Read up to 18 digits at `p`: the address after them, their value, their number (19 where there are more)."""
    word = load_i64(p) ^ ZEROS
    stop = not_digits(word)
    if stop != 0:
        count = trailing_zeros(stop) >> 3
        if count == 0:
            return p, 0, 0
        return p + count, eight_digits(word << (64 - 8 * count)), count
    value = eight_digits(word)
    word = load_i64(p + 8) ^ ZEROS
    stop = not_digits(word)
    if stop != 0:
        count = trailing_zeros(stop) >> 3
        if count == 0:
            return p + 8, value, 8
        return p + 8 + count, value * POWERS[count] + eight_digits(word << (64 - 8 * count)), 8 + count
    value = value * 100000000 + eight_digits(word)
    count = 16
    p += 16
    while True:
        digit = load_u8(p) - 48
        if digit < 0 or digit > 9:
            return p, value, count
        if count == 18:
            return p, value, 19
        value = value * 10 + digit
        count += 1
        p += 1


@part
def msisdn(c: int, p: int, number: int, count: int, plus: int) -> int:
    """Return the subscriber that the `count` digits at `p` write, after a plus or not; 0: the strict path must say."""
    if shift_right(load_i64(c + at.NATIONAL_DIGITS), count) & 1 == 0:
        return number
    return national(c, p, number, count, plus)


@routine
def national(c: int, p: int, number: int, count: int, plus: int) -> int:
    """Look a number up in the number plan, by how many digits it has, two at least, and its first two."""
    table = load_i64(c + at.NATIONAL)
    # The first two are read again: to divide the number would take as long as all that is left.
    lead = 10 * load_u8(p) + load_u8(p + 1) - 11 * 48
    what = load_u8(table + at.N_LEADS + 100 * count + lead)
    if what == at.N_UNSURE:
        return 0
    if what == at.N_NATIONAL and plus == 0:
        return number + load_i64(table + 8 * count)
    return number


@part
def whole(p: int) -> tuple[int, int]:
    """Read a JSON whole number of at most 18 digits; (0, 0) where it is anything else."""
    negative = load_u8(p) == 45
    first = p + 1 if negative else p
    end, value, count = digits(first)
    if count == 0 or count > 18 or (count > 1 and load_u8(first) == 48):
        return 0, 0
    return end, (-value if negative else value)


@part
def whole_text(p: int) -> tuple[int, int]:
    """Read a whole number of at most 18 digits, leading zeros and a sign allowed."""
    sign = load_u8(p)
    end, number, count = digits(p + 1 if sign in (MINUS, PLUS) else p)
    if count == 0 or count > 18:
        return 0, 0
    return end, (-number if sign == MINUS else number)


@part
def decimal(p: int) -> tuple[int, int]:
    """Read a JSON number of at most 15 digits without exponent as the bits of a float: then it is exact."""
    negative = load_u8(p) == 45
    first = p + 1 if negative else p
    end, value, count = digits(first)
    if count == 0 or count > 15 or (count > 1 and load_u8(first) == 48):
        return 0, 0
    number = float(value)
    if load_u8(end) == 46:
        end, fraction, more = digits(end + 1)
        if more == 0 or count + more > 15:
            return 0, 0
        number = float(value * POWERS[more] + fraction) / _FLOAT_POWERS[more]
    after = load_u8(end) | 32
    if after == 101 or (negative and number == 0.0):
        return 0, 0
    return end, bits_of_float(-number if negative else number)


@part
def next_special(c: int, p: int) -> int:
    """Return the address of the next byte at or after `p` that is set in the map of special bytes."""
    offset = p - load_i64(c + at.BASE)
    special = load_i64(c + at.SPECIAL)
    bits = shift_right(load_i64(special + (offset >> 3)), offset & 7)
    return p + trailing_zeros(bits) if bits != 0 else far_special(c, p)


@part
def text_end(c: int, p: int) -> int:
    """Return the address of the quote that ends the text at `p`; 0 for an escape, a control byte or bad UTF-8."""
    q = next_special(c, p)
    if load_u8(q) != QUOTE or (load_i64(c + at.ANY_HIGH) != 0 and not is_text(c, p, q)):
        return 0
    return q


@part
def hash_of(p: int, length: int) -> int:
    """Return `hash_address(p, length)`, without a loop where the length is at most 16."""
    if length > 16 or length == 0:
        return hash_address(p, length)
    if length <= 8:
        return hash_end(hash_step(HASH_SEED, load_i64(p) & shift_right(-1, 64 - 8 * length)), length)
    state = hash_step(HASH_SEED, load_i64(p))
    return hash_end(hash_step(state, load_i64(p + 8) & shift_right(-1, 128 - 8 * length)), length)


@routine
def far_special(c: int, p: int) -> int:
    """Return the address of the next quote, backslash or control byte when it is not near."""
    special = load_i64(c + at.SPECIAL)
    offset = p - load_i64(c + at.BASE)
    while True:
        bits = shift_right(load_i64(special + (offset >> 3)), offset & 7)
        if bits != 0:
            return load_i64(c + at.BASE) + offset + trailing_zeros(bits)
        offset = (offset | 7) + 57


@routine
def is_text(c: int, p: int, end: int) -> bool:
    """Return whether the bytes from `p` to `end` are UTF-8, in a chunk that is not all ASCII."""
    offset = p - load_i64(c + at.BASE)
    length = end - p
    bits = shift_right(load_i64(load_i64(c + at.HIGH) + (offset >> 3)), offset & 7)
    if length < 57 and bits & ((1 << length) - 1) == 0:
        return True
    return is_utf8(p, end)


@routine
def is_utf8(p: int, end: int) -> bool:
    """Return whether the bytes from `p` to `end` are UTF-8: no surrogates, nothing overlong, nothing cut."""
    while p < end:
        lead = load_u8(p)
        if lead < 0x80:
            p += 1
            continue
        low, high = 0x80, 0xBF
        if 0xC2 <= lead <= 0xDF:
            more = 1
        elif 0xE0 <= lead <= 0xEF:
            more = 2
            low = 0xA0 if lead == 0xE0 else 0x80
            high = 0x9F if lead == 0xED else 0xBF
        elif 0xF0 <= lead <= 0xF4:
            more = 3
            low = 0x90 if lead == 0xF0 else 0x80
            high = 0x8F if lead == 0xF4 else 0xBF
        else:
            return False
        if p + more >= end:
            return False
        second = load_u8(p + 1)
        if second < low or second > high:
            return False
        for n in range(2, more + 1):
            if load_u8(p + n) & 0xC0 != 0x80:
                return False
        p += more + 1
    return True


@part
def word_end(p: int) -> tuple[int, int]:
    """Read true (1), false (0) or null (2)."""
    word = load_i64(p)
    if word & _WORD4 == _TRUE:
        return p + 4, 1
    if word & _WORD5 == _FALSE:
        return p + 5, 0
    if word & _WORD4 == _NULL:
        return p + 4, 2
    return 0, 0


@part
def bool_text(start: int, stop: int) -> tuple[int, int]:
    """Read true, false, 1 or 0, in letters of any size."""
    word = load_i64(start)
    length = stop - start
    if length == 1 and (word & 0xFE) == 48:
        return stop, word & 1
    if length == 4 and (word & _WORD4) | _LOWER4 == _TRUE:
        return stop, 1
    if length == 5 and (word & _WORD5) | _LOWER5 == _FALSE:
        return stop, 0
    return 0, 0


@routine
def skip(c: int, p: int) -> int:
    """Read past a value that no rule reads; 0 for arrays, objects and long or odd numbers."""
    first = load_u8(p)
    if first == QUOTE:
        end = text_end(c, p + 1)
        return end + 1 if end != 0 else 0
    if first == 45 or 48 <= first <= 57:
        end, _ = whole(p)
        if end != 0 and load_u8(end) == 46:
            end, _, count = digits(end + 1)
            if count == 0 or count > 18:
                return 0
        if end != 0 and load_u8(end) | 32 == 101:
            return 0
        return end
    end, _ = word_end(p)
    return end
