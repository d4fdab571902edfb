"""Kernels that write the contacts of slots as bytes and read them back: the end of every packed page and row.

A slot without a block is one byte, 255. Any other is the byte 254, how many numbers an entry has, its number of
contacts in two bytes, its floor, and the entries: each number as its length in one byte and so many bytes. So the
numbers may grow wider, and the list longer, and these bytes still say it.

Format 1 has the number of contacts, 0 to 200, in place of the 254, the floor, and 33 bytes an entry: time, position,
row and rule, campaign and channel, state. Such a contact expires `EXPIRY_1_MS` after its time.
"""

import numpy as np
from numpy.typing import NDArray

from state.contacts import (
    AT_MS,
    CAMPAIGN_CHANNEL,
    CHUNK,
    EXPIRES_MS,
    LIMIT,
    OFFER_CATEGORY,
    POSITION,
    ROW_STATE_RULE,
    ContactArrays,
    allocate_block,
    free_block,
    next_entry,
    place_of,
)
from state.jit import allocating, part, routine
from state.widths import byte_width

NUMBERS = 10
"""Numbers of an entry: at, expiry, position, row, state, rule, campaign, channel, offer, category."""
HEADER_BYTES = 12  # 254, numbers, contacts u16, floor i64
EXPIRY_1_MS = 2 * 86_400_000
ENTRY_1_BYTES = 33
_NO_BLOCK = 255
_FORMAT_2 = 254
_LOW32 = (1 << 32) - 1
_LOW24 = (1 << 24) - 1


@routine
def packed_bytes(arrays: ContactArrays, slots: NDArray[np.int32]) -> int:
    """Return how many bytes `pack_contacts` writes for `slots`."""
    total = slots.shape[0]
    for i in range(slots.shape[0]):
        block = arrays.block[slots[i]]
        if block == 0:
            continue
        total += HEADER_BYTES - 1
        entry = int(arrays.first[block]) * CHUNK
        for _ in range(int(arrays.size[block])):
            for number in range(NUMBERS):
                total += 1 + byte_width(number_of(arrays, entry, number))
            entry = next_entry(arrays, entry)
    return int(total)


@part
def number_of(arrays: ContactArrays, entry: int, number: int) -> int:
    """Return a number of an entry, in the order in which they are packed."""
    what = int(arrays.entries[entry, ROW_STATE_RULE])
    if number <= POSITION:  # AT_MS, EXPIRES_MS, POSITION are words of their own
        return int(arrays.entries[entry, number])
    if number == 3:
        return what & _LOW24
    if number == 4:
        return what >> 24 & 255
    if number == 5:
        return what >> 32
    shared = int(arrays.entries[entry, CAMPAIGN_CHANNEL if number < 8 else OFFER_CATEGORY])
    return shared & _LOW32 if number % 2 == 0 else shared >> 32


@routine
def pack_contacts(arrays: ContactArrays, slots: NDArray[np.int32], out: NDArray[np.uint8]) -> None:
    """Write the contacts of `slots` to `out`: 255 for none, else the header and the entries."""
    at = 0
    for s in range(slots.shape[0]):
        block = arrays.block[slots[s]]
        if block == 0:
            out[at] = _NO_BLOCK
            at += 1
            continue
        out[at], out[at + 1] = _FORMAT_2, NUMBERS
        at = write_bytes(out, at + 2, int(arrays.size[block]), 2)
        at = write_bytes(out, at, int(arrays.floor_ms[block]), 8)
        entry = int(arrays.first[block]) * CHUNK
        for _ in range(int(arrays.size[block])):
            for number in range(NUMBERS):
                value = number_of(arrays, entry, number)
                width = byte_width(value)
                out[at] = width
                at = write_bytes(out, at + 1, value, width)
            entry = next_entry(arrays, entry)


@allocating
def unpack_contacts(arrays: ContactArrays, data: NDArray[np.uint8], start: int, slots: NDArray[np.int32]) -> int:
    """Read the contacts of `slots` from `data[start:]`; return the offset after them, -1 when a block is too small."""
    at = start
    numbers = np.zeros(NUMBERS, np.int64)
    for s in range(slots.shape[0]):
        size = int(np.int64(data[at]))
        at += 1
        block = arrays.block[slots[s]]
        if size == _NO_BLOCK:
            if block != 0:
                free_block(arrays, slots[s])
            continue
        first = size != _FORMAT_2
        if not first:
            if data[at] != NUMBERS:
                return -1
            size = read_bytes(data, at + 1, 2)
            at += 3
        if size > arrays.meta[LIMIT]:
            return -1
        if block == 0:
            block = allocate_block(arrays)
            arrays.block[slots[s]] = block
        arrays.size[block] = size
        arrays.floor_ms[block] = read_bytes(data, at, 8)
        at += 8
        for i in range(size):
            entry = place_of(arrays, int(block), i)
            at = read_entry_1(data, at, numbers) if first else read_entry(data, at, numbers)
            if at < 0:
                return -1
            arrays.entries[entry, AT_MS] = numbers[0]
            arrays.entries[entry, EXPIRES_MS] = numbers[1]
            arrays.entries[entry, POSITION] = numbers[2]
            arrays.entries[entry, ROW_STATE_RULE] = numbers[3] | numbers[4] << 24 | numbers[5] << 32
            arrays.entries[entry, CAMPAIGN_CHANNEL] = numbers[6] | numbers[7] << 32
            arrays.entries[entry, OFFER_CATEGORY] = numbers[8] | numbers[9] << 32
    return at


@routine
def read_entry(data: NDArray[np.uint8], at: int, numbers: NDArray[np.int64]) -> int:
    """Read the numbers of an entry; return the offset after them, -1 past the end."""
    for number in range(NUMBERS):
        if at >= data.shape[0]:
            return -1
        width = int(data[at])
        if width > 8 or at + 1 + width > data.shape[0]:
            return -1
        numbers[number] = read_bytes(data, at + 1, width)
        at += 1 + width
    return at


@routine
def read_entry_1(data: NDArray[np.uint8], at: int, numbers: NDArray[np.int64]) -> int:
    """Read an entry of format 1 as its numbers of now; return the offset after it, -1 past the end."""
    if at + ENTRY_1_BYTES > data.shape[0]:
        return -1
    numbers[0] = read_bytes(data, at, 8)
    numbers[1] = numbers[0] + EXPIRY_1_MS
    numbers[2] = read_bytes(data, at + 8, 8)
    numbers[3] = read_bytes(data, at + 16, 4)
    numbers[4] = data[at + 32]
    numbers[5] = read_bytes(data, at + 20, 4)
    numbers[6] = read_bytes(data, at + 24, 4)
    numbers[7] = read_bytes(data, at + 28, 4)
    numbers[8], numbers[9] = 0, 0
    return at + ENTRY_1_BYTES


@routine
def write_bytes(out: NDArray[np.uint8], at: int, value: int, width: int) -> int:
    """Write the low `width` bytes of `value`, little-endian; return the offset after them."""
    for i in range(width):
        out[at + i] = (value >> (8 * i)) & 255
    return at + width


@routine
def read_bytes(data: NDArray[np.uint8], at: int, width: int) -> int:
    """Read `width` little-endian bytes as a non-negative number (eight bytes: signed)."""
    value = 0
    for i in range(width):
        value |= int(data[at + i]) << (8 * i)
    return value
