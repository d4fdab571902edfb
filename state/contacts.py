"""What was promised to each subscriber, and when: the memory of the frequency caps.

A subscriber who was ever chosen for a capped message has a block of at most `entries_max` contacts. A contact is
reserved when the decider chooses a channel, committed when the gateway accepts, removed when the send is refunded.
Blocks are allocated on the first contact, so the uncounted majority costs four bytes each.

The list is bounded: a full block gives up a contact only when no cap can count it any more (older than the book's
longest window), and remembers the time of the newest one given up as its floor; a cap whose window reaches below the
floor answers no, so nothing leaks. Which caps apply is not known here: see `rules.gates`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.jit import kernel, part

FREE, RESERVED, COMMITTED = 0, 1, 2
SERVICE = 64
"""Bit of a contact's state: a service message, which channel-wide and overall caps do not count."""

ENTRY_BYTES = 33
HEADER_BYTES = 9
ENTRIES_MAX = 200


class ContactArrays(NamedTuple):
    """The columns, for kernels. Blocks count from 1; block 0 stays empty.

    `block` int32[slots], `size` uint8[blocks], `floor_ms` int64[blocks], `free` int32[blocks + 1] (a stack; cell 0 is
    its height), `next_new` int64[1]; the rest [blocks, entries_max].
    """

    block: NDArray[np.int32]
    size: NDArray[np.uint8]
    floor_ms: NDArray[np.int64]
    free: NDArray[np.int32]
    next_new: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    position: NDArray[np.int64]
    row: NDArray[np.int32]
    rule: NDArray[np.int32]
    campaign: NDArray[np.int32]
    channel: NDArray[np.int32]
    state: NDArray[np.uint8]


class Contacts:
    """Contacts of one partition's subscribers, by slot.

    Args:
        capacity: slots of the partition's table.
        entries_max: contacts a subscriber, 1 to 200.

    Raises:
        ValueError: when `entries_max` is out of bounds.
    """

    def __init__(self, capacity: int, entries_max: int) -> None:
        if not 1 <= entries_max <= ENTRIES_MAX:
            raise ValueError(f"contacts_max={entries_max} must be >= 1 and <= {ENTRIES_MAX}")
        self.entries_max = entries_max
        shape = (capacity + 1, entries_max)
        self.arrays = ContactArrays(
            block=np.zeros(capacity, np.int32),
            size=np.zeros(capacity + 1, np.uint8),
            floor_ms=np.zeros(capacity + 1, np.int64),
            free=np.zeros(capacity + 2, np.int32),
            next_new=np.ones(1, np.int64),
            at_ms=np.zeros(shape, np.int64),
            position=np.zeros(shape, np.int64),
            row=np.zeros(shape, np.int32),
            rule=np.zeros(shape, np.int32),
            campaign=np.zeros(shape, np.int32),
            channel=np.zeros(shape, np.int32),
            state=np.zeros(shape, np.uint8),
        )

    def pack(self, slots: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Return the contacts of `slots`, in order, as bytes: a size byte each, then floor and entries where any."""
        out = np.empty(packed_bytes(self.arrays, slots), np.uint8)
        pack_contacts(self.arrays, slots, out)
        return out

    def unpack(self, data: NDArray[np.uint8], start: int, slots: NDArray[np.int32]) -> int:
        """Read what `pack` wrote for as many slots, replacing their contacts; return the offset behind it."""
        end = int(unpack_contacts(self.arrays, data, start, slots))
        if end < 0:
            raise ValueError(f"contacts at offset {start} are longer than contacts_max={self.entries_max}")
        return end

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the contacts of `slots`: their subscribers leave memory."""
        release_contacts(self.arrays, slots)

    def of(self, slot: int) -> list[dict[str, int]]:
        """Return the contacts of one slot in the order they were made, for status and tests."""
        arrays = self.arrays
        block = int(arrays.block[slot])
        names = ("at_ms", "position", "row", "rule", "campaign", "channel", "state")
        return [{name: int(getattr(arrays, name)[block, i]) for name in names} for i in range(int(arrays.size[block]))]


@part
def reserve(
    arrays: ContactArrays,
    slot: int,
    at_ms: int,
    position: int,
    row: int,
    rule: int,
    campaign: int,
    channel: int,
    state: int,
) -> None:
    """Append a contact; the caller has made room with `make_room`."""
    block = arrays.block[slot]
    if block == 0:
        block = take_block(arrays)
        arrays.block[slot] = block
    i = arrays.size[block]
    arrays.size[block] = i + 1
    arrays.at_ms[block, i] = at_ms
    arrays.position[block, i] = position
    arrays.row[block, i] = row
    arrays.rule[block, i] = rule
    arrays.campaign[block, i] = campaign
    arrays.channel[block, i] = channel
    arrays.state[block, i] = state


@part
def take_block(arrays: ContactArrays) -> int:
    """Return an empty block."""
    height = arrays.free[0]
    if height > 0:
        block = arrays.free[height]
        arrays.free[0] = height - 1
    else:
        block = np.int32(arrays.next_new[0])
        arrays.next_new[0] += 1
    arrays.size[block] = 0
    arrays.floor_ms[block] = 0
    return int(block)


@part
def make_room(arrays: ContactArrays, slot: int, horizon_start_ms: int) -> bool:
    """Return whether `slot` can take one more contact, giving up the oldest one made before `horizon_start_ms`."""
    block = arrays.block[slot]
    if block == 0 or arrays.size[block] < arrays.at_ms.shape[1]:
        return True
    oldest = 0
    for i in range(1, arrays.size[block]):
        if arrays.at_ms[block, i] < arrays.at_ms[block, oldest]:
            oldest = i
    if arrays.at_ms[block, oldest] >= horizon_start_ms:
        return False
    arrays.floor_ms[block] = max(arrays.floor_ms[block], arrays.at_ms[block, oldest])
    remove_entry(arrays, block, oldest)
    return True


@part
def remove_entry(arrays: ContactArrays, block: int, entry: int) -> None:
    """Remove one contact, keeping the others in order."""
    last = arrays.size[block] - 1
    for i in range(entry, last):
        arrays.at_ms[block, i] = arrays.at_ms[block, i + 1]
        arrays.position[block, i] = arrays.position[block, i + 1]
        arrays.row[block, i] = arrays.row[block, i + 1]
        arrays.rule[block, i] = arrays.rule[block, i + 1]
        arrays.campaign[block, i] = arrays.campaign[block, i + 1]
        arrays.channel[block, i] = arrays.channel[block, i + 1]
        arrays.state[block, i] = arrays.state[block, i + 1]
    arrays.size[block] = last


@kernel
def settle(arrays: ContactArrays, slot: int, position: int, row: int, rule: int, refund: bool) -> bool:
    """Commit or refund the contact of one decision; return whether it was found.

    A refund removes the contact, so a refund said twice, or after the contact was given up, changes nothing.
    """
    block = arrays.block[slot]
    for i in range(arrays.size[block]):
        if arrays.position[block, i] == position and arrays.row[block, i] == row and arrays.rule[block, i] == rule:
            if refund:
                remove_entry(arrays, block, i)
            else:
                arrays.state[block, i] = COMMITTED | (arrays.state[block, i] & SERVICE)
            return True
    return False


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
            out[at] = 255
            at += 1
            continue
        out[at] = arrays.size[block]
        at = put(out, at + 1, int(arrays.floor_ms[block]), 8)
        for i in range(arrays.size[block]):
            at = put(out, at, int(arrays.at_ms[block, i]), 8)
            at = put(out, at, int(arrays.position[block, i]), 8)
            at = put(out, at, int(arrays.row[block, i]), 4)
            at = put(out, at, int(arrays.rule[block, i]), 4)
            at = put(out, at, int(arrays.campaign[block, i]), 4)
            at = put(out, at, int(arrays.channel[block, i]), 4)
            at = put(out, at, int(arrays.state[block, i]), 1)


@kernel
def unpack_contacts(arrays: ContactArrays, data: NDArray[np.uint8], start: int, slots: NDArray[np.int32]) -> int:
    """Read the contacts of `slots` from `data[start:]`; return the offset behind them, -1 when a block is too small."""
    at = start
    for s in range(slots.shape[0]):
        size = np.int64(data[at])
        at += 1
        block = arrays.block[slots[s]]
        if size == 255:
            if block != 0:
                give_block(arrays, slots[s])
            continue
        if size > arrays.at_ms.shape[1]:
            return -1
        if block == 0:
            block = take_block(arrays)
            arrays.block[slots[s]] = block
        arrays.size[block] = size
        arrays.floor_ms[block] = get(data, at, 8)
        at += 8
        for i in range(size):
            arrays.at_ms[block, i] = get(data, at, 8)
            arrays.position[block, i] = get(data, at + 8, 8)
            arrays.row[block, i] = get(data, at + 16, 4)
            arrays.rule[block, i] = get(data, at + 20, 4)
            arrays.campaign[block, i] = get(data, at + 24, 4)
            arrays.channel[block, i] = get(data, at + 28, 4)
            arrays.state[block, i] = data[at + 32]
            at += ENTRY_BYTES
    return at


@kernel
def release_contacts(arrays: ContactArrays, slots: NDArray[np.int32]) -> None:
    """Free the blocks of `slots`."""
    for i in range(slots.shape[0]):
        if arrays.block[slots[i]] != 0:
            give_block(arrays, slots[i])


@kernel
def give_block(arrays: ContactArrays, slot: int) -> None:
    """Return the block of `slot` to the free stack."""
    block = arrays.block[slot]
    arrays.size[block] = 0
    arrays.block[slot] = 0
    height = arrays.free[0] + 1
    arrays.free[height] = block
    arrays.free[0] = height


@kernel
def put(out: NDArray[np.uint8], at: int, value: int, width: int) -> int:
    """Write the low `width` bytes of `value`, little-endian; return the offset behind them."""
    for i in range(width):
        out[at + i] = (value >> (8 * i)) & 255
    return at + width


@kernel
def get(data: NDArray[np.uint8], at: int, width: int) -> int:
    """Read `width` little-endian bytes as a non-negative number (eight bytes: signed)."""
    value = 0
    for i in range(width):
        value |= int(data[at + i]) << (8 * i)
    return value
