"""Subscriber to slot: an open-addressing table of 64-bit entries.

An entry is `tag << 28 | slot + 1`, 0 when free. The tag is 35 bits of the subscriber's hash; its upper bits are the
entry's home, so the table doubles in one pass that reads no subscriber, and keeps its order. A tag that matches is
confirmed against `subs`. Entries stand in the first free place from their home on; deletion moves the followers back,
so there are no tombstones and a lookup's cost does not rot.

The kernel runs two prefetches ahead of itself: the entry's line FAR rows before, the subscriber's NEAR rows before. A
row then finds both in the cache; without them it would wait for memory twice.
"""

import numpy as np
from numpy.typing import NDArray

from state.hashing import mix64
from state.jit import allocating, kernel, routine
from state.raw import address_of, prefetch, shift_right

SLOT_BITS = 28
SLOTS_MAX = (1 << SLOT_BITS) - 2
TAG_BITS = 35
SIZE_MIN = 1 << 10
LOAD = (5, 8)  # the table doubles before it is fuller than this

_SLOT_MASK = (1 << SLOT_BITS) - 1
_TAG_MASK = (1 << TAG_BITS) - 1
_FAR = 48
_NEAR = 24  # half of FAR: by then the entry has come, and the subscriber has as long to come as the entry had
_RING = 64  # of tags computed ahead: a power of two above FAR
_PAGE_SHIFT = 6  # 64 slots a page

_COUNT, _TOP, _FREE = range(3)  # words of `meta`: live subscribers, slots ever used, length of the free list

Int64s = NDArray[np.int64]
Slots = NDArray[np.int32]


class Index:
    """The slots of `subs`, which belongs to the caller and is written only here and before `rebuild`."""

    def __init__(self, subs: Int64s, expected: int = 0) -> None:
        if subs.shape[0] > SLOTS_MAX:
            raise ValueError(f"capacity={subs.shape[0]} must be <= {SLOTS_MAX}")
        self._subs = subs
        self._meta = np.zeros(3, np.int64)
        self._free = np.zeros(0, np.int32)
        self._fresh = np.zeros(1024, np.int32)
        self._entries = np.zeros(_size_for(expected), np.int64)

    @property
    def count(self) -> int:
        """Live subscribers."""
        return int(self._meta[_COUNT])

    @property
    def top(self) -> int:
        """Slots ever used."""
        return int(self._meta[_TOP])

    def lookup(
        self, subscribers: Int64s, slots: Slots, seen: Int64s, dirty: NDArray[np.uint8], position: int, insert: bool
    ) -> tuple[Slots, int]:
        """Write slots; return the rows that were inserted and the number refused for want of slots."""
        n = subscribers.shape[0]
        if self._fresh.shape[0] < n:
            self._fresh = np.zeros(2 * n, np.int32)
        if insert:
            self._reserve(self.count + n)
        inserted, refused = lookup_rows(
            subscribers, slots, self._subs, seen, dirty, self._entries,
            self._free, self._meta, self._fresh, position, insert,
        )  # fmt: skip
        return self._fresh[:inserted].copy(), refused

    def find(self, subscriber: int) -> int:
        """Return a subscriber's slot or -1."""
        return find_slot(subscriber, self._subs, self._entries)

    def remove(self, slots: Slots) -> None:
        """Free live slots; KeyError names a slot that is not live."""
        # Checked before anything is changed: a slot freed twice would be handed out to two subscribers.
        live = self._subs[slots] != 0
        if not live.all() or np.unique(slots).shape[0] != slots.shape[0]:
            raise KeyError(f"slots={slots[~live].tolist()} must be live, each named once")
        needed = int(self._meta[_FREE]) + slots.shape[0]
        if self._free.shape[0] < needed:
            longer = np.zeros(max(1024, 2 * needed), np.int32)
            longer[: self._free.shape[0]] = self._free
            self._free = longer
        remove_slots(slots, self._subs, self._entries, self._free, self._meta)

    def rebuild(self) -> None:
        """Make entries, free list and counts from the non-zero rows of the caller's `subs`."""
        live = np.flatnonzero(self._subs)
        top = int(live[-1]) + 1 if live.shape[0] else 0
        self._free = np.flatnonzero(self._subs[:top] == 0).astype(np.int32)[::-1].copy()
        self._meta[:] = live.shape[0], top, self._free.shape[0]
        self._entries = np.zeros(max(_size_for(live.shape[0]), self._entries.shape[0]), np.int64)
        fill_entries(self._subs, top, self._entries)

    def entry_bytes(self) -> int:
        """Bytes of the table a subscriber, at its present fill."""
        return int(self._entries.nbytes // max(self.count, 1))

    def _reserve(self, count: int) -> None:
        size = _size_for(min(count, self._subs.shape[0]))
        while self._entries.shape[0] < size:
            doubled = np.zeros(2 * self._entries.shape[0], np.int64)
            spread_entries(self._entries, doubled)
            self._entries = doubled


def _size_for(count: int) -> int:
    size = SIZE_MIN
    while size * LOAD[0] < count * LOAD[1]:
        size *= 2
    return size


@routine
def home_shift(entries: Int64s) -> int:
    """Return by how many bits a tag is shifted to give the home in a table of this (power of two) size."""
    shift = TAG_BITS
    size = entries.shape[0]
    while size > 1:
        size //= 2
        shift -= 1
    return shift


@routine
def probe(entries: Int64s, subs: Int64s, subscriber: int, tag: int, shift: int) -> int:
    """Return the place of the subscriber's entry, or of the free entry where it would stand."""
    mask = entries.shape[0] - 1
    place = shift_right(tag, shift)
    while True:  # ends, because the table is never fuller than LOAD
        entry = entries[place]
        if entry == 0 or (shift_right(entry, SLOT_BITS) == tag and subs[(entry & _SLOT_MASK) - 1] == subscriber):
            return place
        place = (place + 1) & mask


@kernel
def find_slot(subscriber: int, subs: Int64s, entries: Int64s) -> int:
    """Return a subscriber's slot or -1."""
    if subscriber <= 0:
        return -1
    place = probe(entries, subs, subscriber, mix64(subscriber) & _TAG_MASK, home_shift(entries))
    return (entries[place] & _SLOT_MASK) - 1


@routine
def prefetch_home(tag: int, base: int, shift: int) -> None:
    """Fetch the line of the entry where a search for `tag` begins."""
    prefetch(base + shift_right(tag, shift) * 8)


@routine
def prefetch_slot(tag: int, entries: Int64s, shift: int, subs_base: int, seen_base: int) -> None:
    """Fetch the subscriber of the first entry of the search for `tag` that carries it."""
    mask = entries.shape[0] - 1
    place = shift_right(tag, shift)
    entry = entries[place]
    # The tag alone decides here: comparing the subscriber would wait for the very line that is to be fetched.
    while entry != 0 and shift_right(entry, SLOT_BITS) != tag:
        place = (place + 1) & mask
        entry = entries[place]
    slot = (entry & _SLOT_MASK) - 1
    if slot >= 0:
        prefetch(subs_base + slot * 8)
        prefetch(seen_base + slot * 8)


@routine
def allocate_slot(free: Slots, meta: Int64s, capacity: int) -> int:
    """Return a slot nobody has, the last freed first; -1 when there is none."""
    slot = -1
    if meta[_FREE] > 0:
        meta[_FREE] -= 1
        slot = free[meta[_FREE]]
    elif meta[_TOP] < capacity:
        slot = meta[_TOP]
        meta[_TOP] += 1
    if slot >= 0:
        meta[_COUNT] += 1
    return slot


@allocating
def lookup_rows(
    subscribers: Int64s, slots: Slots, subs: Int64s, seen: Int64s, dirty: NDArray[np.uint8], entries: Int64s,
    free: Slots, meta: Int64s, fresh: Slots, position: int, insert: bool,
) -> tuple[int, int]:  # fmt: skip
    """Write each row's slot, inserting where asked; return how many were inserted and how many had no room."""
    n = subscribers.shape[0]
    shift = home_shift(entries)
    base, subs_base, seen_base = address_of(entries), address_of(subs), address_of(seen)
    tags = np.empty(_RING, np.int64)
    inserted = 0
    refused = 0
    for row in range(min(n, _FAR)):
        tags[row] = mix64(subscribers[row]) & _TAG_MASK
        prefetch_home(tags[row], base, shift)
    for row in range(n):
        subscriber = subscribers[row]
        tag = tags[row & (_RING - 1)]
        if row + _FAR < n:
            ahead = mix64(subscribers[row + _FAR]) & _TAG_MASK
            tags[(row + _FAR) & (_RING - 1)] = ahead
            prefetch_home(ahead, base, shift)
        if row + _NEAR < n:
            prefetch_slot(tags[(row + _NEAR) & (_RING - 1)], entries, shift, subs_base, seen_base)
        slots[row] = -1
        if subscriber <= 0:
            continue
        place = probe(entries, subs, subscriber, tag, shift)
        slot = (entries[place] & _SLOT_MASK) - 1
        if slot < 0 and insert:
            slot = allocate_slot(free, meta, subs.shape[0])
            if slot < 0:
                refused += 1
                continue
            subs[slot] = subscriber
            entries[place] = (tag << SLOT_BITS) | (slot + 1)
            fresh[inserted] = row
            inserted += 1
        if slot >= 0:
            slots[row] = slot
            seen[slot] = position
            dirty[slot >> _PAGE_SHIFT] = 1
    return inserted, refused


@routine
def close_gap(entries: Int64s, gap: int, shift: int) -> None:
    """Free the entry at `gap`, moving back the followers that it kept from their homes."""
    mask = entries.shape[0] - 1
    place = (gap + 1) & mask
    while entries[place] != 0:
        home = shift_right(entries[place], SLOT_BITS + shift)
        # Distances are taken modulo the size, because a run of entries may wrap round the end of the table. An entry
        # whose home lies after the gap stays: before its home nobody would look for it.
        if ((place - home) & mask) >= ((place - gap) & mask):
            entries[gap] = entries[place]
            gap = place
        place = (place + 1) & mask
    entries[gap] = 0


@kernel
def remove_slots(slots: Slots, subs: Int64s, entries: Int64s, free: Slots, meta: Int64s) -> None:
    """Take live slots out of the table and put them on the free list."""
    shift = home_shift(entries)
    for i in range(slots.shape[0]):
        slot = slots[i]
        subscriber = subs[slot]
        close_gap(entries, probe(entries, subs, subscriber, mix64(subscriber) & _TAG_MASK, shift), shift)
        subs[slot] = 0
        free[meta[_FREE]] = slot
        meta[_FREE] += 1
        meta[_COUNT] -= 1


@kernel
def spread_entries(old: Int64s, new: Int64s) -> None:
    """Put every entry of `old` into the empty `new`, which is larger.

    No subscriber is read: the entry's tag has the bits of its home in every table up to 2**TAG_BITS entries.
    """
    shift = home_shift(new)
    mask = new.shape[0] - 1
    for i in range(old.shape[0]):
        entry = old[i]
        if entry == 0:
            continue
        place = shift_right(entry, SLOT_BITS + shift)
        while new[place] != 0:
            place = (place + 1) & mask
        new[place] = entry


@kernel
def fill_entries(subs: Int64s, top: int, entries: Int64s) -> None:
    """Put every non-zero row of `subs` below `top` into the empty `entries`."""
    shift = home_shift(entries)
    mask = entries.shape[0] - 1
    base = address_of(entries)
    for slot in range(top):
        if slot + _FAR < top:
            prefetch_home(mix64(subs[slot + _FAR]) & _TAG_MASK, base, shift)
        if subs[slot] == 0:
            continue
        tag = mix64(subs[slot]) & _TAG_MASK
        place = shift_right(tag, shift)
        while entries[place] != 0:
            place = (place + 1) & mask
        entries[place] = (tag << SLOT_BITS) | (slot + 1)
