"""Where things lie in the tables that Python fills and the kernels read.

Three kinds of block, each a run of int64 words, addressed in bytes:

- the *context*: one a scanner, what a call needs and what a row gathers while it is scanned;
- a *state*: one an event type, and one for "type not known yet";
- an *entry*: one a key that may come in a state, and what to do with its value.

Only numbers stand here, so that every module of the scanner agrees on them.
"""

# Context: what a call is given.
AT, END, BASE, ROW = 0, 8, 16, 24
START_STATE, TYPES, TYPES_MASK, LINE_BYTES_MAX = 32, 40, 48, 56
OUT_SUBSCRIBER, OUT_AT, OUT_TYPE, OUT_ID = 64, 72, 80, 88
OUT_PRESENT, OUT_CELLS, OUT_OFFSETS, OUT_OK = 96, 104, 112, 120
STRIDE, AT_MS_MIN, AT_MS_MAX, TIME_FORMAT, HAS_OFFSET, OFFSET_MS = 128, 136, 144, 152, 160, 168
KNOWN, KNOWN_MASK, KNOWN_COUNT, FRESH, FRESH_COUNT = 176, 184, 192, 200, 208
STRANGE, STRANGE_COUNT, MISSES, REFUSED = 216, 224, 232, 240
HEADS_NEEDED = 248
# Context: what is remembered from row to row.
DATE_A, DATE_B, DATE_MS, ZONE, ZONE_MS = 264, 272, 280, 288, 296  # DATE: to the minute (ISO) or the day (compact)
# Context: what a row gathers.
STATE, SEEN, NULLS, HEADS, CELL, R_SUBSCRIBER, R_AT, R_ID, TYPE_AHEAD = 304, 312, 320, 328, 336, 344, 352, 360, 368
# Context: delimited lines.
DELIMITER, COLUMNS, PIECES, SET_DELIMITER, TYPE_COLUMN = 376, 384, 392, 400, 432
# Context: bit maps of a chunk's bytes, see `scan.maps`.
SPECIAL, HIGH, ANY_HIGH = 408, 416, 424
# Context: texts met last, a ring: hash, address, length and a spare word each; the place of the oldest.
MET_OLDEST, MET = 440, 448
MET_BYTES = 16 * 32
# Context: the number plan. Bit n of NATIONAL_DIGITS: numbers of n digits are looked up in the table at NATIONAL.
NATIONAL_DIGITS, NATIONAL = MET + MET_BYTES, MET + MET_BYTES + 8
# Context: hashes of the texts that mean "no value", a set as that of a field; 0 where there are none.
NULL_WORDS = MET + MET_BYTES + 16
# Context: the table of a zone (`zones.offset_table`), and from and to when OFFSET_MS holds, by local time.
ZONE_TABLE, ZONE_ROWS, OFFSET_FROM, OFFSET_TO = (MET + MET_BYTES + 24 + 8 * n for n in range(4))
# Context: the steps of a time's pattern, and what they read: year, month, day, hour, minute, second, milliseconds.
PATTERN, PATTERN_STEPS, PART = (MET + MET_BYTES + 56 + 8 * n for n in range(3))
PARTS = 7
# Context: the column of the date where it has one of its own, else -1; the byte between date and time, else 0; room to
# write them as one text.
DATE_COLUMN, DATE_GAP, JOINED = (PART + 8 * (PARTS + n) for n in range(3))
JOINED_BYTES = 64
# Context: whether a JSON text may write a number or a bool.
NUMBERS_IN_QUOTES = JOINED + JOINED_BYTES + 64
# Context: derived fields. How many inputs a JSON line may have; the arena that they are written into: where the next
# one begins, its end, and behind which place a call ends.
INPUTS, ARENA_AT, ARENA_END, ARENA_STOP = (NUMBERS_IN_QUOTES + 8 + 8 * n for n in range(4))
ARENA_BYTES, ARENA_SLACK = 1 << 20, 80
CONTEXT_WORDS = ARENA_STOP // 8 + 1

# A template: how many parts, then each. A part: the place of its input's piece or one of these, else the text that
# stands for itself; whether letters become small; steps: from the end or not, letters to pass over, letters to keep.
P_TEXT, P_MISSING = -1, -2
P_PIECE, P_ADDRESS, P_LENGTH, P_LOWER, P_STEPS_COUNT, P_STEPS = range(0, 48, 8)
P_STEP_BYTES = 24
P_BYTES = P_STEPS + 4 * P_STEP_BYTES
FROM_START, FROM_END = 0, 1

# Table of the number plan: what is added to a national number of n digits, then a byte for each n and two first digits.
N_LEADS, N_WORDS = 16 * 8, 16 + 16 * 100 // 8
N_INTERNATIONAL, N_NATIONAL, N_UNSURE = range(3)

# A step of a pattern: the number of the part it reads or one of these, then its letter or its fewest and most digits.
STEP_FRACTION, STEP_SHORT_YEAR, STEP_ZONE, STEP_LETTER = range(6, 10)
STEP_BYTES = 24
NO_TIME = -1 << 62

# State.
S_CODE, S_REQUIRED, S_START, S_UNKNOWN, S_TYPE, S_KEYS, S_KEYS_MASK, S_SLOTS = 0, 8, 16, 24, 32, 40, 48, 56
S_COLUMNS, S_COLUMNS_COUNT = 64, 72
S_MADE, S_MADE_COUNT = 80, 88  # entries of derived fields, each before its template
STATE_WORDS = 12

# Entry.
# How the key was last written, spaces around it included: its first 16 bytes and which of them count, length and tail.
# Its name. What to do with its value.
E_WORDS, E_MASKS, E_LENGTH, E_ACTION, E_NEXT, E_SLOT, E_BIT, E_TAIL, E_SET, E_COLUMN, E_NAME, E_NAME_LENGTH, E_INPUT = (
    0,
    16,
    32,
    40,
    48,
    56,
    64,
    72,
    80,
    88,
    96,
    104,
    112,
)  # fmt: skip  E_INPUT: 1 + the place of its piece, where a derived field is made of it
ENTRY_WORDS = 15

# Actions: the kinds of field as in `state.schema.Kind`, then the heads, then what is read past, then the name of a
# derived field, which no line may have.
INT, FLOAT, BOOL, STRING, TIME, SET = range(6)
A_TYPE, A_SUBSCRIBER, A_TIME, A_ID, A_SKIP, A_DERIVED = range(6, 12)
HEAD_TYPE, HEAD_SUBSCRIBER, HEAD_TIME, HEAD_ID = 1, 2, 4, 8

ISO8601, COMPACT, EPOCH_MS, EPOCH_S, PATTERN_FORMAT = range(5)
NO_OFFSET, FIXED_OFFSET, ZONE_OFFSET = range(3)

FRESH_MAX = 4096
"""Texts of one call that may be new; a call ends early when they are nearly used up."""
FRESH_ROW_MAX = 128
"""Texts that one row, and the ring of those met last, can add at most."""
STRANGE_MAX = 64
"""Keys that the book does not know which one call reports."""
