"""What was promised to each subscriber, and when: the memory of the frequency caps.

A subscriber that was ever chosen for a capped message has a block: a header and a chain of chunks of four contacts, at
most `entries_max` contacts in all. Chunks are made as they are needed and kept until the block is given back, so the
uncounted majority costs four bytes each, and the others what they were promised. A contact is reserved when the decider
chooses a channel, committed when the gateway accepts, removed when the send is refunded.

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
DECLINED = 32
"""Bit of a contact's state: the customer declined what was offered."""
STATE_MASK = 31
"""The bits that say how far a contact is: one of the states."""

ENTRIES_MAX = 200


AT_MS, POSITION, ROW_RULE, CAMPAIGN_CHANNEL, STATE = range(5)
"""Words of an entry; two 32-bit numbers share one, the first in the low half."""

WORDS = 5
CHUNK = 4
"""Contacts in a chunk."""
_LOW32 = (1 << 32) - 1


class ContactArrays(NamedTuple):
    """The columns, for kernels. Blocks and chunks count from 1; 0 is none.

    `block` int32[slots]. By block: `size` uint8 contacts, `first` int32 chunk, `floor_ms` int64. By chunk: `following`
    int32, the next of its chain, or of those given back. `entries` int64[CHUNK * chunks, WORDS].

    `free` int32[blocks + 1] is a stack of blocks given back; cell 0 is its height. `meta` int64[4]: next new block,
    next new chunk, first chunk given back, `entries_max`.
    """

    block: NDArray[np.int32]
    size: NDArray[np.uint8]
    first: NDArray[np.int32]
    floor_ms: NDArray[np.int64]
    following: NDArray[np.int32]
    entries: NDArray[np.int64]
    free: NDArray[np.int32]
    meta: NDArray[np.int64]


NEW_BLOCK, NEW_CHUNK, FREE_CHUNK, LIMIT = range(4)
"""Cells of `meta`."""


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
        chunks = capacity * -(-entries_max // CHUNK) + 1
        self.arrays = ContactArrays(
            block=np.zeros(capacity, np.int32),
            size=np.zeros(capacity + 1, np.uint8),
            first=np.zeros(capacity + 1, np.int32),
            floor_ms=np.zeros(capacity + 1, np.int64),
            following=np.zeros(chunks, np.int32),
            entries=np.zeros((chunks * CHUNK, WORDS), np.int64),
            free=np.zeros(capacity + 2, np.int32),
            meta=np.array([1, 1, 0, entries_max], np.int64),
        )

    @property
    def used_bytes(self) -> int:
        """Bytes of all blocks and chunks ever used; what was given back is kept for others."""
        blocks, chunks = self.arrays.meta[:2].tolist()
        return int(blocks * 13 + chunks * (4 + CHUNK * WORDS * 8))

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the contacts of `slots`: their subscribers leave memory."""
        release_contacts(self.arrays, slots)

    def of(self, slot: int) -> list[dict[str, int]]:
        """Return the contacts of one slot in the order they were made, for status and tests."""
        arrays = self.arrays
        block = int(arrays.block[slot])
        found = []
        entry = int(arrays.first[block]) * CHUNK
        for _ in range(int(arrays.size[block])):
            at_ms, position, row_rule, where, state = arrays.entries[entry].tolist()
            found.append(
                {
                    "at_ms": at_ms, "position": position, "row": row_rule & _LOW32, "rule": row_rule >> 32,
                    "campaign": where & _LOW32, "channel": where >> 32, "state": state,
                }
            )  # fmt: skip
            entry = next_entry(arrays, entry)
        return found


@part
def next_entry(arrays: ContactArrays, entry: int) -> int:
    """Return the entry after this one in its chain."""
    if entry % CHUNK != CHUNK - 1:
        return entry + 1
    return int(arrays.following[entry // CHUNK]) * CHUNK


@part
def place_of(arrays: ContactArrays, block: int, index: int) -> int:
    """Return the entry of a block's contact by its index; the chain is made long enough."""
    chunk = int(arrays.first[block])
    for _ in range(index // CHUNK):
        after = int(arrays.following[chunk])
        if after == 0:
            after = allocate_chunk(arrays)
            arrays.following[chunk] = after
        chunk = after
    return chunk * CHUNK + index % CHUNK


@part
def allocate_chunk(arrays: ContactArrays) -> int:
    """Return an unused chunk that nothing follows."""
    chunk = int(arrays.meta[FREE_CHUNK])
    if chunk == 0:
        chunk = int(arrays.meta[NEW_CHUNK])
        arrays.meta[NEW_CHUNK] = chunk + 1
    else:
        arrays.meta[FREE_CHUNK] = arrays.following[chunk]
        arrays.following[chunk] = 0
    return chunk


@part
def rule_of(arrays: ContactArrays, entry: int) -> int:
    """Return the rule of a contact."""
    return int(arrays.entries[entry, ROW_RULE] >> 32)


@part
def campaign_of(arrays: ContactArrays, entry: int) -> int:
    """Return the campaign of a contact."""
    return int(arrays.entries[entry, CAMPAIGN_CHANNEL] & _LOW32)


@part
def channel_of(arrays: ContactArrays, entry: int) -> int:
    """Return the channel of a contact."""
    return int(arrays.entries[entry, CAMPAIGN_CHANNEL] >> 32)


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
        block = allocate_block(arrays)
        arrays.block[slot] = block
    size = int(arrays.size[block])
    entry = place_of(arrays, block, size)
    arrays.size[block] = size + 1
    arrays.entries[entry, AT_MS] = at_ms
    arrays.entries[entry, POSITION] = position
    arrays.entries[entry, ROW_RULE] = row | (rule << 32)
    arrays.entries[entry, CAMPAIGN_CHANNEL] = campaign | (channel << 32)
    arrays.entries[entry, STATE] = state & 255


@part
def allocate_block(arrays: ContactArrays) -> int:
    """Return an empty block with one chunk."""
    height = arrays.free[0]
    if height > 0:
        block = arrays.free[height]
        arrays.free[0] = height - 1
    else:
        block = np.int32(arrays.meta[NEW_BLOCK])
        arrays.meta[NEW_BLOCK] += 1
    arrays.size[block] = 0
    arrays.first[block] = allocate_chunk(arrays)
    arrays.floor_ms[block] = 0
    return int(block)


@part
def make_room(arrays: ContactArrays, slot: int, horizon_start_ms: int) -> bool:
    """Return whether `slot` can take one more contact, giving up the oldest one made before `horizon_start_ms`."""
    block = arrays.block[slot]
    if block == 0 or arrays.size[block] < arrays.meta[LIMIT]:
        return True
    entry = int(arrays.first[block]) * CHUNK
    oldest, oldest_ms = 0, int(arrays.entries[entry, AT_MS])
    for i in range(1, int(arrays.size[block])):
        entry = next_entry(arrays, entry)
        if arrays.entries[entry, AT_MS] < oldest_ms:
            oldest, oldest_ms = i, int(arrays.entries[entry, AT_MS])
    if oldest_ms >= horizon_start_ms:
        return False
    arrays.floor_ms[block] = max(int(arrays.floor_ms[block]), oldest_ms)
    remove_entry(arrays, block, oldest)
    return True


@part
def remove_entry(arrays: ContactArrays, block: int, entry: int) -> None:
    """Remove one contact, by its index in the block, keeping the others in order."""
    last = int(arrays.size[block]) - 1
    to = place_of(arrays, block, entry)
    for _ in range(entry, last):
        after = next_entry(arrays, to)
        for word in range(WORDS):
            arrays.entries[to, word] = arrays.entries[after, word]
        to = after
    arrays.size[block] = last


@kernel
def settle(arrays: ContactArrays, slot: int, position: int, row: int, rule: int, refund: bool) -> bool:
    """Commit or refund the contact of one decision; return whether it was found.

    A refund removes the contact, so a refund said twice, or after the contact was given up, changes nothing.
    """
    block = arrays.block[slot]
    entry = int(arrays.first[block]) * CHUNK
    for i in range(int(arrays.size[block])):
        if arrays.entries[entry, POSITION] == position and arrays.entries[entry, ROW_RULE] == row | (rule << 32):
            if refund:
                remove_entry(arrays, block, i)
            else:
                arrays.entries[entry, STATE] = COMMITTED | (arrays.entries[entry, STATE] & ~STATE_MASK)
            return True
        entry = next_entry(arrays, entry)
    return False


@kernel
def release_contacts(arrays: ContactArrays, slots: NDArray[np.int32]) -> None:
    """Free the blocks of `slots`."""
    for i in range(slots.shape[0]):
        if arrays.block[slots[i]] != 0:
            free_block(arrays, slots[i])


@kernel
def free_block(arrays: ContactArrays, slot: int) -> None:
    """Give back the block of `slot` and its chunks."""
    block = arrays.block[slot]
    last = int(arrays.first[block])
    while arrays.following[last] != 0:
        last = int(arrays.following[last])
    arrays.following[last] = arrays.meta[FREE_CHUNK]
    arrays.meta[FREE_CHUNK] = arrays.first[block]
    arrays.size[block] = 0
    arrays.block[slot] = 0
    height = arrays.free[0] + 1
    arrays.free[height] = block
    arrays.free[0] = height
