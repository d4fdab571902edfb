"""Kernels that pack the columns of a frame into bytes and back.

Type, subscriber, time and id are columns over all rows (`state.value_packing`). Cells are columns by event type and
slot, over the rows that know the slot; those of kind STRING are columns of texts (`state.text_packing`), but for format
1, which has their hashes.

Addresses point into arrays of the caller (`state.frame`), which keeps them alive and has made them large enough: every
store and load of a value moves eight bytes, whatever its width, so up to seven bytes after the last value are
overwritten when packing, and must be readable when unpacking. That is what a frame's eight bytes of padding are for.

Unpacking believes no byte: each column is checked against the end of the data before it is read, and every function
answers -1 where it does not fit; an address of -1 that is handed on stays -1.
"""

import numpy as np
from numpy.typing import NDArray

from state.jit import allocating, routine
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
)
from state.text_packing import TextSource, TextTarget, pack_texts, unpack_texts
from state.value_packing import pack_column, unpack_column

Int64s = NDArray[np.int64]


@allocating
def pack_columns(
    type_: NDArray[np.uint8], subscriber: Int64s, at_ms: Int64s, id_: Int64s, present: Int64s, cells: Int64s,
    log_ms: Int64s, cause: Int64s, slots_of: Int64s, rows: NDArray[np.int32], values: Int64s, codes: Int64s,
    texts: TextSource, out: NDArray[np.uint8], start: int,
) -> int:  # fmt: skip
    """Pack every column but an empty `log_ms` or `cause` to `out[start:]`; return the bytes taken, -1 when a type is
    unknown.
    """
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
    for part in range(cause.shape[0] if cause.shape[1] else 0):
        at = pack_column(address_of(cause) + 8 * n * part, n, at)
    starts = np.zeros(257, np.int64)
    group_rows(type_, starts, rows)
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
                at = pack_texts(values, count, codes, texts, at)
            else:
                at = pack_column(scratch, count, at)
    return at - base


@routine
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


@routine
def gather_known(rows_at: int, n: int, present_at: int, column: int, slot: int, values: int) -> int:
    """Copy the column's cells of the rows that know the slot to address `values` and return how many there are."""
    count = 0
    for i in range(n):
        row = load_i32(rows_at + 4 * i)
        store_i64(values + 8 * count, load_i64(column + 8 * row))
        count += (load_i64(present_at + 8 * row) >> slot) & 1
    return count


@allocating
def unpack_columns(
    data: NDArray[np.uint8], start: int, length: int, fields: Int64s,
    type_: NDArray[np.uint8], subscriber: Int64s, at_ms: Int64s, id_: Int64s, present: Int64s, cells: Int64s,
    log_ms: Int64s, cause: Int64s, rows: NDArray[np.int32], values: Int64s, codes: Int64s, texts_of: Int64s,
    texts: TextTarget,
) -> int:  # fmt: skip
    """Fill the columns from `length` bytes at `data[start:]`; return how many were read, -1 when it is none.

    An empty `log_ms` or `cause` says that it was left out. `texts_of`: the slots of each type, as bits, that are
    columns of texts.
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
    at = unpack_causes(at, end, cause)
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
            if (known >> slot) & 1 != 0 and at >= 0:
                count = high - low if (shared >> slot) & 1 != 0 else count_known(rows, low, high, present, slot)
                at = unpack_cells(at, end, count, (texts_of[code] >> slot) & 1 != 0, values, codes, texts)
                spread_known(rows, low, high, present, slot, cells, values, count)
    return at - base if at >= 0 else -1


@routine
def unpack_causes(at: int, end: int, cause: Int64s) -> int:
    """Unpack the four columns of causes, where there are any; return the address after them, -1 when they are none."""
    n = cause.shape[1]
    for part in range(cause.shape[0] if n else 0):
        at = unpack_column(at, end, n, address_of(cause) + 8 * n * part)
    return at


@routine
def unpack_cells(at: int, end: int, count: int, is_text: bool, values: Int64s, codes: Int64s, texts: TextTarget) -> int:
    """Unpack the cells of one slot; return the address after them, -1 when they are none."""
    if is_text:
        return unpack_texts(at, end, count, values, codes, texts)
    return unpack_column(at, end, count, address_of(values))


@routine
def count_known(rows: NDArray[np.int32], low: int, high: int, present: Int64s, slot: int) -> int:
    """Return how many of the rows know a slot."""
    count = 0
    for i in range(low, high):
        count += (present[rows[i]] >> slot) & 1
    return count


@routine
def spread_known(
    rows: NDArray[np.int32], low: int, high: int, present: Int64s, slot: int, cells: Int64s, values: Int64s, count: int
) -> None:
    """Write `count` values, one after the other, to the cells of the rows that know the slot."""
    if count == high - low:
        for i in range(low, high):
            cells[slot, rows[i]] = values[i - low]
        return
    taken = 0
    for i in range(low, high):
        row = rows[i]
        known = (present[row] >> slot) & 1
        cells[slot, row] = values[taken] * known
        taken += known
        if taken == count:
            break
