"""The fast scanner of flat JSON lines.

One call scans many lines. A line is walked once, key by key: the key that followed the last one in the line before is
guessed and confirmed with two masked compares of `"key":`; then its value is read by what the entry says. A line that
the scanner is not sure of, for whatever reason, is left to the strict path: its row is marked and nothing else is
said.

Rows are written where they will stay, so a chunk without odd lines is never copied. Tables are laid out in
`scan.layout`, filled in `scan.tables`. Keys are found in `scan.keys`, rows are written in `scan.rows`, new texts are
reported by `scan.texts`; here are the loop over lines and the values.
"""

import numpy as np
from numpy.typing import NDArray

from connectors.sources.scan import layout as at
from connectors.sources.scan.keys import find_key, is_key, take_type
from connectors.sources.scan.made import forget_pieces, has_room, make_fields, note_piece
from connectors.sources.scan.maps import line_end
from connectors.sources.scan.rows import (
    begin_row,
    begin_set,
    end_row,
    head,
    member_bit,
    null,
    null_word,
    put,
    refuse_row,
    row_is_whole,
)
from connectors.sources.scan.texts import look_up_rest, meet
from connectors.sources.scan.times import compact_time, epoch_time, time_text
from connectors.sources.scan.values import (
    COMMA,
    QUOTE,
    SPACE,
    bool_text,
    decimal,
    digits,
    hash_of,
    msisdn,
    skip,
    text_end,
    whole,
    whole_text,
    word_end,
)
from state.jit import kernel, part, routine
from state.raw import address_i64, address_of, load_i64, load_u8, store_i64

_LINE_END, _RETURN, _OPEN, _CLOSE, _OPEN_SET, _CLOSE_SET, _PLUS = 10, 13, 123, 125, 91, 93, 43
_SUBSCRIBER_DIGITS_MAX = 15


@kernel
def aim(
    context: NDArray[np.int64], words: NDArray[np.int64], cells: NDArray[np.int64], flags: NDArray[np.uint8],
    base: int, length: int, rows: int, at_ms_max: int,
) -> None:  # fmt: skip
    """Point a context at what is read and written in a call.

    `words` holds subscriber, time, id, present, offsets (one more than rows); `cells`, all zero, the columns of cells;
    `flags` type, then whether the scanner took the row.
    """
    c = address_i64(context)
    out = address_i64(words)
    column = rows * 8
    store_i64(c + at.AT, base)
    store_i64(c + at.END, base + length)
    store_i64(c + at.BASE, base)
    store_i64(c + at.ROW, 0)
    store_i64(c + at.OUT_SUBSCRIBER, out)
    store_i64(c + at.OUT_AT, out + column)
    store_i64(c + at.OUT_ID, out + 2 * column)
    store_i64(c + at.OUT_PRESENT, out + 3 * column)
    store_i64(c + at.OUT_OFFSETS, out + 4 * column)
    store_i64(c + at.OUT_CELLS, address_i64(cells))
    store_i64(c + at.OUT_TYPE, address_of(flags))
    store_i64(c + at.OUT_OK, address_of(flags) + rows)
    store_i64(c + at.STRIDE, column)
    store_i64(c + at.AT_MS_MAX, at_ms_max)
    store_i64(c + at.MISSES, 0)
    store_i64(c + at.REFUSED, 0)
    store_i64(c + at.STRANGE_COUNT, 0)


@kernel
def scan_json(c: int) -> int:
    """Scan lines from `AT` to `END`, row by row from `ROW`; return the next row. The context at `c` says all the rest.

    Ends early when many new texts were met: the caller takes them and calls again.
    """
    p = load_i64(c + at.AT)
    end = load_i64(c + at.END)
    row = load_i64(c + at.ROW)
    base = load_i64(c + at.BASE)
    while p < end and has_room(c):
        begin_row(c, row, p - base)
        after = line(c, p)
        if after != 0 and after - p <= load_i64(c + at.LINE_BYTES_MAX) + 1:
            p = after
            end_row(c, row)
        else:
            p = line_end(p) + 1
            refuse_row(c, row)
        row += 1
    look_up_rest(c)
    store_i64(c + at.AT, p)
    store_i64(c + at.ROW, row)
    return row


@part
def line(c: int, p: int) -> int:
    """Scan one line; return the address of the next one, or 0 where the strict path must judge."""
    if load_u8(p) != _OPEN:
        return 0
    p += 1
    inputs = load_i64(c + at.INPUTS)
    if inputs != 0:
        forget_pieces(c)
    entry = load_i64(load_i64(c + at.START_STATE) + at.S_START)
    while True:
        guess = load_i64(entry + at.E_NEXT)
        if is_key(guess, p):
            entry = guess
            p += load_i64(entry + at.E_LENGTH)
        else:
            entry, p = find_key(c, entry, p)
            if p == 0:
                return 0
        begin = p
        p = value(c, entry, p)
        if p == 0:
            return 0
        if inputs != 0:
            number = load_i64(entry + at.E_INPUT)
            if number != 0 and not note_piece(c, number - 1, begin, p):
                return 0
        if load_i64(entry + at.E_ACTION) == at.A_TYPE:
            entry = load_i64(load_i64(c + at.STATE) + at.S_TYPE)
        after = load_u8(p)
        p += 1
        if after == COMMA:
            continue
        if after != _CLOSE or (inputs != 0 and not make_fields(c, load_i64(c + at.STATE))) or not row_is_whole(c):
            return 0
        if load_u8(p) == _RETURN:
            p += 1
        return p + 1 if load_u8(p) == _LINE_END else 0


@part
def value(c: int, entry: int, p: int) -> int:
    """Read the value of a key into the row."""
    action = load_i64(entry + at.E_ACTION)
    if load_i64(c + at.NULL_WORDS) != 0 and load_u8(p) == QUOTE:
        end = null_text(c, entry, p)
        if end >= 0:
            return end
    if action == at.STRING:
        return string_value(c, entry, p)
    if action == at.INT:
        end, number = whole(p)
        return put(c, entry, end, number) if end != 0 else odd_number(c, entry, p)
    if action == at.A_TYPE:
        return type_value(c, p)
    if action == at.A_SUBSCRIBER:
        return subscriber_value(c, p)
    if action == at.A_TIME:
        return time_head(c, p)
    if action == at.A_ID:
        return id_value(c, p)
    if action == at.FLOAT:
        end, number = decimal(p)
        return put(c, entry, end, number) if end != 0 else odd_number(c, entry, p)
    if action == at.BOOL:
        end, number = word_end(p)
        return put(c, entry, end, number) if end != 0 and number < 2 else odd_number(c, entry, p)
    if action == at.TIME:
        end, number = time_value(c, p)
        return put(c, entry, end, number) if end != 0 else null(c, entry, p)
    if action == at.SET:
        return set_value(c, entry, p)
    return skip(c, p) if action == at.A_SKIP else 0


@routine
def odd_number(c: int, entry: int, p: int) -> int:
    """Read a null, or a number or bool in quotes where the mapping has such."""
    if load_u8(p) != QUOTE or load_i64(c + at.NUMBERS_IN_QUOTES) == 0:
        return null(c, entry, p)
    action = load_i64(entry + at.E_ACTION)
    stop = text_end(c, p + 1)
    if action == at.INT:
        end, cell = whole_text(p + 1)
    elif action == at.FLOAT:
        end, cell = decimal(p + 1)
    else:
        end, cell = bool_text(p + 1, stop)
    return put(c, entry, end + 1, cell) if end != 0 and end == stop else 0


@routine
def null_text(c: int, entry: int, p: int) -> int:
    """Take a text that means "no value"; -1 for another one, 0 where the strict path must judge."""
    end = text_end(c, p + 1)
    return null_word(c, entry, p + 1, end, end + 1) if end != 0 else 0


@part
def string_value(c: int, entry: int, p: int) -> int:
    """Read a text as its hash."""
    if load_u8(p) != QUOTE:
        return null(c, entry, p)
    end = text_end(c, p + 1)
    if end == 0:
        return 0
    hashed = hash_of(p + 1, end - p - 1)
    meet(c, hashed, p + 1, end - p - 1)
    return put(c, entry, end + 1, hashed)


@part
def type_value(c: int, p: int) -> int:
    """Read the event type, which chooses the keys to come."""
    if load_u8(p) != QUOTE:
        return 0
    if load_i64(c + at.TYPE_AHEAD) != 0:
        store_i64(c + at.TYPE_AHEAD, 0)
    elif not take_type(c, p):
        return 0
    return head(c, at.HEAD_TYPE, text_end(c, p + 1) + 1)


@part
def subscriber_value(c: int, p: int) -> int:
    """Read an MSISDN, a number or a text of digits with or without a plus."""
    quoted = load_u8(p) == QUOTE
    plus = 0
    if quoted:
        p += 1
        if load_u8(p) == _PLUS:
            plus = 1
            p += 1
    end, number, count = digits(p)
    if count == 0 or count > _SUBSCRIBER_DIGITS_MAX or load_u8(p) == 48:
        return 0
    number = msisdn(c, p, number, count, plus)
    if number == 0:
        return 0
    store_i64(c + at.R_SUBSCRIBER, number)
    if quoted:
        if load_u8(end) != QUOTE:
            return 0
        end += 1
    return head(c, at.HEAD_SUBSCRIBER, end)


@part
def time_value(c: int, p: int) -> tuple[int, int]:
    """Read a time in the mapping's format, as a text or, where the format is of digits, as a number."""
    if load_u8(p) == QUOTE:
        end, at_ms = time_text(c, p + 1)
        if end == 0 or load_u8(end) != QUOTE:
            return 0, 0
        return end + 1, at_ms
    form = load_i64(c + at.TIME_FORMAT)
    if form == at.ISO8601 or form == at.PATTERN_FORMAT or load_u8(p) == 48:  # noqa: PLR1714  no tuples in a kernel
        return 0, 0
    if form == at.COMPACT:
        end, at_ms = compact_time(c, p)
        return (end, at_ms) if end == p + 14 else (0, 0)
    return epoch_time(c, p)


@part
def time_head(c: int, p: int) -> int:
    """Read the event's time."""
    end, at_ms = time_value(c, p)
    if end == 0:
        return 0
    store_i64(c + at.R_AT, at_ms)
    return head(c, at.HEAD_TIME, end)


@part
def id_value(c: int, p: int) -> int:
    """Read the event's own id, a text or a whole number, as the hash of how it is written."""
    first = load_u8(p)
    if first == QUOTE:
        end = text_end(c, p + 1)
        if end == 0:
            return 0
        if end > p + 1:
            store_i64(c + at.R_ID, hash_of(p + 1, end - p - 1))
        return head(c, at.HEAD_ID, end + 1)
    end, _, count = digits(p)
    if count == 0 or count > 18 or (count > 1 and first == 48):
        return 0
    store_i64(c + at.R_ID, hash_of(p, count))
    return head(c, at.HEAD_ID, end)


@routine
def set_value(c: int, entry: int, p: int) -> int:
    """Read an array of texts as the bits of those that the book declares."""
    if load_u8(p) != _OPEN_SET:
        return null(c, entry, p)
    p += 1
    begin_set(c, entry)
    bits = 0
    if load_u8(p) == _CLOSE_SET:
        return put(c, entry, p + 1, 0)
    while True:
        if load_u8(p) != QUOTE:
            return 0
        end = text_end(c, p + 1)
        if end == 0:
            return 0
        bits |= member_bit(c, entry, hash_of(p + 1, end - p - 1))
        after = load_u8(end + 1)
        p = end + 2
        if after == _CLOSE_SET:
            return put(c, entry, p, bits)
        if after != COMMA:
            return 0
        if load_u8(p) == SPACE:
            p += 1
