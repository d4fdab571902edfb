"""Kernels that pack the columns of a frame into bytes and back.

A column is sixteen bytes of description (width, shift and dictionary size in one word, then the smallest value), the
dictionary if it has one, and each value's distance from the smallest in `width` bytes, its low `shift` bits left out.
Cells are columns by event type and slot, over the rows that know the slot; a STRING column with few different values
names them by number in its dictionary.

Addresses point into arrays of the caller (`state.frame`), which keeps them alive and has made them large enough: every
store and load of a value moves eight bytes, whatever its width, so up to seven bytes after the last value are
overwritten when packing, and must be readable when unpacking. That is what a frame's eight bytes of padding are for.

Unpacking believes no byte: each column is checked against the end of the data before it is read, and every function
answers -1 where it does not fit; an address of -1 that is handed on stays -1.
"""

import numpy as np
from numpy.typing import NDArray

from state.jit import kernel
from state.raw import (
    address_i32,
    address_i64,
    address_of,
    address_u8,
    load_i32,
    load_i64,
    load_u8,
    shift_right,
    store_i64,
    trailing_zeros,
)
from state.widths import byte_mask, byte_width

COLUMN_BYTES = 16
"""Bytes of a column's description."""
BUCKETS = 4096
"""Buckets of the table that builds a dictionary; int64[2, BUCKETS], zero at first."""
DICTIONARY_MAX = 2048

Int64s = NDArray[np.int64]


@kernel
def pack_columns(
    type_: NDArray[np.uint8], subscriber: Int64s, at_ms: Int64s, id_: Int64s, present: Int64s, cells: Int64s,
    log_ms: Int64s, slots_of: Int64s, rows: NDArray[np.int32], values: Int64s, codes: Int64s, table: Int64s,
    out: NDArray[np.uint8], start: int,
) -> int:  # fmt: skip
    """Pack every column but an empty `log_ms` to `out[start:]`; return the bytes taken, -1 when a type is unknown."""
    n = type_.shape[0]
    types = slots_of.shape[1]
    base = address_of(out) + start
    scratch = address_i64(values)
    types_at, rows_at, present_at = address_u8(type_), address_i32(rows), address_i64(present)
    for row in range(n):
        code = load_u8(types_at + row)
        store_i64(scratch + 8 * row, code)
        if code >= types:
            return -1
    at = pack_column(scratch, n, base)
    at = pack_column(address_of(subscriber), n, at)
    at = pack_column(address_of(at_ms), n, at)
    at = pack_column(address_of(id_), n, at)
    if log_ms.shape[0]:
        at = pack_column(address_of(log_ms), n, at)
    starts = np.zeros(257, np.int64)
    group_rows(type_, starts, rows)
    generation = 0
    for code in range(types):
        low, high = starts[code], starts[code + 1]
        if low == high:
            continue
        known = np.int64(0)
        some_at = rows_at + 4 * low
        for i in range(high - low):
            slots = load_i64(present_at + 8 * load_i32(some_at + 4 * i)) & slots_of[0, code]
            store_i64(scratch + 8 * i, slots)
            known |= slots
        at = pack_column(scratch, high - low, at)
        for slot in range(cells.shape[0]):
            if (known >> slot) & 1 == 0:
                continue
            column = address_i64(cells) + 8 * slot * n
            count = gather_known(some_at, high - low, present_at, column, slot, scratch)
            if (slots_of[1, code] >> slot) & 1 != 0:
                generation += 1
                at = pack_texts(scratch, count, address_i64(codes), address_i64(table), generation, at)
            else:
                at = pack_column(scratch, count, at)
    table[1, :] = 0
    return at - base


@kernel
def group_rows(type_: NDArray[np.uint8], starts: Int64s, rows: NDArray[np.int32]) -> None:
    """Write the rows of type t, in order, to `rows[starts[t]:starts[t + 1]]`; `starts` comes in as zeros."""
    n = type_.shape[0]
    for row in range(n):
        starts[type_[row] + 1] += 1
    for code in range(256):
        starts[code + 1] += starts[code]
    for row in range(n):
        code = type_[row]
        rows[starts[code]] = row
        starts[code] += 1
    for code in range(256, 0, -1):
        starts[code] = starts[code - 1]
    starts[0] = 0


@kernel
def gather_known(rows_at: int, n: int, present_at: int, column: int, slot: int, values: int) -> int:
    """Copy the column's cells of the rows that know the slot to address `values` and return how many there are."""
    count = 0
    for i in range(n):
        row = load_i32(rows_at + 4 * i)
        store_i64(values + 8 * count, load_i64(column + 8 * row))
        count += (load_i64(present_at + 8 * row) >> slot) & 1
    return count


@kernel
def pack_column(source: int, count: int, at: int) -> int:
    """Pack `count` int64 at address `source` to address `at`; return the address after it."""
    first = load_i64(source)
    low, high, differ = first, first, np.int64(0)
    for i in range(count):
        value = load_i64(source + 8 * i)
        low = min(low, value)
        high = max(high, value)
        differ |= value ^ first
    shift = trailing_zeros(differ) & 63
    width = byte_width(shift_right(high - low, shift))
    at = write_column(at, width, shift, 0, low)
    return pack_values(source, count, low, shift, width, at)


@kernel
def pack_texts(values: int, count: int, codes: int, table: int, generation: int, at: int) -> int:
    """Pack `count` int64 at address `values` through a dictionary where that is smaller, else as a plain column.

    A bucket of the table is a value, and BUCKETS words after it generation << 16 | code, so that it need not be
    cleared.
    """
    limit = min(DICTIONARY_MAX, count // 2)
    dictionary = at + COLUMN_BYTES
    size = 0
    for i in range(count):
        value = load_i64(values + 8 * i)
        bucket = value ^ shift_right(value, 32)
        while True:
            place = table + 8 * (bucket & (BUCKETS - 1))
            used = load_i64(place + 8 * BUCKETS)
            if shift_right(used, 16) != generation or load_i64(place) == value:
                break
            bucket += 1
        if shift_right(used, 16) != generation:
            if size == limit:
                return pack_column(values, count, at)
            used = (generation << 16) | size
            store_i64(place, value)
            store_i64(place + 8 * BUCKETS, used)
            store_i64(dictionary + 8 * size, value)
            size += 1
        store_i64(codes + 8 * i, used & 0xFFFF)
    if size == 1:
        return write_column(at, 0, 0, 0, load_i64(values))
    width = byte_width(size - 1)
    write_column(at, width, 0, size, 0)
    return pack_values(codes, count, 0, 0, width, dictionary + 8 * size)


@kernel
def write_column(at: int, width: int, shift: int, size: int, low: int) -> int:
    """Write a column's description; return the address after it."""
    store_i64(at, width | (shift << 8) | (size << 16))
    store_i64(at + 8, low)
    return at + COLUMN_BYTES


@kernel
def pack_values(source: int, count: int, low: int, shift: int, width: int, at: int) -> int:
    """Write the distance of each value from `low` in `width` bytes; overwrites up to eight bytes after the end."""
    if width > 0:
        for i in range(count):
            store_i64(at + i * width, shift_right(load_i64(source + 8 * i) - low, shift))
    return at + count * width


@kernel
def unpack_columns(
    data: NDArray[np.uint8], start: int, length: int, fields: Int64s,
    type_: NDArray[np.uint8], subscriber: Int64s, at_ms: Int64s, id_: Int64s, present: Int64s, cells: Int64s,
    log_ms: Int64s, rows: NDArray[np.int32], values: Int64s,
) -> int:  # fmt: skip
    """Fill the columns from `length` bytes at `data[start:]`; return how many were read, -1 when it is none.

    An empty `log_ms` says that it was left out.
    """
    n = type_.shape[0]
    base = address_of(data) + start
    end = base + length
    scratch = address_of(values)
    at = unpack_column(base, end, n, scratch)
    if at < 0:
        return -1
    for row in range(n):
        if not 0 <= values[row] < fields.shape[0]:
            return -1
        type_[row] = values[row]
    at = unpack_column(at, end, n, address_of(subscriber))
    at = unpack_column(at, end, n, address_of(at_ms))
    at = unpack_column(at, end, n, address_of(id_))
    at = unpack_column(at, end, n, address_of(log_ms)) if log_ms.shape[0] else at
    starts = np.zeros(257, np.int64)
    group_rows(type_, starts, rows)
    cells[:, :] = 0
    for code in range(fields.shape[0]):
        low, high = starts[code], starts[code + 1]
        if low == high:
            continue
        at = unpack_column(at, end, high - low, scratch)
        if at < 0:
            return -1
        known, shared = np.int64(0), np.int64(-1)
        for i in range(low, high):
            present[rows[i]] = values[i - low]
            known |= values[i - low]
            shared &= values[i - low]
        if shift_right(known, fields[code]) != 0:
            return -1
        for slot in range(fields[code]):
            if (shared >> slot) & 1 != 0:
                at = unpack_column(at, end, high - low, scratch)
                for i in range(low, high):
                    cells[slot, rows[i]] = values[i - low]
            elif (known >> slot) & 1 != 0:
                at = unpack_cells(at, end, rows, low, high, present, slot, cells, values)
    return at - base if at >= 0 else -1


@kernel
def unpack_cells(
    at: int, end: int, rows: NDArray[np.int32], low: int, high: int, present: Int64s, slot: int, cells: Int64s,
    values: Int64s,
) -> int:  # fmt: skip
    """Fill one slot of the rows that know it; return the address after the column, -1 when it is none."""
    count = 0
    for i in range(low, high):
        count += (present[rows[i]] >> slot) & 1
    at = unpack_column(at, end, count, address_of(values))
    if at < 0:
        return -1
    taken = 0
    for i in range(low, high):
        row = rows[i]
        known = (present[row] >> slot) & 1
        cells[slot, row] = values[taken] * known
        taken += known
        if taken == count:
            break
    return at


@kernel
def unpack_column(at: int, end: int, count: int, target: int) -> int:
    """Unpack `count` values to int64 at address `target`; return the address after the column, -1 when it is none."""
    if at < 0 or at + COLUMN_BYTES > end:
        return -1
    head = load_i64(at)
    low = load_i64(at + 8)
    width, shift, size = head & 0xFF, (head >> 8) & 0xFF, shift_right(head, 16)
    at += COLUMN_BYTES
    if width > 8 or shift > 63 or size > DICTIONARY_MAX or at + 8 * size + count * width > end:
        return -1
    dictionary = at
    at += 8 * size
    mask = byte_mask(width)
    if width == 0:
        for i in range(count):
            store_i64(target + 8 * i, low)
    elif size == 0:
        for i in range(count):
            store_i64(target + 8 * i, low + ((load_i64(at + i * width) & mask) << shift))
    else:
        for i in range(count):
            code = load_i64(at + i * width) & mask
            if not 0 <= code < size:
                return -1
            store_i64(target + 8 * i, load_i64(dictionary + 8 * code))
    return at + count * width
