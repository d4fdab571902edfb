"""The layout of one run of the kernel: the numbers and addresses that it gets, its columns and its registers.

All is int64 at raw addresses, because handing arrays from function to function costs a kernel more than the work itself
(see `state.raw`). `rules.expressions.run` writes the call and checks every array whose address it writes; only kernels
read it. A *block* is up to 1,024 rows of one event type, a *word* 64 of them; a value register has 64 bits and one
known bit for each row of a block.
"""

from state.jit import routine
from state.raw import load_i64

BLOCK = 1024
"""Rows that one pass over the instructions looks at."""
WORDS = BLOCK // 64

FIELDS = 8
"""Numbers in an instruction."""

# Columns: value registers that are filled word by word when first read; four int64 each: the source, its index, whether
# it is a float, the register of `present`. The index of a CONSTANT is its value, that of LOCAL_AT the opcode of a
# function of local time, which is applied to the time of the event.
COLUMN_FIELDS = 4
CELL, FEATURE, PRESENT, AT, LOGGED, CONSTANT, LOCAL_AT = range(7)

# The call: int64 numbers and addresses that one run of the kernel gets, in this order
(
    CODE,  # instructions
    CODE_STARTS,  # per type: where its instructions start; one more entry than types
    COLUMNS,  # columns
    COLUMN_STARTS,  # per type: where its columns start; one more entry than types
    SETS,  # constants of IN_FEW, BAND and TEXT, tables of IN_MANY and LOOKUP
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
    TEXTS_HELD,  # what the texts of rows say: see `text_lanes`
) = range(34)
CALL_FIELDS = 34

BITS_BYTES = WORDS * 8
VALUE_BYTES = BLOCK * 8
INSTRUCTION_BYTES = FIELDS * 8
COLUMN_BYTES = COLUMN_FIELDS * 8
WORD_BYTES = 64 * 8


@routine
def field(call: int, number: int) -> int:
    """Read one number of the call."""
    return load_i64(call + 8 * number)


@routine
def value_address(call: int, register: int, word: int) -> int:
    """Where a word of a value register stands."""
    return field(call, VALUES) + register * VALUE_BYTES + word * WORD_BYTES


@routine
def known_address(call: int, register: int, word: int) -> int:
    """Where the known bits of a word stand."""
    return field(call, KNOWNS) + register * BITS_BYTES + word * 8
