"""Run a program over the columns of a batch: every condition of a book in one call, without the interpreter lock.

How:

1. Rows are taken type by type, in blocks of 1,024. Each type has its own instructions.
2. An instruction makes a condition (`conditions`: one bit a row), a value (`values`: 64 bits a row) or an answer, or
   keeps a value in a row of its own beside the features.
3. An instruction looks only at the words (64 rows) in which its selection has a bit, so `a and b` pays for b where a
   held. Where nothing is left, it jumps to the end of the expression.
4. Columns are gathered into value registers word by word, when first read (`columns`).

Values have their unknowns beside them: one known bit a row. What operations mean is said in `rules.expressions.tree`.
Nothing here is compiled for a book: a book is data. All addresses come from `rules.expressions.run`.

An instruction is eight int64: opcode, target, selection, two sources, a constant, an inversion (0 or -1), and where to
go when nothing is left (0: on to the next). Bit register 0 is "every row of the block".
"""

import numpy as np
from numpy.typing import NDArray

from rules.expressions.columns import ALL
from rules.expressions.conditions import combine, condition
from rules.expressions.layout import (
    BITS,
    BITS_BYTES,
    BLOCK,
    BLOCK_COLUMNS,
    BLOCK_ROWS,
    CODE,
    CODE_STARTS,
    COLUMN_BYTES,
    COLUMN_COUNT,
    COLUMN_STARTS,
    COLUMNS,
    HIT_EXPRS,
    HIT_ROWS,
    HITS,
    HITS_MAX,
    INSTRUCTION_BYTES,
    LOADED,
    MASK_BASE,
    MASK_STRIDE,
    ROW_COUNT,
    ROW_TYPES,
    ROWS,
    TYPES,
    VALUE_REGISTERS,
    field,
)
from rules.expressions.opcodes import ANSWER, COMBINE, COMPARE, KEEP, MASK, PAIR, PLACE_BITS, TEST
from rules.expressions.rows import rows_of_type
from rules.expressions.values import keep, value
from state.jit import kernel, routine
from state.raw import load_i32, load_i64, store_i32, store_i64, store_u8, trailing_zeros

__all__ = ["run"]


@routine
def emit(call: int, at: int, words: int) -> None:
    """Write the rows of a bit register to the hits, or to a mask."""
    expr = load_i64(at + 40)
    bits = field(call, BITS) + load_i64(at + 24) * BITS_BYTES
    rows = field(call, BLOCK_ROWS)
    to_mask = load_i64(at) == MASK
    mask = field(call, MASK_BASE) + expr * field(call, MASK_STRIDE)
    hit_rows, hit_exprs, room = field(call, HIT_ROWS), field(call, HIT_EXPRS), field(call, HITS_MAX)
    hits = field(call, HITS)
    for word in range(words):
        left = load_i64(bits + word * 8)
        while left != 0:
            row = load_i64(rows + (word * 64 + trailing_zeros(left)) * 8)
            left &= left - 1
            if to_mask:
                store_u8(mask + row, 1)
            else:
                if hits < room:
                    store_i32(hit_rows + hits * 4, row)
                    store_i32(hit_exprs + hits * 4, expr)
                hits += 1
    store_i64(call + 8 * HITS, hits)


@routine
def begin_block(call: int, first: int, count: int) -> int:
    """Copy the rows of a block (the last one repeated to fill a word), mark what is loaded; return its words."""
    words = (count + 63) >> 6
    rows, block_rows = field(call, ROWS), field(call, BLOCK_ROWS)
    for at in range(words * 64):
        store_i64(block_rows + at * 8, load_i32(rows + (first + min(at, count - 1)) * 4))
    every = field(call, BITS)
    for word in range(words):
        store_i64(every + word * 8, ALL)
    if count & 63 != 0:
        store_i64(every + (words - 1) * 8, (1 << (count & 63)) - 1)
    loaded, columns = field(call, LOADED), field(call, COLUMN_COUNT)
    for register in range(field(call, VALUE_REGISTERS)):
        store_i64(loaded + register * 8, 0 if register < columns else ALL)
    return words


@routine
def run_block(call: int, transitions: NDArray[np.int64], start: int, end: int, words: int) -> None:
    """Run the instructions from `start` to `end` over one block."""
    code = field(call, CODE)
    at = start
    while at < end:
        instruction = code + at * INSTRUCTION_BYTES
        family = load_i64(instruction) >> PLACE_BITS
        at += 1
        left = ALL
        if family in (COMPARE, PAIR, TEST):
            left = condition(call, transitions, instruction, words)
        elif family == COMBINE:
            left = combine(call, instruction, words)
        elif family == ANSWER:
            emit(call, instruction, words)
        elif family == KEEP:
            keep(call, transitions, instruction, words)
        else:
            value(call, transitions, instruction, words)
        if left == 0:
            escape = load_i64(instruction + 56)
            if escape != 0:
                at = escape


@kernel
def run(call: int, transitions: NDArray[np.int64]) -> int:
    """Run a program; return how many hits there are, which may be more than there was room for."""
    store_i64(call + 8 * HITS, 0)
    for code in range(field(call, TYPES)):
        start = load_i64(field(call, CODE_STARTS) + code * 8)
        end = load_i64(field(call, CODE_STARTS) + code * 8 + 8)
        if start == end:
            continue
        rows = rows_of_type(field(call, ROW_TYPES), field(call, ROW_COUNT), code, field(call, ROWS))
        first_column = load_i64(field(call, COLUMN_STARTS) + code * 8)
        columns = load_i64(field(call, COLUMN_STARTS) + code * 8 + 8) - first_column
        store_i64(call + 8 * BLOCK_COLUMNS, field(call, COLUMNS) + first_column * COLUMN_BYTES)
        store_i64(call + 8 * COLUMN_COUNT, columns)
        for first in range(0, rows, BLOCK):
            words = begin_block(call, first, min(rows - first, BLOCK))
            run_block(call, transitions, start, end, words)
    return field(call, HITS)
