"""Instructions that make a value of values (arithmetic, functions, `default`, a condition as a value), or keep one."""

import numpy as np
from numpy.typing import NDArray

from rules.expressions.arithmetic import float_lanes, int_lanes, local_lanes
from rules.expressions.choices import value_of_one
from rules.expressions.columns import need
from rules.expressions.lanes import choose_lanes
from rules.expressions.layout import (
    BITS,
    BITS_BYTES,
    BLOCK_ROWS,
    OUT_BASE,
    OUT_KNOWN_BASE,
    OUT_KNOWN_STRIDE,
    OUT_STRIDE,
    WORD_BYTES,
    field,
    known_address,
    value_address,
)
from rules.expressions.opcodes import CHOOSE, DEFAULT, FLOATS, LOCAL, PLACE_BITS, TEXTS, TRUTH
from state.jit import routine
from state.raw import load_i64, store_i64, store_u8, trailing_zeros


@routine
def value(call: int, transitions: NDArray[np.int64], at: int, words: int) -> None:
    """Run one instruction that makes a value, over the words that its selection names."""
    code = load_i64(at)
    family = code >> PLACE_BITS
    register = load_i64(at + 8)
    selection = field(call, BITS) + load_i64(at + 16) * BITS_BYTES
    a, b = load_i64(at + 24), load_i64(at + 32)
    for word in range(words):
        wanted = load_i64(selection + word * 8)
        if wanted == 0:
            continue
        target = value_address(call, register, word)
        if code == TRUTH:
            known = truth_lanes(call, a, b, word, target)
        elif family == TEXTS or (family == CHOOSE and code != DEFAULT):
            known = value_of_one(call, transitions, at, a, word, wanted, target)
        else:
            x, y = need(call, transitions, a, word, wanted), need(call, transitions, b, word, wanted)
            left = load_i64(known_address(call, a, word))
            right = load_i64(known_address(call, b, word))
            known = left & right
            if code == DEFAULT:
                choose_lanes(left, x, y, target)
                known = left | right
            elif family == LOCAL:
                known &= local_lanes(code, x, target, transitions)
            elif family == FLOATS:
                known &= float_lanes(code, x, y, target, wanted)
            else:
                known &= int_lanes(code, x, y, target, wanted)
        store_i64(known_address(call, register, word), known)


@routine
def keep(call: int, transitions: NDArray[np.int64], at: int, words: int) -> None:
    """Write a value of every row of the block to its row of the features' columns; an unknown one reads 0."""
    register, place = load_i64(at + 24), load_i64(at + 40)
    out = field(call, OUT_BASE) + place * field(call, OUT_STRIDE)
    out_known = field(call, OUT_KNOWN_BASE) + place * field(call, OUT_KNOWN_STRIDE)
    every = field(call, BITS)
    for word in range(words):
        left = load_i64(every + word * 8)
        values = need(call, transitions, register, word, left)
        known = load_i64(known_address(call, register, word))
        rows = field(call, BLOCK_ROWS) + word * WORD_BYTES
        while left != 0:
            lane = trailing_zeros(left)
            left &= left - 1
            row = load_i64(rows + lane * 8)
            is_known = (known >> lane) & 1
            store_i64(out + row * 8, load_i64(values + lane * 8) if is_known != 0 else 0)
            store_u8(out_known + row, is_known)


@routine
def truth_lanes(call: int, true: int, false: int, word: int, target: int) -> int:
    """A condition as a value: 1 where its bits are true, 0 where its opposite's are; return the bits of both."""
    bits = field(call, BITS)
    yes = load_i64(bits + true * BITS_BYTES + word * 8)
    no = load_i64(bits + false * BITS_BYTES + word * 8)
    for lane in range(64):
        store_i64(target + lane * 8, (yes >> lane) & 1)
    return yes | no
