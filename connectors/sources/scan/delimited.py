"""The fast scanner of delimited lines.

A line is first cut into its values, by a bit map of delimiters, quotes and line ends; then only the columns that its
event type reads are looked at. A value in quotes is taken when it holds no quote. Whatever else is odd goes to the
strict path.
"""

from connectors.sources.scan import layout as at
from connectors.sources.scan.fields import piece_of, value
from connectors.sources.scan.keys import choose_type
from connectors.sources.scan.made import has_room, make_fields
from connectors.sources.scan.maps import line_end
from connectors.sources.scan.rows import begin_row, end_row, head, null_word, refuse_row, row_is_whole
from connectors.sources.scan.texts import look_up_rest
from connectors.sources.scan.values import QUOTE, hash_of, is_text, next_special
from state.jit import kernel, part, routine
from state.raw import load_i64, load_u8, store_i64

_LINE_END, _RETURN, _BOM = 10, 13, 0xEF


@kernel
def scan_delimited(c: int) -> int:
    """Scan lines from `AT` to `END`, row by row from `ROW`, as `kernel.scan_json` does; return the next row."""
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
    if load_i64(state + at.S_MADE_COUNT) != 0 and not make_fields(c, state):
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
def type_column(c: int) -> bool:
    """Choose the state by the type column, where there is one."""
    column = load_i64(c + at.TYPE_COLUMN)
    if column < 0:
        return True
    start, stop = piece_of(c, column)
    return stop != start and choose_type(c, hash_of(start, stop - start)) and head(c, at.HEAD_TYPE, 1) != 0
