"""The records of a batch, in the bytes in which Kafka keeps them (message format 2), as lines.

Format: https://kafka.apache.org/documentation/#recordbatch. All numbers of a record are zigzag varints.
"""

import numpy as np
from numpy.typing import NDArray

from state.jit import kernel, part
from state.raw import address_of, equal_mask64, load_i64, load_u8, store_i64, store_u8, trailing_zeros

_LINE_END, _RETURN, _BLANK = 10, 13, 32


@kernel
def lay_out(
    data: NDArray[np.uint8],
    at: int,
    end: int,
    count: int,
    base: int,
    first: int,
    single: bool,
    out: NDArray[np.uint8],
    filled: int,
    starts: NDArray[np.int64],
    offsets: NDArray[np.int64],
    row: int,
) -> tuple[int, int]:
    """Write the values of `count` records in `data[at:end]` one after the other, a line end after each.

    Records below the offset `first` are left out; a record without a value is an empty line. With `single`, line ends
    inside a value become blanks, which in JSON say the same. `starts` and `offsets` take, from `row` on, where a value
    begins in `out` and its record's offset; `out` is `PADDING` bytes longer than what it takes. Returns what is then
    filled of `out` and of rows; -1 as the first where the bytes are no records.
    """
    for _ in range(count):
        length, at = _varint(data, at, end)
        stop = at + length
        if length < 0 or stop > end or at >= end:
            return -1, row
        _, at = _varint(data, at + 1, stop)
        delta, at = _varint(data, at, stop)
        size, at = _varint(data, at, stop)
        at += max(size, 0)
        size, at = _varint(data, at, stop)
        size = max(size, 0)
        if at + size > stop:
            return -1, row
        if base + delta >= first:
            starts[row] = filled
            offsets[row] = base + delta
            row += 1
            _copy(address_of(data) + at, size, address_of(out) + filled)
            if single:
                _flatten(out, filled, size)
            filled += size
            out[filled] = _LINE_END
            filled += 1
        at = stop
    return filled, row


@part
def _copy(source: int, size: int, target: int) -> None:
    """Copy bytes, eight at a time; the last eight may overlap those before."""
    done = 0
    while done + 8 <= size:
        store_i64(target + done, load_i64(source + done))
        done += 8
    if size >= 8:
        store_i64(target + size - 8, load_i64(source + size - 8))
    else:
        for i in range(size):
            store_u8(target + i, load_u8(source + i))


@part
def _flatten(out: NDArray[np.uint8], start: int, size: int) -> None:
    """Make blanks of line ends; 64 bytes after the last must be readable."""
    for block in range(start, start + size, 64):
        ends = equal_mask64(address_of(out) + block, _LINE_END)
        left = start + size - block
        if left < 64:
            ends &= (1 << left) - 1
        while ends != 0:
            i = block + trailing_zeros(ends)
            ends &= ends - 1
            out[i] = _BLANK
            if i > start and out[i - 1] == _RETURN:
                out[i - 1] = _BLANK


@part
def _varint(data: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """Read a zigzag number; return it and the place after it, `end` where it has no end before."""
    value = np.uint64(0)
    shift = np.uint64(0)
    while at < end:
        byte = np.uint64(data[at])
        at += 1
        value |= (byte & np.uint64(127)) << shift
        if byte < np.uint64(128):
            break
        shift += np.uint64(7)
    return int(np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1))), at
