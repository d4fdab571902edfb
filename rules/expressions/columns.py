"""Columns of a batch as value registers: gathered for the rows of a block, word by word, when first read.

A word that is wanted for a few rows gives only these. For more it is filled whole, once for all expressions of the
type. All addresses come from the call (see `layout`).
"""

import numpy as np
from numpy.typing import NDArray

from rules.expressions.arithmetic import local_lanes
from rules.expressions.lanes import INFINITE, covers
from rules.expressions.layout import (
    AT,
    AT_MS,
    BLOCK_COLUMNS,
    BLOCK_ROWS,
    CELL,
    CELL_BASE,
    CELL_STRIDE,
    COLUMN_BYTES,
    COLUMN_COUNT,
    FEATURE,
    LOADED,
    LOCAL_AT,
    LOGGED,
    LOGGED_MS,
    OUT_BASE,
    OUT_KNOWN_BASE,
    OUT_KNOWN_STRIDE,
    OUT_STRIDE,
    PRESENT_BASE,
    SPARE,
    WORD_BYTES,
    field,
    known_address,
    value_address,
)
from state.jit import routine
from state.raw import equal_mask64, load_i64, load_u8, ones, store_i64, store_u8, trailing_zeros

ALL = -1
"""Every bit of a word."""
FEW_MAX = 8
"""Rows of a word up to which a column gives only what is wanted."""


@routine
def gather(base: int, rows: int, target: int) -> None:
    """Copy 64 values of a column, chosen by rows, to a word."""
    for lane in range(64):
        store_i64(target + lane * 8, load_i64(base + load_i64(rows + lane * 8) * 8))


@routine
def gather_known(call: int, base: int, rows: int) -> int:
    """Collect 64 bytes of a known column, chosen by rows, as bits."""
    spare = field(call, SPARE)
    for lane in range(64):
        store_u8(spare + lane, load_u8(base + load_i64(rows + lane * 8)))
    return ~equal_mask64(spare, 0)


@routine
def present_word(call: int, register: int, rows: int, word: int) -> int:
    """Return the address of a word of `present`, gathered first if it is the first to be needed."""
    mark = field(call, LOADED) + register * 8
    loaded = load_i64(mark)
    target = value_address(call, register, word)
    if (loaded >> word) & 1 == 0:
        store_i64(mark, loaded | (1 << word))
        gather(field(call, PRESENT_BASE), rows, target)
    return target


@routine
def fill(call: int, transitions: NDArray[np.int64], register: int, word: int) -> None:
    """Fill one word of a column, and its known bits."""
    column = field(call, BLOCK_COLUMNS) + register * COLUMN_BYTES
    source, index = load_i64(column), load_i64(column + 8)
    target = value_address(call, register, word)
    rows = field(call, BLOCK_ROWS) + word * WORD_BYTES
    known = ALL
    if source == CELL:
        gather(field(call, CELL_BASE) + index * field(call, CELL_STRIDE), rows, target)
        known = covers(present_word(call, load_i64(column + 24), rows, word), 1 << index)
    elif source == FEATURE:
        gather(field(call, OUT_BASE) + index * field(call, OUT_STRIDE), rows, target)
        base = field(call, OUT_KNOWN_BASE) + index * field(call, OUT_KNOWN_STRIDE)
        known = gather_known(call, base, rows)
    elif source == AT:
        gather(field(call, AT_MS), rows, target)
    elif source == LOCAL_AT:
        gather(field(call, AT_MS), rows, target)
        known = local_lanes(index, target, target, transitions)
    else:
        constant = field(call, LOGGED_MS) if source == LOGGED else index
        for lane in range(64):
            store_i64(target + lane * 8, constant)
    if load_i64(column + 16) != 0:
        known &= ~covers(target, INFINITE)
    store_i64(known_address(call, register, word), known)


@routine
def column_addresses(call: int, column: int) -> tuple[int, int]:
    """Where the values of a cell or feature stand, and what says whether they are known."""
    index = load_i64(column + 8)
    if load_i64(column) == CELL:
        return field(call, CELL_BASE) + index * field(call, CELL_STRIDE), field(call, PRESENT_BASE)
    return (
        field(call, OUT_BASE) + index * field(call, OUT_STRIDE),
        field(call, OUT_KNOWN_BASE) + index * field(call, OUT_KNOWN_STRIDE),
    )


@routine
def fill_lanes(call: int, register: int, word: int, wanted: int) -> None:
    """Fill the wanted lanes of one word of a column, and their known bits; the other lanes hold anything."""
    column = field(call, BLOCK_COLUMNS) + register * COLUMN_BYTES
    index, floats = load_i64(column + 8), load_i64(column + 16) != 0
    is_cell = load_i64(column) == CELL
    base, known_base = column_addresses(call, column)
    target = value_address(call, register, word)
    rows = field(call, BLOCK_ROWS) + word * WORD_BYTES
    found = 0
    left = wanted
    while left != 0:
        lane = trailing_zeros(left)
        left &= left - 1
        row = load_i64(rows + lane * 8)
        value = load_i64(base + row * 8)
        known = (load_i64(known_base + row * 8) >> index) & 1 if is_cell else load_u8(known_base + row) != 0
        if floats and value & INFINITE == INFINITE:
            known = False
        store_i64(target + lane * 8, value)
        found |= (1 if known else 0) << lane
    store_i64(known_address(call, register, word), found)


@routine
def need(call: int, transitions: NDArray[np.int64], register: int, word: int, wanted: int) -> int:
    """Return the address of a word of a value register, of which the wanted lanes are filled at least.

    A column whose word is wanted for few rows gives only these; for more it is filled once for all that come after.
    """
    mark = field(call, LOADED) + register * 8
    loaded = load_i64(mark)
    if (loaded >> word) & 1 == 0:
        column = field(call, BLOCK_COLUMNS) + register * COLUMN_BYTES
        if load_i64(column) <= FEATURE and ones(wanted) <= FEW_MAX:
            fill_lanes(call, register, word, wanted)
        else:
            store_i64(mark, loaded | (1 << word))
            fill(call, transitions, register, word)
    return value_address(call, register, word)


@routine
def is_gathered(call: int, register: int) -> bool:
    """Whether a value register is a cell or a feature: what is read straight from the batch."""
    if register >= field(call, COLUMN_COUNT):
        return False
    return load_i64(field(call, BLOCK_COLUMNS) + register * COLUMN_BYTES) <= FEATURE
