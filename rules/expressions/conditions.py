"""Conditions: instructions that make bits of values, or of bits.

A condition is a bit register in which bit i says that row i of the block is *true*. There is no bit for false or
unknown: `program` has moved every `not` down to the comparisons, and a comparison with an unknown sets no bit either
way.
"""

import numpy as np
from numpy.typing import NDArray

from rules.expressions.columns import FEW_MAX, column_addresses, is_gathered, need
from rules.expressions.lanes import INFINITE, covers, equal, lane_bits
from rules.expressions.layout import (
    BITS,
    BITS_BYTES,
    BLOCK_COLUMNS,
    BLOCK_ROWS,
    CELL,
    COLUMN_BYTES,
    LOADED,
    SETS,
    WORD_BYTES,
    field,
    known_address,
    value_address,
)
from rules.expressions.opcodes import (
    AND,
    COMPARE,
    COVERS,
    COVERS_EMPTY,
    EQ,
    FEQ,
    FLT,
    IN_FEW,
    IN_MANY,
    KNOWN,
    LT,
    OR,
    PLACE_BITS,
)
from state.jit import routine
from state.raw import float_of_bits, load_i64, load_u8, ones, shift_right, store_i64, trailing_zeros

HASH_FACTOR = -0x61C8864680B583EB
"""Spreads members over a table of IN_MANY: 2**64 divided by the golden ratio, as a signed number."""


@routine
def few_conditions(call: int, register: int, word: int, wanted: int, code: int, constant: int, invert: int) -> int:
    """Compare the wanted lanes of a column that is not filled with a constant, straight from the batch.

    Four lanes at a time without a branch. `trailing_zeros(0) & 63` is 0: a lane past the last one wanted is lane 0, and
    its bit is taken away at the end unless it was wanted. `answers` has a bit each for below, same and above, so that
    one comparison serves every opcode and its inversion.
    """
    column = field(call, BLOCK_COLUMNS) + register * COLUMN_BYTES
    index, floats = load_i64(column + 8), load_i64(column + 16) != 0
    is_cell = load_i64(column) == CELL
    base, known_base = column_addresses(call, column)
    rows = field(call, BLOCK_ROWS) + word * WORD_BYTES
    answers = (1 << (1 if code in (EQ, FEQ, COVERS) else 0 if code in (LT, FLT) else 2)) ^ (invert & 7)
    found = 0
    left = wanted
    while left != 0:
        for _ in range(4):
            lane = trailing_zeros(left) & 63
            left &= left - 1
            row = load_i64(rows + lane * 8)
            value = load_i64(base + row * 8)
            known = (load_i64(known_base + row * 8) >> index) & 1 if is_cell else load_u8(known_base + row) != 0
            if floats:
                number, other = float_of_bits(value), float_of_bits(constant)
                order = (1 if number > other else 0) - (1 if number < other else 0)
                known = known and value & INFINITE != INFINITE
            elif code == COVERS:
                order = 0 if value & constant == constant else 1
            else:
                order = (1 if value > constant else 0) - (1 if value < constant else 0)
            found |= (((answers >> (order + 1)) & 1) if known else 0) << lane
    return found & wanted


@routine
def in_few(call: int, address: int, start: int, count: int) -> int:
    """Bits of the lanes that equal one of a few constants."""
    found = 0
    first = field(call, SETS) + start * 8
    for at in range(count):
        found |= equal(address, load_i64(first + at * 8))
    return found


@routine
def in_many(call: int, address: int, start: int, shift: int, wanted: int) -> int:
    """Bits of those wanted lanes that stand in a hash table.

    The table's first number says whether 0 is a member; 2**(64 - shift) places follow, in which 0 means free.
    """
    table = field(call, SETS) + start * 8
    mask = (1 << (64 - shift)) - 1
    found = 0
    left = wanted
    while left != 0:
        lane = trailing_zeros(left)
        left &= left - 1
        value = load_i64(address + lane * 8)
        if value == 0:
            hit = load_i64(table)
        else:
            place = shift_right(value * HASH_FACTOR, shift)
            entry = load_i64(table + 8 + place * 8)
            while entry != 0 and entry != value:  # noqa: PLR1714 a tuple costs a kernel more than two compares
                place = (place + 1) & mask
                entry = load_i64(table + 8 + place * 8)
            hit = 1 if entry == value else 0
        found |= hit << lane
    return found


@routine
def condition(call: int, transitions: NDArray[np.int64], at: int, words: int) -> int:
    """Run one condition on values over the words that its selection names; return whether any bit came out."""
    code = load_i64(at)
    target = field(call, BITS) + load_i64(at + 8) * BITS_BYTES
    selection = field(call, BITS) + load_i64(at + 16) * BITS_BYTES
    a, b, constant, invert = load_i64(at + 24), load_i64(at + 32), load_i64(at + 40), load_i64(at + 48)
    values, knowns = value_address(call, a, 0), known_address(call, a, 0)
    loaded = load_i64(field(call, LOADED) + a * 8)
    compares = code >> PLACE_BITS == COMPARE
    may_skip = compares and is_gathered(call, a)
    any_found = 0
    for word in range(words):
        wanted = load_i64(selection + word * 8)
        found = 0
        if wanted != 0:
            filled = (loaded >> word) & 1 != 0
            if may_skip and not filled and ones(wanted) <= FEW_MAX:
                found = few_conditions(call, a, word, wanted, code, constant, invert)
            else:
                if not filled:
                    need(call, transitions, a, word, wanted)
                known = load_i64(knowns + word * 8)
                address = values + word * WORD_BYTES
                if compares:
                    found = wanted & known & (lane_bits(code, address, constant) ^ invert)
                else:
                    found = other_condition(call, transitions, code, address, known, wanted, b, constant, invert, word)
        store_i64(target + word * 8, found)
        any_found |= found
    return any_found


@routine
def other_condition(
    call: int,
    transitions: NDArray[np.int64],
    code: int,
    address: int,
    known: int,
    wanted: int,
    b: int,
    constant: int,
    invert: int,
    word: int,
) -> int:
    """The conditions that are not one compare of a value with a constant."""
    if code == KNOWN:
        return wanted & (known ^ invert)
    if code == COVERS_EMPTY:
        return wanted & ((known & covers(address, constant)) ^ invert)
    if code == IN_FEW:
        return wanted & known & (in_few(call, address, constant, b) ^ invert)
    if code == IN_MANY:
        return wanted & known & (in_many(call, address, constant, b, wanted & known) ^ invert)
    other = need(call, transitions, b, word, wanted)
    known &= load_i64(known_address(call, b, word))
    return wanted & known & (lane_bits(code, address, other) ^ invert)


@routine
def combine(call: int, at: int, words: int) -> int:
    """Run one condition on conditions; return whether any bit came out."""
    code = load_i64(at)
    bits = field(call, BITS)
    target = bits + load_i64(at + 8) * BITS_BYTES
    a, b = bits + load_i64(at + 24) * BITS_BYTES, bits + load_i64(at + 32) * BITS_BYTES
    any_found = 0
    for word in range(words):
        left, right = load_i64(a + word * 8), load_i64(b + word * 8)
        if code == AND:
            found = left & right
        elif code == OR:
            found = left | right
        else:
            found = left & ~right
        store_i64(target + word * 8, found)
        any_found |= found
    return any_found
