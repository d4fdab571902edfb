"""Columns of texts and numbers as cells, by the readers of the fast scanner.

`c` is the address of a scanner's context (`scan.layout`): the mapping's formats, the number plan, the set of a chunk's
texts. A row whose value is not sure is left to the strict path. `rows` and `ends` are the rows by type (`sort_rows`),
`codes` and `slots` the types that have a column, and in which slot.

A column of texts is `data`, `starts` int32[k + 1] and `places` int32[rows], empty where row i has text i. `bits` says
which rows have a value, from bit `first` on; empty where all have.
"""

import numpy as np
from numpy.typing import NDArray

from connectors.sources.scan import layout as at
from connectors.sources.scan.fields import subscriber_text
from connectors.sources.scan.made import has_room
from connectors.sources.scan.rows import place_among
from connectors.sources.scan.texts import look_up_rest, meet
from connectors.sources.scan.times import time_text
from connectors.sources.scan.values import POWERS, bool_text, decimal, hash_of, is_utf8, whole_text
from state.jit import kernel, part
from state.raw import address_of, load_i64, load_u8, shift_right, store_u8

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]
Bytes = NDArray[np.uint8]
NO, YES, UNSURE = 0, 1, 2
"""Whether a row has a value in a column."""
NO_TYPE = 255
"""The type of a row that has none which is known; no type has this code."""
_LINE_END = 10
_SUBSCRIBER_DIGITS_MAX = 15


@part
def is_valid(bits: Bytes, first: int, row: int) -> bool:
    """Return whether a row has a value."""
    return bits.shape[0] == 0 or (bits[(first + row) >> 3] >> ((first + row) & 7)) & 1 != 0


def is_valid_rows(bits: Bytes, first: int, rows: int) -> NDArray[np.bool_]:
    """Return which of the rows have a value: bool[rows]."""
    if bits.shape[0] == 0:
        return np.ones(rows, np.bool_)
    begin = first & 7
    some = bits[first >> 3 : (first + rows + 7) >> 3]
    return np.unpackbits(some, bitorder="little")[begin : begin + rows].astype(np.bool_)


@part
def is_null_word(c: int, p: int, length: int) -> bool:
    """Return whether a text is one of those that mean "no value"."""
    words = load_i64(c + at.NULL_WORDS)
    return words != 0 and place_among(words, hash_of(p, length)) >= 0


@kernel
def sort_rows(types: Bytes, rows: Int32s, ends: Int64s) -> None:
    """Write the rows of each type, one type after the other; those of type t end at `ends[t + 1]`: int64[257], 0."""
    for row in range(types.shape[0]):
        ends[types[row] + 1] += 1
    for code in range(256):
        ends[code + 1] += ends[code]
    for row in range(types.shape[0]):
        rows[ends[types[row]]] = row
        ends[types[row]] += 1
    for code in range(256, 0, -1):
        ends[code] = ends[code - 1]
    ends[0] = 0


@kernel
def read_strings(
    c: int, data: Bytes, high: int, starts: Int32s, places: Int32s, bits: Bytes, first: int,
    rows: Int32s, ends: Int64s, codes: Int64s, slots: Int64s, cells: Int64s, present: Int64s, sure: NDArray[np.bool_],
    done: int,
) -> int:  # fmt: skip
    """Write texts into the rows of each type that has them, after `done` of those, and report new ones; return how many
    are done, or -1 for all.

    Ends early when many new texts were met: the caller takes them and calls again. `high`: whether some byte of `data`
    is not ASCII.
    """
    base = address_of(data)
    count = 0
    for n in range(codes.shape[0]):
        slot = slots[n]
        for i in range(ends[codes[n]], ends[codes[n] + 1]):
            count += 1
            if count > done:
                if not has_room(c):
                    look_up_rest(c)
                    return count - 1
                row = rows[i]
                if is_valid(bits, first, row):
                    text = places[row] if places.shape[0] != 0 else row
                    p = base + starts[text]
                    length = starts[text + 1] - starts[text]
                    if high != 0 and not is_utf8(p, p + length):
                        sure[row] = False
                    elif not is_null_word(c, p, length):
                        hashed = hash_of(p, length)
                        meet(c, hashed, p, length)
                        cells[slot, row] = hashed
                        present[row] |= 1 << slot
    look_up_rest(c)
    return -1


@kernel
def read_dictionary(c: int, data: Bytes, high: int, starts: Int32s, hashes: Int64s, has: Bytes, text: int) -> int:
    """Write the hash of every text of a dictionary from `text` on, and report new ones; return the next text.

    `has` says NO, YES or UNSURE of each. Ends early when many new texts were met, as `read_strings` does.
    """
    base = address_of(data)
    while text < hashes.shape[0] and has_room(c):
        p = base + starts[text]
        length = starts[text + 1] - starts[text]
        if high != 0 and not is_utf8(p, p + length):
            has[text] = UNSURE
        elif is_null_word(c, p, length):
            has[text] = NO
        else:
            hashes[text] = hash_of(p, length)
            meet(c, hashes[text], p, length)
            has[text] = YES
        text += 1
    look_up_rest(c)
    return text


@kernel
def read_hashes(
    c: int, data: Bytes, high: int, starts: Int32s, places: Int32s, bits: Bytes, first: int, cells: Int64s, has: Bytes
) -> None:
    """Write the hash of every row's text; `has` says NO, YES or UNSURE."""
    base = address_of(data)
    for row in range(cells.shape[0]):
        has[row] = NO
        if is_valid(bits, first, row):
            text = places[row] if places.shape[0] != 0 else row
            p = base + starts[text]
            length = starts[text + 1] - starts[text]
            if high != 0 and not is_utf8(p, p + length):
                has[row] = UNSURE
            elif not is_null_word(c, p, length):
                cells[row] = hash_of(p, length)
                has[row] = YES


@kernel
def read_texts(
    c: int, action: int, data: Bytes, starts: Int32s, places: Int32s, bits: Bytes, first: int, cells: Int64s, has: Bytes
) -> None:
    """Read every row's text as a value of a kind: INT, FLOAT, BOOL, TIME or A_SUBSCRIBER of the layout."""
    base = address_of(data)
    room = c + at.JOINED
    for row in range(cells.shape[0]):
        has[row] = NO
        if is_valid(bits, first, row):
            text = places[row] if places.shape[0] != 0 else row
            p = base + starts[text]
            length = starts[text + 1] - starts[text]
            if not is_null_word(c, p, length):
                end = cell = 0
                if 0 < length < at.JOINED_BYTES:
                    for n in range(length):
                        store_u8(room + n, load_u8(p + n))
                    store_u8(room + length, _LINE_END)
                    if action == at.INT:
                        end, cell = whole_text(room)
                    elif action == at.FLOAT:
                        end, cell = decimal(room)
                    elif action == at.BOOL:
                        end, cell = bool_text(room, room + length)
                    elif action == at.TIME:
                        end, cell = time_text(c, room)
                    else:
                        end, cell = subscriber_text(c, room)
                cells[row] = cell
                has[row] = YES if end == room + length else UNSURE


@kernel
def read_subscribers(c: int, values: Int64s, bits: Bytes, first: int, cells: Int64s, has: Bytes) -> None:
    """Read whole numbers as subscribers, national ones by the number plan."""
    looked_up = load_i64(c + at.NATIONAL_DIGITS)
    table = load_i64(c + at.NATIONAL)
    limit = POWERS[_SUBSCRIBER_DIGITS_MAX]
    for row in range(values.shape[0]):
        number = values[row]
        has[row] = NO
        if is_valid(bits, first, row):
            has[row] = YES if 0 < number < limit else UNSURE
            cells[row] = number
            if looked_up != 0 and has[row] == YES:
                count = 1
                while number >= POWERS[count]:
                    count += 1
                if shift_right(looked_up, count) & 1 != 0:
                    what = load_u8(table + at.N_LEADS + 100 * count + number // POWERS[count - 2])
                    if what == at.N_UNSURE:
                        has[row] = UNSURE
                    elif what == at.N_NATIONAL:
                        cells[row] = number + load_i64(table + 8 * count)


@kernel
def write_cells(
    values: Int64s, has: Bytes, bits: Bytes, first: int,
    rows: Int32s, ends: Int64s, codes: Int64s, slots: Int64s, cells: Int64s, present: Int64s, sure: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Write values into the rows of each type that has them; `has` is empty where all that `bits` say are sure."""
    for n in range(codes.shape[0]):
        slot = slots[n]
        for i in range(ends[codes[n]], ends[codes[n] + 1]):
            row = rows[i]
            state = has[row] if has.shape[0] != 0 else YES
            if state != NO and is_valid(bits, first, row):
                if state == UNSURE:
                    sure[row] = False
                else:
                    cells[slot, row] = values[row]
                    present[row] |= 1 << slot


@kernel
def write_shared(
    hashes: Int64s, has: Bytes, places: Int32s, bits: Bytes, first: int,
    rows: Int32s, ends: Int64s, codes: Int64s, slots: Int64s, cells: Int64s, present: Int64s, sure: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Write texts that rows share, by `hashes` and `has` of each text, into the rows of each type that has them."""
    for n in range(codes.shape[0]):
        slot = slots[n]
        for i in range(ends[codes[n]], ends[codes[n] + 1]):
            row = rows[i]
            if is_valid(bits, first, row):
                text = places[row]
                if has[text] == UNSURE:
                    sure[row] = False
                elif has[text] == YES:
                    cells[slot, row] = hashes[text]
                    present[row] |= 1 << slot


@kernel
def bounds_of_texts(bounds: Int32s) -> tuple[int, int]:
    """Return the bytes of the shortest and of the longest text between the bounds; (0, 0) where there is none."""
    shortest = longest = 0
    for i in range(bounds.shape[0] - 1):
        length = bounds[i + 1] - bounds[i]
        shortest = min(shortest, length)
        longest = max(longest, length)
    return shortest, longest


@kernel
def read_types(hashes: Int64s, has: Bytes, wires: Int64s, codes: Int64s, types: Bytes, sure: NDArray[np.bool_]) -> None:
    """Write the type of every row, whose name has a hash among `wires`; a row without one is not sure."""
    for row in range(hashes.shape[0]):
        found = False
        if has[row] == YES:
            for n in range(wires.shape[0]):
                if wires[n] == hashes[row]:
                    types[row] = codes[n]
                    found = True
        if not found:
            types[row] = NO_TYPE
            sure[row] = False


@kernel
def check_required(types: Bytes, required: Int64s, present: Int64s, sure: NDArray[np.bool_]) -> None:
    """Have every row that lacks what its type must have judged by the strict path."""
    for row in range(types.shape[0]):
        needed = required[types[row]]
        if present[row] & needed != needed:
            sure[row] = False
