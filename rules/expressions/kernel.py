"""Run a program over the columns of a batch: every condition of a book in one call, without the interpreter lock.

How:

1. Rows are taken type by type, in blocks of 1,024. Each type has its own instructions.
2. A condition is a bit register: bit i says that row i of the block is *true*. There is none for false or unknown:
   `program` has pushed every `not` down to the comparisons, and a comparison with an unknown sets no bit either way.
3. An instruction looks only at the words (64 rows) in which its selection has a bit, so `a and b` pays for b where a
   held; where nothing is left, it jumps to the end of the expression.
4. Columns are gathered into value registers word by word, when first read, once for all expressions of the type.

Values know their unknowns: one bit a row. What operations mean stands in `rules.expressions.tree`. Nothing here is
compiled for a book: a book is data. All addresses come from `rules.expressions.program`.

An instruction is eight int64: opcode, target, selection, two sources, a constant, an inversion (0 or -1), and where to
go when nothing is left (0: on to the next). Bit register 0 is "every row of the block".
"""

import numpy as np
from numpy.typing import NDArray

from rules.expressions.lanes import (
    COVERS,
    EQ,
    FADD,
    FEQ,
    FLT,
    FLT_PAIR,
    INFINITE,
    LT,
    choose_lanes,
    covers,
    equal,
    float_lanes,
    int_lanes,
    lane_bits,
)
from rules.expressions.rows import rows_of_type
from state.jit import kernel
from state.raw import (
    equal_mask64,
    float_of_bits,
    load_i32,
    load_i64,
    load_u8,
    ones,
    shift_right,
    store_i32,
    store_i64,
    store_u8,
    trailing_zeros,
)
from state.zone import local_hour, local_weekday

__all__ = ["HASH_FACTOR", "run"]

ALL = -1
TIME_MAX = 1 << 62
"""Beyond this a time has no hour: its local time might leave 64 bits."""
HASH_FACTOR = -0x61C8864680B583EB
"""Spreads members over a table of IN_MANY."""

BLOCK = 1024
"""Rows that one pass over the instructions looks at."""
WORDS = BLOCK // 64

FEW_MAX = 8
"""Rows of a word up to which a column gives only what is wanted."""

FIELDS = 8
"""Numbers in an instruction."""

# Opcodes beside those of `lanes`: conditions on a value,
COVERS_EMPTY, KNOWN, IN_FEW, IN_MANY = range(7, 11)
# conditions made of conditions,
AND, OR, AND_NOT = range(15, 18)
# answers: the rows of a condition as hits, or in a mask,
HIT, MASK = range(18, 20)
# values made of values.
DEFAULT, HOUR, WEEKDAY, TRUTH = range(38, 42)

# Columns: value registers that are filled word by word when first read; four int64 each (source, index, float, present)
COLUMN_FIELDS = 4
CELL, FEATURE, PRESENT, AT, LOGGED, CONSTANT, HOUR_AT, WEEKDAY_AT = range(8)

# The call: int64 numbers and addresses that one run of the kernel gets, in this order
(
    CODE,  # instructions
    CODE_STARTS,  # per type: where its instructions start; one more entry than types
    COLUMNS,  # columns
    COLUMN_STARTS,  # per type: where its columns start; one more entry than types
    SETS,  # constants of IN_FEW, tables of IN_MANY
    TYPES,  # how many types
    VALUE_REGISTERS,  # how many
    ROWS,  # int32, the rows of the type under way
    ROW_TYPES,  # uint8 per row; `run` packs the eleven fields from here on at once
    ROW_COUNT,  # how many rows
    AT_MS,  # int64 per row
    LOGGED_MS,  # the frame's append time
    PRESENT_BASE,  # int64 per row
    CELL_BASE,  # int64[width, n]
    CELL_STRIDE,  # bytes between two slots
    OUT_BASE,  # int64[features, n]
    OUT_STRIDE,  # bytes between two features
    OUT_KNOWN_BASE,  # uint8[features, n]
    OUT_KNOWN_STRIDE,  # bytes between two features
    HIT_ROWS,  # int32, one a hit
    HIT_EXPRS,  # int32, one a hit
    HITS_MAX,  # room for hits
    MASK_BASE,  # uint8[exprs, n]
    MASK_STRIDE,  # bytes between two masks
    BITS,  # bit registers
    VALUES,  # value registers
    KNOWNS,  # their known bits
    LOADED,  # per value register: which words are filled
    BLOCK_ROWS,  # int64[BLOCK], the rows of the block
    SPARE,  # 64 bytes
    BLOCK_COLUMNS,  # the columns of the type under way
    COLUMN_COUNT,  # how many these are
    HITS,  # hits so far
) = range(33)
CALL_FIELDS = 33

_BITS_BYTES = WORDS * 8
_VALUE_BYTES = BLOCK * 8
_INSTRUCTION_BYTES = FIELDS * 8
_COLUMN_BYTES = COLUMN_FIELDS * 8
_WORD_BYTES = 64 * 8


@kernel
def field(call: int, number: int) -> int:
    """Read one number of the call."""
    return load_i64(call + 8 * number)


@kernel
def value_address(call: int, register: int, word: int) -> int:
    """Where a word of a value register stands."""
    return field(call, VALUES) + register * _VALUE_BYTES + word * _WORD_BYTES


@kernel
def known_address(call: int, register: int, word: int) -> int:
    """Where the known bits of a word stand."""
    return field(call, KNOWNS) + register * _BITS_BYTES + word * 8


@kernel
def gather(base: int, rows: int, target: int) -> None:
    """Copy 64 values of a column, chosen by rows, to a word."""
    for lane in range(64):
        store_i64(target + lane * 8, load_i64(base + load_i64(rows + lane * 8) * 8))


@kernel
def gather_known(call: int, base: int, rows: int) -> int:
    """Collect 64 bytes of a known column, chosen by rows, as bits."""
    spare = field(call, SPARE)
    for lane in range(64):
        store_u8(spare + lane, load_u8(base + load_i64(rows + lane * 8)))
    return ~equal_mask64(spare, 0)


@kernel
def time_lanes(hours: int, times: int, target: int, transitions: NDArray[np.int64]) -> int:
    """Local hours (or weekdays, Monday 1) of a word of times; return the bits of those that have one."""
    good = 0
    for lane in range(64):
        at = load_i64(times + lane * 8)
        if -TIME_MAX < at < TIME_MAX:
            good |= 1 << lane
            value = local_hour(at, transitions) if hours else local_weekday(at, transitions) + 1
            store_i64(target + lane * 8, value)
    return good


@kernel
def present_word(call: int, register: int, rows: int, word: int) -> int:
    """Return the address of a word of `present`, gathered first if nobody has needed it yet."""
    mark = field(call, LOADED) + register * 8
    loaded = load_i64(mark)
    target = value_address(call, register, word)
    if (loaded >> word) & 1 == 0:
        store_i64(mark, loaded | (1 << word))
        gather(field(call, PRESENT_BASE), rows, target)
    return target


@kernel
def fill(call: int, transitions: NDArray[np.int64], register: int, word: int) -> None:
    """Fill one word of a column, and its known bits."""
    column = field(call, BLOCK_COLUMNS) + register * _COLUMN_BYTES
    source, index = load_i64(column), load_i64(column + 8)
    target = value_address(call, register, word)
    rows = field(call, BLOCK_ROWS) + word * _WORD_BYTES
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
    elif source >= HOUR_AT:
        gather(field(call, AT_MS), rows, target)
        known = time_lanes(source == HOUR_AT, target, target, transitions)
    else:
        constant = field(call, LOGGED_MS) if source == LOGGED else index
        for lane in range(64):
            store_i64(target + lane * 8, constant)
    if load_i64(column + 16) != 0:
        known &= ~covers(target, INFINITE)
    store_i64(known_address(call, register, word), known)


@kernel
def few_conditions(call: int, register: int, word: int, wanted: int, code: int, constant: int, invert: int) -> int:
    """Compare the wanted lanes of a column that nobody has filled with a constant, straight from the batch.

    Four lanes at a time without a branch; a lane past the last one wanted is lane 0 and falls out at the end. `below`,
    `same` and `above` are what the comparison answers, so that one compare serves all.
    """
    column = field(call, BLOCK_COLUMNS) + register * _COLUMN_BYTES
    index, floats = load_i64(column + 8), load_i64(column + 16) != 0
    is_cell = load_i64(column) == CELL
    base, known_base = column_addresses(call, column)
    rows = field(call, BLOCK_ROWS) + word * _WORD_BYTES
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


@kernel
def column_addresses(call: int, column: int) -> tuple[int, int]:
    """Where the values of a cell or feature stand, and what says whether they are known."""
    index = load_i64(column + 8)
    if load_i64(column) == CELL:
        return field(call, CELL_BASE) + index * field(call, CELL_STRIDE), field(call, PRESENT_BASE)
    return (
        field(call, OUT_BASE) + index * field(call, OUT_STRIDE),
        field(call, OUT_KNOWN_BASE) + index * field(call, OUT_KNOWN_STRIDE),
    )


@kernel
def fill_lanes(call: int, register: int, word: int, wanted: int) -> None:
    """Fill the wanted lanes of one word of a column, and their known bits; the other lanes hold anything."""
    column = field(call, BLOCK_COLUMNS) + register * _COLUMN_BYTES
    index, floats = load_i64(column + 8), load_i64(column + 16) != 0
    is_cell = load_i64(column) == CELL
    base, known_base = column_addresses(call, column)
    target = value_address(call, register, word)
    rows = field(call, BLOCK_ROWS) + word * _WORD_BYTES
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


@kernel
def need(call: int, transitions: NDArray[np.int64], register: int, word: int, wanted: int) -> int:
    """Return the address of a word of a value register, of which the wanted lanes are filled at least.

    A column whose word is wanted for few rows gives only these; for more it is filled once for all that come after.
    """
    mark = field(call, LOADED) + register * 8
    loaded = load_i64(mark)
    if (loaded >> word) & 1 == 0:
        column = field(call, BLOCK_COLUMNS) + register * _COLUMN_BYTES
        if load_i64(column) <= FEATURE and ones(wanted) <= FEW_MAX:
            fill_lanes(call, register, word, wanted)
        else:
            store_i64(mark, loaded | (1 << word))
            fill(call, transitions, register, word)
    return value_address(call, register, word)


@kernel
def in_few(call: int, address: int, start: int, count: int) -> int:
    """Bits of the lanes that equal one of a few constants."""
    found = 0
    first = field(call, SETS) + start * 8
    for at in range(count):
        found |= equal(address, load_i64(first + at * 8))
    return found


@kernel
def in_many(call: int, address: int, start: int, shift: int, wanted: int) -> int:
    """Bits of those wanted lanes that stand in a hash table.

    The table has 2**(64 - shift) places behind its first number, which says whether 0 is a member; 0 means free.
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


@kernel
def condition(call: int, transitions: NDArray[np.int64], at: int, words: int) -> int:
    """Run one condition on values over the words that its selection names; return whether any bit came out."""
    code = load_i64(at)
    target = field(call, BITS) + load_i64(at + 8) * _BITS_BYTES
    selection = field(call, BITS) + load_i64(at + 16) * _BITS_BYTES
    a, b, constant, invert = load_i64(at + 24), load_i64(at + 32), load_i64(at + 40), load_i64(at + 48)
    values, knowns = value_address(call, a, 0), known_address(call, a, 0)
    loaded = load_i64(field(call, LOADED) + a * 8)
    may_skip = code <= COVERS and is_gathered(call, a)
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
                address = values + word * _WORD_BYTES
                if code <= COVERS:
                    found = wanted & known & (lane_bits(code, address, constant) ^ invert)
                else:
                    found = other_condition(call, transitions, code, address, known, wanted, b, constant, invert, word)
        store_i64(target + word * 8, found)
        any_found |= found
    return any_found


@kernel
def is_gathered(call: int, register: int) -> bool:
    """Whether a value register is a cell or a feature: what is read straight from the batch."""
    if register >= field(call, COLUMN_COUNT):
        return False
    return load_i64(field(call, BLOCK_COLUMNS) + register * _COLUMN_BYTES) <= FEATURE


@kernel
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


@kernel
def combine(call: int, at: int, words: int) -> int:
    """Run one condition on conditions; return whether any bit came out."""
    code = load_i64(at)
    bits = field(call, BITS)
    target = bits + load_i64(at + 8) * _BITS_BYTES
    a, b = bits + load_i64(at + 24) * _BITS_BYTES, bits + load_i64(at + 32) * _BITS_BYTES
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


@kernel
def value(call: int, transitions: NDArray[np.int64], at: int, words: int) -> None:
    """Run one instruction that makes a value, over the words that its selection names."""
    code = load_i64(at)
    register = load_i64(at + 8)
    selection = field(call, BITS) + load_i64(at + 16) * _BITS_BYTES
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
            elif HOUR <= code <= WEEKDAY:
                known &= time_lanes(code == HOUR, x, target, transitions)
            elif code >= FADD:
                known &= float_lanes(code, x, y, target, wanted)
            else:
                known &= int_lanes(code, x, y, target, wanted)
        store_i64(known_address(call, register, word), known)


@kernel
def truth_lanes(call: int, true: int, false: int, word: int, target: int) -> int:
    """A condition as a value: 1 where its bits are true, 0 where its opposite's are; return the bits of both."""
    bits = field(call, BITS)
    yes = load_i64(bits + true * _BITS_BYTES + word * 8)
    no = load_i64(bits + false * _BITS_BYTES + word * 8)
    for lane in range(64):
        store_i64(target + lane * 8, (yes >> lane) & 1)
    return yes | no


@kernel
def emit(call: int, at: int, words: int) -> None:
    """Write the rows of a bit register to the hits, or to a mask."""
    expr = load_i64(at + 40)
    bits = field(call, BITS) + load_i64(at + 24) * _BITS_BYTES
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


@kernel
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


@kernel
def run_block(call: int, transitions: NDArray[np.int64], start: int, end: int, words: int) -> None:
    """Run the instructions from `start` to `end` over one block."""
    code = field(call, CODE)
    at = start
    while at < end:
        instruction = code + at * _INSTRUCTION_BYTES
        number = load_i64(instruction)
        at += 1
        left = ALL
        if number <= FLT_PAIR:
            left = condition(call, transitions, instruction, words)
        elif number <= AND_NOT:
            left = combine(call, instruction, words)
        elif number <= MASK:
            emit(call, instruction, words)
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
        store_i64(call + 8 * BLOCK_COLUMNS, field(call, COLUMNS) + first_column * _COLUMN_BYTES)
        store_i64(call + 8 * COLUMN_COUNT, columns)
        for first in range(0, rows, BLOCK):
            words = begin_block(call, first, min(rows - first, BLOCK))
            run_block(call, transitions, start, end, words)
    return field(call, HITS)
