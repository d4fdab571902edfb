"""What was promised to each subscriber, and when it reached them: the memory of the caps and of what still waits.

A subscriber that something was decided for has a block: a header and a chain of chunks of four contacts, at most
`entries_max` contacts in all. Chunks are made as they are needed and kept until the block is given back, so the
uncounted majority costs four bytes each, and the others what they were promised.

    RESERVED      decided, not yet sent: it may reach the subscriber at any time before it expires
    COMMITTED     it reached the subscriber at its contact time, which the gateway's acceptance says
    UNKNOWN       it may have, at the time of its attempt
    SHADOW        the subscriber is held out: it counts where it would have been sent, at its decision; so does that of
                  a rule in shadow, which is marked (REHEARSED) and counts among such rules alone
    WITHDRAWN     judged again and stopped; it may have been on its way by then, so it counts until its end is told

All times are the log's. A refund removes a contact, and so does any end of one that no cap and no offer counts
afterwards (UNCAPPED), which is here only while it waits. An outcome that is said late or twice changes nothing: the
first contact time stays.

The list is bounded: a full block gives up what has expired, then the oldest contact when no cap or
offer can count it any more (older than the book's longest window), and remembers its time as the floor; a cap whose
window reaches below the floor answers no, so nothing leaks. What no cap counts goes last, and is not tracked where
there is no place. What is REHEARSED gives way to all others and takes the place of none, so the others are those that
they would be without it. Which caps apply is not known here: see `rules.gates`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.jit import kernel, part, routine

FREE, RESERVED, COMMITTED, UNKNOWN, SHADOW, WITHDRAWN = range(6)
STATES = 15
"""Bits of the state; those above are marks."""
DECLINED = 16
"""Mark of a contact whose offer the customer declined."""
UNCAPPED = 32
"""Mark of a contact that no cap or offer of its book counts once it was sent: it ends with its first outcome."""
SERVICE = 64
"""Mark of a service message, which channel-wide and overall caps do not count."""
REHEARSED = 128
"""Mark of a contact that a rule in shadow would have made: only rules in shadow count it."""

ENTRIES_MAX = 200
NEVER_MS = 1 << 62
"""Expiry of what waits for any time."""

AT_MS, EXPIRES_MS, POSITION, ROW_STATE_RULE, CAMPAIGN_CHANNEL, OFFER_CATEGORY = range(6)
"""Words of an entry. AT_MS is when it was reserved, and from its outcome on when it reached the subscriber. Numbers
share a word, the first in the low half; in one word 24 bits of row, 8 of state, 32 of rule."""

WORDS = 6
CHUNK = 4
"""Contacts in a chunk."""
_LOW32 = (1 << 32) - 1
_LOW24 = (1 << 24) - 1


class ContactArrays(NamedTuple):
    """The columns, for kernels. Blocks and chunks count from 1; 0 is none.

    `block` int32[slots]. By block: `size` uint8 contacts, `first` int32 chunk, `floor_ms` int64. By chunk: `following`
    int32, the next of its chain, or of those given back. `entries` int64[CHUNK * chunks, WORDS].

    `free` int32[blocks + 1] is a stack of blocks given back; cell 0 is its height. `meta` int64[5]: next new block,
    next new chunk, first chunk given back, `entries_max`, and how many uncapped contacts found no place since start.
    """

    block: NDArray[np.int32]
    size: NDArray[np.uint8]
    first: NDArray[np.int32]
    floor_ms: NDArray[np.int64]
    following: NDArray[np.int32]
    entries: NDArray[np.int64]
    free: NDArray[np.int32]
    meta: NDArray[np.int64]


NEW_BLOCK, NEW_CHUNK, FREE_CHUNK, LIMIT, UNTRACKED = range(5)
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
            meta=np.array([1, 1, 0, entries_max, 0], np.int64),
        )

    @property
    def used_bytes(self) -> int:
        """Bytes of all blocks and chunks ever used; what was given back is kept for others."""
        blocks, chunks = self.arrays.meta[:2].tolist()
        return int(blocks * 13 + chunks * (4 + CHUNK * WORDS * 8))

    @property
    def untracked(self) -> int:
        """Decisions since the start that no cap counts and that found no place in a full list."""
        return int(self.arrays.meta[UNTRACKED])

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
            at_ms, expires_ms, position, what, where, offered = arrays.entries[entry].tolist()
            found.append(
                {
                    "at_ms": at_ms, "expires_ms": expires_ms, "position": position, "row": what & _LOW24,
                    "rule": what >> 32, "campaign": where & _LOW32, "channel": where >> 32,
                    "offer": offered & _LOW32, "category": offered >> 32, "state": what >> 24 & 255,
                }
            )  # fmt: skip
            entry = vars(next_entry)["py_func"](arrays, entry)  # the piece itself has no code for Python
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
    return int(arrays.entries[entry, ROW_STATE_RULE] >> 32)


@part
def row_of(arrays: ContactArrays, entry: int) -> int:
    """Return the row of a contact's decision."""
    return int(arrays.entries[entry, ROW_STATE_RULE] & _LOW24)


@part
def state_of(arrays: ContactArrays, entry: int) -> int:
    """Return the state of a contact, with its marks."""
    return int(arrays.entries[entry, ROW_STATE_RULE] >> 24 & 255)


@part
def set_state(arrays: ContactArrays, entry: int, state: int) -> None:
    """Change the state of a contact, not its marks."""
    word = int(arrays.entries[entry, ROW_STATE_RULE])
    arrays.entries[entry, ROW_STATE_RULE] = (word & ~(STATES << 24)) | (state << 24)


@part
def add_mark(arrays: ContactArrays, entry: int, mark: int) -> None:
    """Set a mark of a contact, beside its state."""
    arrays.entries[entry, ROW_STATE_RULE] |= mark << 24


@part
def campaign_of(arrays: ContactArrays, entry: int) -> int:
    """Return the campaign of a contact."""
    return int(arrays.entries[entry, CAMPAIGN_CHANNEL] & _LOW32)


@part
def channel_of(arrays: ContactArrays, entry: int) -> int:
    """Return the channel of a contact."""
    return int(arrays.entries[entry, CAMPAIGN_CHANNEL] >> 32)


@part
def offer_of(arrays: ContactArrays, entry: int) -> int:
    """Return the offer of a contact, 0 for none."""
    return int(arrays.entries[entry, OFFER_CATEGORY] & _LOW32)


@part
def category_of(arrays: ContactArrays, entry: int) -> int:
    """Return the category of a contact, 0 for none."""
    return int(arrays.entries[entry, OFFER_CATEGORY] >> 32)


@part
def waits(arrays: ContactArrays, entry: int, log_ms: int) -> bool:
    """Return whether a contact may still be sent at `log_ms`."""
    return state_of(arrays, entry) & STATES == RESERVED and arrays.entries[entry, EXPIRES_MS] > log_ms


@part
def may_come(arrays: ContactArrays, entry: int, log_ms: int) -> bool:
    """Return whether a contact without an end may reach the subscriber yet, or have reached it by `log_ms`."""
    state = state_of(arrays, entry) & STATES
    return state in (RESERVED, WITHDRAWN) and arrays.entries[entry, EXPIRES_MS] > log_ms


@part
def reserve(
    arrays: ContactArrays,
    slot: int,
    at_ms: int,
    expires_ms: int,
    position: int,
    row: int,
    rule: int,
    campaign: int,
    channel: int,
    offer: int,
    category: int,
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
    arrays.entries[entry, EXPIRES_MS] = expires_ms
    arrays.entries[entry, POSITION] = position
    arrays.entries[entry, ROW_STATE_RULE] = row | ((state & 255) << 24) | (rule << 32)
    arrays.entries[entry, CAMPAIGN_CHANNEL] = campaign | (channel << 32)
    arrays.entries[entry, OFFER_CATEGORY] = offer | (category << 32)


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
def make_room(
    arrays: ContactArrays, slot: int, log_ms: int, horizon_start_ms: int, capped: bool, rehearsed: bool
) -> bool:
    """Return whether `slot` can take one more contact, giving up another where that is needed.

    What was rehearsed goes first, and for what is `rehearsed` nothing else; then what has expired without an end, then
    the oldest contact before `horizon_start_ms`, then, for a contact that caps count, one that they do not.
    """
    block = arrays.block[slot]
    if block == 0 or arrays.size[block] < arrays.meta[LIMIT]:
        return True
    over, oldest, uncapped, acted = -1, -1, -1, -1
    oldest_ms = horizon_start_ms
    entry = int(arrays.first[block]) * CHUNK
    for i in range(np.int64(arrays.size[block])):
        whole = state_of(arrays, entry)
        state, at_ms = whole & STATES, int(arrays.entries[entry, AT_MS])
        if whole & REHEARSED != 0:
            acted = i if acted < 0 else acted
        elif state in (RESERVED, WITHDRAWN) and arrays.entries[entry, EXPIRES_MS] <= log_ms:
            over = i if over < 0 else over
        elif whole & UNCAPPED != 0:
            uncapped = i if uncapped < 0 else uncapped
        elif state not in (RESERVED, WITHDRAWN) and at_ms < oldest_ms:
            oldest, oldest_ms = i, at_ms
        entry = next_entry(arrays, entry)
    if acted >= 0 or rehearsed:
        if acted >= 0:
            remove_entry(arrays, block, acted)
        return acted >= 0
    if over >= 0:
        remove_entry(arrays, block, over)
        return True
    if oldest >= 0:
        arrays.floor_ms[block] = max(int(arrays.floor_ms[block]), oldest_ms)
        remove_entry(arrays, block, oldest)
        return True
    if capped and uncapped >= 0:
        arrays.meta[UNTRACKED] += 1
        remove_entry(arrays, block, uncapped)
        return True
    return False


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


@routine
def settle(arrays: ContactArrays, slot: int, position: int, row: int, rule: int, state: int, contact_ms: int) -> bool:
    """End the waiting of one decision's contact; return whether it was found.

    `state`: COMMITTED or UNKNOWN, at `contact_ms`; FREE for a refund, which removes it. Said twice, or after the
    contact was given up, it changes nothing.
    """
    block = arrays.block[slot]
    entry = int(arrays.first[block]) * CHUNK
    for i in range(int(arrays.size[block])):
        same = arrays.entries[entry, POSITION] == position and row_of(arrays, entry) == row
        if same and rule_of(arrays, entry) == rule:
            whole = state_of(arrays, entry)
            if state == FREE or whole & UNCAPPED != 0:
                remove_entry(arrays, block, i)
            elif whole & STATES in (RESERVED, WITHDRAWN) or (whole & STATES == UNKNOWN and state == COMMITTED):
                set_state(arrays, entry, state)
                arrays.entries[entry, AT_MS] = contact_ms
            return True
        entry = next_entry(arrays, entry)
    return False


@kernel
def release_contacts(arrays: ContactArrays, slots: NDArray[np.int32]) -> None:
    """Free the blocks of `slots`."""
    for i in range(slots.shape[0]):
        if arrays.block[slots[i]] != 0:
            free_block(arrays, slots[i])


@routine
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
