"""Kernels that write the contacts of slots as bytes and read them back: the end of every packed page and row.

A slot without a block is one byte, 255. Any other is its number of contacts, its floor, and 33 bytes a contact: four
words and the state.
"""

import numpy as np
from numpy.typing import NDArray

from state.contacts import (
    CHUNK,
    LIMIT,
    STATE,
    ContactArrays,
    allocate_block,
    free_block,
    next_entry,
    place_of,
)
from state.jit import kernel

ENTRY_BYTES = 33
HEADER_BYTES = 9  # size u8, floor i64
_NO_BLOCK = 255


@kernel
def packed_bytes(arrays: ContactArrays, slots: NDArray[np.int32]) -> int:
    """Return how many bytes `pack_contacts` writes for `slots`."""
    total = slots.shape[0]
    for i in range(slots.shape[0]):
        block = arrays.block[slots[i]]
        if block != 0:
            total += HEADER_BYTES - 1 + arrays.size[block] * ENTRY_BYTES
    return int(total)


@kernel
def pack_contacts(arrays: ContactArrays, slots: NDArray[np.int32], out: NDArray[np.uint8]) -> None:
    """Write the contacts of `slots` to `out`: 255 for none, else the size, the floor and the entries."""
    at = 0
    for s in range(slots.shape[0]):
        block = arrays.block[slots[s]]
        if block == 0:
            out[at] = _NO_BLOCK
            at += 1
            continue
        out[at] = arrays.size[block]
        at = write_bytes(out, at + 1, int(arrays.floor_ms[block]), 8)
        entry = int(arrays.first[block]) * CHUNK
        for _ in range(int(arrays.size[block])):
            for word in range(STATE):
                at = write_bytes(out, at, int(arrays.entries[entry, word]), 8)
            at = write_bytes(out, at, int(arrays.entries[entry, STATE]), 1)
            entry = next_entry(arrays, entry)


@kernel
def unpack_contacts(arrays: ContactArrays, data: NDArray[np.uint8], start: int, slots: NDArray[np.int32]) -> int:
    """Read the contacts of `slots` from `data[start:]`; return the offset after them, -1 when a block is too small."""
    at = start
    for s in range(slots.shape[0]):
        size = np.int64(data[at])
        at += 1
        block = arrays.block[slots[s]]
        if size == _NO_BLOCK:
            if block != 0:
                free_block(arrays, slots[s])
            continue
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
            for word in range(STATE):
                arrays.entries[entry, word] = read_bytes(data, at + 8 * word, 8)
            arrays.entries[entry, STATE] = data[at + 32]
            at += ENTRY_BYTES
    return at


@kernel
def write_bytes(out: NDArray[np.uint8], at: int, value: int, width: int) -> int:
    """Write the low `width` bytes of `value`, little-endian; return the offset after them."""
    for i in range(width):
        out[at + i] = (value >> (8 * i)) & 255
    return at + width


@kernel
def read_bytes(data: NDArray[np.uint8], at: int, width: int) -> int:
    """Read `width` little-endian bytes as a non-negative number (eight bytes: signed)."""
    value = 0
    for i in range(width):
        value |= int(data[at + i]) << (8 * i)
    return value
