"""Instructions that make a value of values: arithmetic, functions, `default`, and a condition as a value."""

import numpy as np
from numpy.typing import NDArray

from rules.expressions.arithmetic import float_lanes, int_lanes, local_lanes
from rules.expressions.columns import need
from rules.expressions.lanes import choose_lanes
from rules.expressions.layout import BITS, BITS_BYTES, field, known_address, value_address
from rules.expressions.opcodes import DEFAULT, FLOATS, LOCAL, PLACE_BITS, TRUTH
from state.jit import routine
from state.raw import load_i64, store_i64


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
def truth_lanes(call: int, true: int, false: int, word: int, target: int) -> int:
    """A condition as a value: 1 where its bits are true, 0 where its opposite's are; return the bits of both."""
    bits = field(call, BITS)
    yes = load_i64(bits + true * BITS_BYTES + word * 8)
    no = load_i64(bits + false * BITS_BYTES + word * 8)
    for lane in range(64):
        store_i64(target + lane * 8, (yes >> lane) & 1)
    return yes | no
