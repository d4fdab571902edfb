"""The fast scanner of flat JSON lines.

One call scans many lines. A line is walked once, key by key: the key that followed the last one in the line before is
guessed and confirmed with two masked compares of `"key":`; then its value is read by what the entry says. A line that
the scanner is not sure of, for whatever reason, is left to the strict path: its row is marked and nothing else is
said.

Rows are written where they will stay, so a chunk without odd lines is never copied. Tables are laid out in
`scan.layout`, filled in `scan.tables`. Texts that the known-set lacks are reported once (`FRESH`).
"""

import numpy as np
from numpy.typing import NDArray

from connectors.sources.scan import layout as at
from connectors.sources.scan.maps import line_end
from connectors.sources.scan.values import (
    COLON,
    COMMA,
    QUOTE,
    SPACE,
    compact_time,
    decimal,
    digits,
    epoch_time,
    hash_of,
    skip,
    text_end,
    time_text,
    whole,
    word_end,
)
from state.jit import kernel, part
from state.raw import (
    address_i64,
    address_of,
    differ16,
    load_i64,
    load_u8,
    prefetch,
    shift_right,
    store_i64,
    store_u8,
)

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
def insert_all(old: NDArray[np.int64], table: NDArray[np.int64]) -> None:
    """Put every hash of one table into another, larger one."""
    mask = table.shape[0] - 1
    for n in range(old.shape[0]):
        hashed = old[n]
        slot = hashed & mask
        while hashed != 0 and table[slot] != 0:
            slot = (slot + 1) & mask
        if hashed != 0:
            table[slot] = hashed


@kernel
def scan_json(c: int) -> int:
    """Scan lines from `AT` to `END`, row by row from `ROW`; return the next row. The context at `c` says all the rest.

    Ends early when many new texts were met: the caller takes them and calls again.
    """
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
def begin_row(c: int, row: int, offset: int) -> None:
    """Forget the row before."""
    store_i64(load_i64(c + at.OUT_OFFSETS) + row * 8, offset)
    store_i64(c + at.CELL, load_i64(c + at.OUT_CELLS) + row * 8)
    store_i64(c + at.STATE, load_i64(c + at.START_STATE))
    store_i64(c + at.SEEN, 0)
    store_i64(c + at.NULLS, 0)
    store_i64(c + at.HEADS, 0)
    store_i64(c + at.R_ID, 0)
    store_i64(c + at.TYPE_AHEAD, 0)


@part
def end_row(c: int, row: int) -> None:
    """Write what the row gathered."""
    state = load_i64(c + at.STATE)
    present = load_i64(c + at.SEEN) & ~load_i64(c + at.NULLS)
    store_i64(load_i64(c + at.OUT_SUBSCRIBER) + row * 8, load_i64(c + at.R_SUBSCRIBER))
    store_i64(load_i64(c + at.OUT_AT) + row * 8, load_i64(c + at.R_AT))
    store_i64(load_i64(c + at.OUT_ID) + row * 8, load_i64(c + at.R_ID))
    store_i64(load_i64(c + at.OUT_PRESENT) + row * 8, present)
    store_u8(load_i64(c + at.OUT_TYPE) + row, load_i64(state + at.S_CODE))
    store_u8(load_i64(c + at.OUT_OK) + row, 1)


@kernel
def refuse_row(c: int, row: int) -> None:
    """Leave the row to the strict path."""
    store_u8(load_i64(c + at.OUT_OK) + row, 0)
    store_i64(c + at.REFUSED, load_i64(c + at.REFUSED) + 1)


@part
def row_is_whole(c: int) -> bool:
    """Tell whether the row has everything it must have, and a time that can be."""
    at_ms = load_i64(c + at.R_AT)
    needed = load_i64(c + at.HEADS_NEEDED)
    required = load_i64(load_i64(c + at.STATE) + at.S_REQUIRED)
    present = load_i64(c + at.SEEN) & ~load_i64(c + at.NULLS)
    return (
        load_i64(c + at.HEADS) & needed == needed
        and present & required == required
        and load_i64(c + at.AT_MS_MIN) <= at_ms <= load_i64(c + at.AT_MS_MAX)
        and load_i64(c + at.TYPE_AHEAD) == 0
    )


@part
def line(c: int, p: int) -> int:
    """Scan one line; return the address of the next one, or 0 where the strict path must judge."""
    if load_u8(p) != _OPEN:
        return 0
    p += 1
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
        p = value(c, entry, p)
        if p == 0:
            return 0
        if load_i64(entry + at.E_ACTION) == at.A_TYPE:
            entry = load_i64(load_i64(c + at.STATE) + at.S_TYPE)
        behind = load_u8(p)
        p += 1
        if behind == COMMA:
            continue
        if behind != _CLOSE or not row_is_whole(c):
            return 0
        if load_u8(p) == _RETURN:
            p += 1
        return p + 1 if load_u8(p) == _LINE_END else 0


@part
def is_key(entry: int, p: int) -> bool:
    """Tell whether the key of the entry, as it was last written, stands at `p`."""
    if differ16(p, entry + at.E_WORDS, entry + at.E_MASKS) != 0:
        return False
    length = load_i64(entry + at.E_LENGTH)
    return length <= 16 or same(load_i64(entry + at.E_TAIL), p + 16, length - 16)


@kernel
def same(left: int, right: int, length: int) -> bool:
    """Compare two runs of bytes."""
    equal = True
    for n in range(length):
        equal = equal and load_u8(left + n) == load_u8(right + n)
    return equal


@kernel
def find_key(c: int, last: int, p: int) -> tuple[int, int]:
    """Find the entry of the key at `p` by its hash, and the address of its value.

    A space before the key and one behind its colon belong to how it is written. What was found is guessed next time.
    """
    start = p
    if load_u8(p) == SPACE:
        p += 1
    if load_u8(p) != QUOTE:
        return 0, 0
    end = text_end(c, p + 1)
    if end == 0 or load_u8(end + 1) != COLON:
        return 0, 0
    store_i64(c + at.MISSES, load_i64(c + at.MISSES) + 1)
    state = load_i64(c + at.STATE)
    if load_i64(state + at.S_CODE) < 0 and entry_of(state, p, end) == 0:
        ahead = type_ahead(c, state, p)
        if ahead == 0 or not take_type(c, ahead):
            return 0, 0
        store_i64(c + at.TYPE_AHEAD, 1)
        last = 0
        state = load_i64(c + at.STATE)
    entry = entry_of(state, p, end)
    behind = end + 3 if load_u8(end + 2) == SPACE else end + 2
    if entry == 0:
        note_strange(c, state, p, end)
        entry = load_i64(state + at.S_UNKNOWN)
    else:
        write_as(entry, start, behind - start)
    if last != 0:
        store_i64(last + at.E_NEXT, entry)
    return entry, behind


@kernel
def write_as(entry: int, p: int, length: int) -> None:
    """Keep how a key is written, spaces included, for the next comparison."""
    first = min(length, 8)
    second = max(min(length, 16) - 8, 0)
    mask = shift_right(-1, 64 - 8 * first)
    store_i64(entry + at.E_WORDS, load_i64(p) & mask)
    store_i64(entry + at.E_MASKS, mask)
    mask = shift_right(-1, 64 - 8 * second) if second > 0 else 0
    store_i64(entry + at.E_WORDS + 8, load_i64(p + 8) & mask)
    store_i64(entry + at.E_MASKS + 8, mask)
    store_i64(entry + at.E_LENGTH, length)
    tail = load_i64(entry + at.E_TAIL)
    for n in range(16, length):
        store_u8(tail + n - 16, load_u8(p + n))


@kernel
def entry_of(state: int, p: int, end: int) -> int:
    """Return the entry of the key between the quotes at `p` and `end` in the state; 0 for none."""
    keys = load_i64(state + at.S_KEYS)
    mask = load_i64(state + at.S_KEYS_MASK)
    slot = hash_of(p + 1, end - p - 1) & mask
    while True:
        entry = load_i64(keys + slot * 8)
        if entry == 0:
            return 0
        length = load_i64(entry + at.E_NAME_LENGTH)
        if length == end - p - 1 and same(load_i64(entry + at.E_NAME), p + 1, length):
            return entry
        slot = (slot + 1) & mask


@kernel
def note_strange(c: int, state: int, p: int, end: int) -> None:
    """Report a key that the book does not know, so that it can be guessed next time."""
    count = load_i64(c + at.STRANGE_COUNT)
    if count < at.STRANGE_MAX:
        note = load_i64(c + at.STRANGE) + count * 24
        store_i64(note, state)
        store_i64(note + 8, p + 1)
        store_i64(note + 16, end - p - 1)
        store_i64(c + at.STRANGE_COUNT, count + 1)


@kernel
def type_ahead(c: int, state: int, p: int) -> int:
    """Return the address of the type's value in what is left of the line, without reading any other value; or 0."""
    entry = load_i64(state + at.S_TYPE)
    while True:
        if load_u8(p) != QUOTE:
            return 0
        end = text_end(c, p + 1)
        if end == 0 or load_u8(end + 1) != COLON:
            return 0
        behind = end + 3 if load_u8(end + 2) == SPACE else end + 2
        if entry_of(state, p, end) == entry:
            return behind
        p = skip(c, behind)
        if p == 0 or load_u8(p) != COMMA:
            return 0
        p = p + 2 if load_u8(p + 1) == SPACE else p + 1


@part
def value(c: int, entry: int, p: int) -> int:
    """Read the value of a key into the row."""
    action = load_i64(entry + at.E_ACTION)
    if action == at.STRING:
        return string_value(c, entry, p)
    if action == at.INT:
        end, number = whole(p)
        return put(c, entry, end, number) if end != 0 else null(c, entry, p)
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
        return put(c, entry, end, number) if end != 0 else null(c, entry, p)
    if action == at.BOOL:
        end, number = word_end(p)
        return put(c, entry, end, number) if end != 0 and number < 2 else null(c, entry, p)
    if action == at.TIME:
        end, number = time_value(c, p)
        return put(c, entry, end, number) if end != 0 else null(c, entry, p)
    if action == at.SET:
        return set_value(c, entry, p)
    return skip(c, p)


@part
def put(c: int, entry: int, end: int, cell: int) -> int:
    """Write a cell of the row; 0 for a key that came before."""
    bit = load_i64(entry + at.E_BIT)
    seen = load_i64(c + at.SEEN)
    if seen & bit != 0:
        return 0
    store_i64(c + at.SEEN, seen | bit)
    store_i64(load_i64(c + at.CELL) + load_i64(entry + at.E_SLOT) * load_i64(c + at.STRIDE), cell)
    return end


@kernel
def null(c: int, entry: int, p: int) -> int:
    """Read a null, which is no value; 0 for anything else."""
    end, word = word_end(p)
    if end == 0 or word != 2:
        return 0
    bit = load_i64(entry + at.E_BIT)
    store_i64(c + at.NULLS, load_i64(c + at.NULLS) | bit)
    return put(c, entry, end, 0)


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
def meet(c: int, hashed: int, address: int, length: int) -> None:
    """Have a text looked up in the known-set, some texts later: by then the processor has fetched its entry."""
    prefetch(load_i64(c + at.KNOWN) + 8 * (hashed & load_i64(c + at.KNOWN_MASK)))
    oldest = load_i64(c + at.MET_OLDEST)
    place = c + at.MET + oldest
    if load_i64(place) != 0:
        look_up(c, load_i64(place), load_i64(place + 8), load_i64(place + 16))
    store_i64(place, hashed)
    store_i64(place + 8, address)
    store_i64(place + 16, length)
    store_i64(c + at.MET_OLDEST, (oldest + 32) & (at.MET_BYTES - 1))


@kernel
def look_up_rest(c: int) -> None:
    """Look up the texts that still wait for it, the oldest first."""
    for n in range(0, at.MET_BYTES, 32):
        place = c + at.MET + ((load_i64(c + at.MET_OLDEST) + n) & (at.MET_BYTES - 1))
        if load_i64(place) != 0:
            look_up(c, load_i64(place), load_i64(place + 8), load_i64(place + 16))
            store_i64(place, 0)


@part
def look_up(c: int, hashed: int, address: int, length: int) -> None:
    """Report a text that the known-set lacks, and put it there."""
    known = load_i64(c + at.KNOWN)
    mask = load_i64(c + at.KNOWN_MASK)
    slot = hashed & mask
    while True:
        found = load_i64(known + slot * 8)
        if found == hashed:
            return
        if found == 0:
            break
        slot = (slot + 1) & mask
    store_i64(known + slot * 8, hashed)
    store_i64(c + at.KNOWN_COUNT, load_i64(c + at.KNOWN_COUNT) + 1)
    count = load_i64(c + at.FRESH_COUNT)
    note = load_i64(c + at.FRESH) + count * 24
    store_i64(note, hashed)
    store_i64(note + 8, address)
    store_i64(note + 16, length)
    store_i64(c + at.FRESH_COUNT, count + 1)


@part
def head(c: int, bit: int, end: int) -> int:
    """Mark a head as read; 0 for one that came before."""
    heads = load_i64(c + at.HEADS)
    store_i64(c + at.HEADS, heads | bit)
    return 0 if heads & bit != 0 else end


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
def take_type(c: int, p: int) -> bool:
    """Choose the state of the type that is written at `p`; false for one that is not known."""
    if load_u8(p) != QUOTE:
        return False
    end = text_end(c, p + 1)
    if end == 0:
        return False
    return choose_type(c, hash_of(p + 1, end - p - 1))


@part
def choose_type(c: int, hashed: int) -> bool:
    """Choose the state of a type by the hash of its name; false for one that is not known."""
    types = load_i64(c + at.TYPES)
    mask = load_i64(c + at.TYPES_MASK)
    slot = hashed & mask
    while True:
        found = load_i64(types + slot * 16)
        if found == hashed:
            store_i64(c + at.STATE, load_i64(types + slot * 16 + 8))
            return True
        if found == 0:
            return False
        slot = (slot + 1) & mask


@part
def subscriber_value(c: int, p: int) -> int:
    """Read an MSISDN, a number or a text of digits with or without a plus."""
    quoted = load_u8(p) == QUOTE
    if quoted:
        p += 1
        if load_u8(p) == _PLUS:
            p += 1
    end, number, count = digits(p)
    if count == 0 or count > _SUBSCRIBER_DIGITS_MAX or load_u8(p) == 48:
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
    if form == at.ISO8601 or load_u8(p) == 48:
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


@kernel
def set_value(c: int, entry: int, p: int) -> int:
    """Read an array of texts as the bits of those that the book declares."""
    if load_u8(p) != _OPEN_SET:
        return null(c, entry, p)
    p += 1
    bits = 0
    if load_u8(p) == _CLOSE_SET:
        return put(c, entry, p + 1, 0)
    while True:
        if load_u8(p) != QUOTE:
            return 0
        end = text_end(c, p + 1)
        if end == 0:
            return 0
        bits |= member_bit(load_i64(entry + at.E_SET), hash_of(p + 1, end - p - 1))
        behind = load_u8(end + 1)
        p = end + 2
        if behind == _CLOSE_SET:
            return put(c, entry, p, bits)
        if behind != COMMA:
            return 0
        if load_u8(p) == SPACE:
            p += 1


@kernel
def member_bit(members: int, hashed: int) -> int:
    """Return the bit of a member of a set; 0 for one that the book does not declare."""
    for n in range(load_i64(members)):
        if load_i64(members + 8 + n * 8) == hashed:
            return 1 << n
    return 0
