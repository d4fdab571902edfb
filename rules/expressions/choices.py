"""Values chosen for a value: the band of a number, what a table says of a key, a value where a condition holds.

The constants stand in SETS (`constants`). All addresses come from the call (see `layout`).
"""

import numpy as np
from numpy.typing import NDArray

from rules.expressions.columns import need
from rules.expressions.conditions import HASH_FACTOR
from rules.expressions.lanes import choose_lanes
from rules.expressions.layout import BITS, BITS_BYTES, SETS, field, known_address
from rules.expressions.opcodes import FLOAT_BAND, LOOKUP, ONLY, TEXT
from rules.expressions.text_lanes import text_lanes
from state.jit import kernel, routine
from state.raw import float_of_bits, load_i64, shift_right, store_i64, trailing_zeros

ALL = -1


@kernel
def index_keys(keys: NDArray[np.int64], index: NDArray[np.int64]) -> None:
    """Enter different keys into `index`: a shift, then 2**(64 - shift) pairs, a key and its row plus 1, 0 for free."""
    shift = index[0]
    mask = (1 << (64 - shift)) - 1
    for row in range(keys.shape[0]):
        place = shift_right(keys[row] * HASH_FACTOR, shift)
        while index[2 + 2 * place] != 0:
            place = (place + 1) & mask
        index[1 + 2 * place] = keys[row]
        index[2 + 2 * place] = row + 1


@routine
def look_up(index: int, cells: int, x: int, target: int, wanted: int) -> int:
    """What a column says of the keys in the wanted lanes; return the bits of those of which it says something.

    `index` is the address of what `index_keys` made, `cells` of a cell and whether it is known for each row.
    """
    shift = load_i64(index)
    mask = (1 << (64 - shift)) - 1
    good = 0
    left = wanted
    while left != 0:
        lane = trailing_zeros(left)
        left &= left - 1
        key = load_i64(x + lane * 8)
        place = shift_right(key * HASH_FACTOR, shift)
        row = load_i64(index + 16 + place * 16)
        while row != 0 and load_i64(index + 8 + place * 16) != key:
            place = (place + 1) & mask
            row = load_i64(index + 16 + place * 16)
        if row != 0:
            store_i64(target + lane * 8, load_i64(cells + (row - 1) * 16))
            good |= load_i64(cells + (row - 1) * 16 + 8) << lane
    return good


@routine
def band_lanes(edges: int, count: int, x: int, target: int, wanted: int, floats: bool) -> None:
    """How many of the rising edges the numbers in the wanted lanes have reached."""
    left = wanted
    while left != 0:
        lane = trailing_zeros(left)
        left &= left - 1
        number = load_i64(x + lane * 8)
        band = 0
        for at in range(count):
            edge = load_i64(edges + at * 8)
            if floats:
                band += 1 if float_of_bits(number) >= float_of_bits(edge) else 0
            else:
                band += 1 if number >= edge else 0
        store_i64(target + lane * 8, band)


@routine
def value_of_one(
    call: int, transitions: NDArray[np.int64], at: int, register: int, word: int, wanted: int, target: int
) -> int:
    """Run an instruction that makes a value of one value and constants, over one word; return its known bits."""
    code, b = load_i64(at), load_i64(at + 32)
    sets = field(call, SETS)
    start = sets + load_i64(at + 40) * 8
    x = need(call, transitions, register, word, wanted)
    known = load_i64(known_address(call, register, word))
    if code == ONLY:
        choose_lanes(ALL, x, x, target)
        return known & load_i64(field(call, BITS) + b * BITS_BYTES + word * 8)
    if code == LOOKUP:
        return known & look_up(start, sets + b * 8, x, target, wanted & known)
    if code == TEXT:
        return known & text_lanes(call, start, x, target, wanted & known)
    band_lanes(start, b, x, target, wanted & known, code == FLOAT_BAND)
    return known
