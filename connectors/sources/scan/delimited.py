"""The fast scanner of delimited lines.

A line is first cut into its values, by a bit map of delimiters, quotes and line ends; then only the columns that its
event type reads are looked at. A value in quotes is taken when it holds no quote. Whatever else is odd goes to the
strict path.
"""

from connectors.sources.scan import layout as at
from connectors.sources.scan.keys import choose_type
from connectors.sources.scan.maps import line_end
from connectors.sources.scan.rows import (
    begin_row,
    begin_set,
    end_row,
    head,
    member_bit,
    null_word,
    place_among,
    put,
    refuse_row,
    row_is_whole,
)
from connectors.sources.scan.texts import look_up_rest, meet
from connectors.sources.scan.times import time_text
from connectors.sources.scan.values import (
    QUOTE,
    SPACE,
    bool_text,
    decimal,
    digits,
    hash_of,
    is_text,
    msisdn,
    next_special,
    whole_text,
)
from state.jit import kernel, part, routine
from state.raw import load_i64, load_u8, store_i64, store_u8

_TAB, _LINE_END, _RETURN, _PLUS, _BOM = 9, 10, 13, 43, 0xEF
_SUBSCRIBER_DIGITS_MAX = 15


@kernel
def scan_delimited(c: int) -> int:
    """Scan lines from `AT` to `END`, row by row from `ROW`, as `kernel.scan_json` does; return the next row."""
    p = load_i64(c + at.AT)
    end = load_i64(c + at.END)
    row = load_i64(c + at.ROW)
    base = load_i64(c + at.BASE)
    while p < end and load_i64(c + at.FRESH_COUNT) <= at.FRESH_MAX - at.FRESH_ROW_MAX:
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
    end = cut(c, p)
    if end == 0 or (load_i64(c + at.ANY_HIGH) != 0 and (load_u8(p) == _BOM or not is_text(c, p, end))):
        return 0
    if not type_column(c):
        return 0
    state = load_i64(c + at.STATE)
    columns = load_i64(state + at.S_COLUMNS)
    count = load_i64(state + at.S_COLUMNS_COUNT)
    nulls = load_i64(c + at.NULL_WORDS)
    for n in range(count):
        entry = load_i64(columns + n * 8)
        start, stop = piece_of(c, load_i64(entry + at.E_COLUMN))
        if stop == start:
            continue
        if nulls != 0:
            taken = null_word(c, entry, start, stop, 1)
            if taken > 0:
                continue
            if taken == 0:
                return 0
        if not value(c, entry, start, stop):
            return 0
    return end + 1 if row_is_whole(c) else 0


@part
def cut(c: int, p: int) -> int:
    """Write where each value of the line starts and stops; return the address of the line end, or 0."""
    columns = load_i64(c + at.COLUMNS)
    delimiter = load_i64(c + at.DELIMITER)
    piece = load_i64(c + at.PIECES)
    last = piece + columns * 16 - 16
    while piece < last:
        stop = next_special(c, p)
        if load_u8(stop) == delimiter:
            store_i64(piece, p)
            store_i64(piece + 8, stop)
            p = stop + 1
        else:
            p = quoted(c, piece, p, stop)
            if p == 0 or load_u8(p) != delimiter:
                return 0
            p += 1
        piece += 16
    if piece != last or columns <= 0:
        return 0
    stop = next_special(c, p)
    if load_u8(stop) == _LINE_END:
        store_i64(piece, p)
        store_i64(piece + 8, stop - 1 if stop > p and load_u8(stop - 1) == _RETURN else stop)
        return stop
    p = quoted(c, piece, p, stop)
    if p != 0 and load_u8(p) == _RETURN:
        p += 1
    return p if p != 0 and load_u8(p) == _LINE_END else 0


@routine
def quoted(c: int, piece: int, p: int, found: int) -> int:
    """Write a value in quotes, and return the address after its closing quote; 0 where no quote begins it."""
    if found != p or load_u8(p) != QUOTE:
        return 0
    stop = closing_quote(c, p + 1)
    store_i64(piece, p + 1)
    store_i64(piece + 8, stop)
    return stop + 1 if stop != 0 else 0


@routine
def closing_quote(c: int, p: int) -> int:
    """Return the address of the next quote in the line; 0 for none."""
    while True:
        p = next_special(c, p)
        found = load_u8(p)
        if found == QUOTE:
            return p
        if found == _LINE_END:
            return 0
        p += 1


@part
def piece_of(c: int, column: int) -> tuple[int, int]:
    """Return where the value of a column starts and stops, without the blanks around it."""
    piece = load_i64(c + at.PIECES) + column * 16
    start = load_i64(piece)
    stop = load_i64(piece + 8)
    # Both ends in one test: two branches a value cost a tenth of a line's time.
    if stop != start and ((load_u8(start) - SPACE - 1) | (load_u8(stop - 1) - SPACE - 1)) < 0:
        return trimmed(start, stop)
    return start, stop


@routine
def trimmed(start: int, stop: int) -> tuple[int, int]:
    """Move both ends of a value over spaces and tabs, unless it stands in quotes."""
    if load_u8(stop) == QUOTE:
        return start, stop
    while stop != start and is_blank(load_u8(start)):
        start += 1
    while stop != start and is_blank(load_u8(stop - 1)):
        stop -= 1
    return start, stop


@part
def is_blank(byte: int) -> bool:
    """Return whether a byte is a space or a tab."""
    return byte == SPACE or byte == _TAB  # noqa: PLR1714  no tuples in a kernel


@part
def type_column(c: int) -> bool:
    """Choose the state by the type column, where there is one."""
    column = load_i64(c + at.TYPE_COLUMN)
    if column < 0:
        return True
    start, stop = piece_of(c, column)
    return stop != start and choose_type(c, hash_of(start, stop - start)) and head(c, at.HEAD_TYPE, 1) != 0


@part
def value(c: int, entry: int, start: int, stop: int) -> bool:
    """Read the value between two addresses into the row; false where the strict path must judge."""
    action = load_i64(entry + at.E_ACTION)
    if action == at.STRING:
        hashed = hash_of(start, stop - start)
        meet(c, hashed, start, stop - start)
        return put(c, entry, 1, hashed) != 0
    if action == at.INT:
        end, cell = whole_text(start)
    elif action == at.A_SUBSCRIBER:
        end, cell = subscriber_text(c, start)
        return end == stop and head(c, at.HEAD_SUBSCRIBER, 1) != 0
    elif action == at.A_TIME:
        return time_head(c, start, stop)
    elif action == at.A_ID:
        store_i64(c + at.R_ID, hash_of(start, stop - start))
        return head(c, at.HEAD_ID, 1) != 0
    elif action == at.FLOAT:
        end, cell = decimal(start)
    elif action == at.BOOL:
        end, cell = bool_text(start, stop)
    elif action == at.TIME:
        end, cell = time_text(c, start)
    elif action == at.SET:
        end, cell = set_text(c, entry, start, stop)
    else:
        return action == at.A_TYPE
    return end == stop and put(c, entry, 1, cell) != 0


@part
def time_head(c: int, start: int, stop: int) -> bool:
    """Read the event's time into the row, its date from another column where that has it."""
    if load_i64(c + at.DATE_COLUMN) >= 0:
        start, stop = joined(c, start, stop)
    end, cell = time_text(c, start) if start != stop else (0, 0)
    store_i64(c + at.R_AT, cell)
    return end == stop and end != 0 and head(c, at.HEAD_TIME, 1) != 0


@routine
def joined(c: int, start: int, stop: int) -> tuple[int, int]:
    """Write the date before the time of day, and return where they stand as one text; nowhere if they cannot be one."""
    first, last = piece_of(c, load_i64(c + at.DATE_COLUMN))
    nulls = load_i64(c + at.NULL_WORDS)
    gap = load_i64(c + at.DATE_GAP)
    length = last - first + stop - start + int(gap != 0)
    if first == last or length >= at.JOINED_BYTES:
        return 0, 0
    if nulls != 0 and place_among(nulls, hash_of(first, last - first)) >= 0:
        return 0, 0
    p = c + at.JOINED
    for n in range(first, last):
        store_u8(p, load_u8(n))
        p += 1
    if gap != 0:
        store_u8(p, gap)
        p += 1
    for n in range(start, stop):
        store_u8(p, load_u8(n))
        p += 1
    store_u8(p, _LINE_END)
    return c + at.JOINED, p


@part
def subscriber_text(c: int, p: int) -> tuple[int, int]:
    """Read an MSISDN with or without a plus into the row."""
    plus = int(load_u8(p) == _PLUS)
    first = p + plus
    end, number, count = digits(first)
    if count == 0 or count > _SUBSCRIBER_DIGITS_MAX or load_u8(first) == 48:
        return 0, 0
    number = msisdn(c, first, number, count, plus)
    if number == 0:
        return 0, 0
    store_i64(c + at.R_SUBSCRIBER, number)
    return end, number


@routine
def set_text(c: int, entry: int, start: int, stop: int) -> tuple[int, int]:
    """Read the members of a set between their delimiters."""
    delimiter = load_i64(c + at.SET_DELIMITER)
    if delimiter == 0:
        return 0, 0
    begin_set(c, entry)
    bits = 0
    first = start
    p = start
    while p <= stop:
        if p == stop or load_u8(p) == delimiter:
            if p > first:
                bits |= member_bit(c, entry, hash_of(first, p - first))
            first = p + 1
        p += 1
    return stop, bits
