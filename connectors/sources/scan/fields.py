"""A value between two addresses, as a delimited line has it and a derived field makes it, read into the row."""

from connectors.sources.scan import layout as at
from connectors.sources.scan.rows import begin_set, head, member_bit, place_among, put
from connectors.sources.scan.texts import meet
from connectors.sources.scan.times import time_text
from connectors.sources.scan.values import SPACE, bool_text, decimal, digits, hash_of, msisdn, whole_text
from state.jit import part, routine
from state.raw import load_i64, load_u8, store_i64, store_u8

_TAB, _LINE_END, _PLUS, _QUOTE = 9, 10, 43, 34
_SUBSCRIBER_DIGITS_MAX = 15


@part
def piece_of(c: int, column: int) -> tuple[int, int]:
    """Return where the value of a column starts and stops, without the blanks around it."""
    piece = load_i64(c + at.PIECES) + column * 16
    return trimmed_piece(load_i64(piece), load_i64(piece + 8))


@part
def trimmed_piece(start: int, stop: int) -> tuple[int, int]:
    """Return a value without the blanks around it."""
    # Both ends in one test: two branches a value cost a tenth of a line's time.
    if stop != start and ((load_u8(start) - SPACE - 1) | (load_u8(stop - 1) - SPACE - 1)) < 0:
        return trimmed(start, stop)
    return start, stop


@routine
def trimmed(start: int, stop: int) -> tuple[int, int]:
    """Move both ends of a value over spaces and tabs, unless it stands in quotes."""
    if load_u8(stop) == _QUOTE:
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
