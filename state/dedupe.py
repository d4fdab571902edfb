"""Which event ids came before: the exact memory behind "a doubled event acts once".

An id is a duplicate when its last sighting was at most `window_ms` of append time ago and is among the last `ids_max`
sightings. Every sighting counts, a duplicate's too, and refreshes its id. So the answer depends only on the sightings
in that reach: replaying them from the log into a new `Dedupe` makes the same memory, whatever came before.

Sightings stand in a ring; the table of `state.index` finds the latest of an id in it. What is out of reach is forgotten
at once and removed a few a row, so that no call pays for a quiet hour. Memory is bounded by `ids_max`: 8 bytes a
sighting and 13 to 26 an id. Where ids come from, and which frames have any, is not known here.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from state.hashing import mix64
from state.index import (
    SLOT_BITS,
    SLOTS_MAX,
    TAG_BITS,
    close_gap,
    home_shift,
    prefetch_home,
    probe,
    spread_entries,
)
from state.jit import kernel
from state.raw import address_of

_SLOT_MASK = (1 << SLOT_BITS) - 1
_TAG_MASK = (1 << TAG_BITS) - 1
_SIZE_MIN = 1 << 10
_AHEAD = 32
_SWEEP = 2  # ring places cleaned a sighting, so that the clean edge gains on the reach
_HEAD, _CLEAN, _LIVE = range(
    3
)  # words of `meta`: sightings so far, the first not yet cleaned away, entries in the table

Int64s = NDArray[np.int64]


class Dedupe:
    """The ids seen in the last `window_ms`, at most the last `ids_max` sightings of them.

    Raises:
        ValueError: when a bound is passed.
    """

    def __init__(self, window_ms: int, ids_max: int) -> None:
        if window_ms < 1:
            raise ValueError(f"window_ms={window_ms} must be >= 1")
        if not 1 <= ids_max <= SLOTS_MAX:
            raise ValueError(f"ids_max={ids_max} must be >= 1 and <= {SLOTS_MAX}")
        self.window_ms = window_ms
        self.ids_max = ids_max
        self._ring = np.zeros(ids_max, np.int64)
        self._entries = np.zeros(_SIZE_MIN, np.int64)
        self._meta = np.zeros(3, np.int64)
        self._calls: deque[tuple[int, int]] = deque()  # (append_ms, sightings before it), one entry a millisecond
        self._now_ms = 0

    @property
    def sightings(self) -> int:
        """Sightings so far."""
        return int(self._meta[_HEAD])

    def mark(self, ids: Int64s, append_ms: int, out: NDArray[np.uint8]) -> int:
        """Set `out[row]` to 1 where the id is a duplicate, else 0; id 0 is none. Return the number of duplicates.

        `append_ms` must not fall; a smaller one counts as the largest before.
        """
        self._now_ms = max(self._now_ms, append_ms)
        if self._calls and self._calls[-1][1] == self.sightings:
            self._calls.pop()  # nothing was sighted then
        if not self._calls or self._calls[-1][0] != self._now_ms:
            self._calls.append((self._now_ms, self.sightings))
        while self._calls[0][0] < self._now_ms - self.window_ms:
            self._calls.popleft()
        self._reserve(ids.shape[0])
        return mark_ids(ids, out, self._ring, self._entries, self._meta, self._calls[0][1])

    def _reserve(self, coming: int) -> None:
        while 2 * min(int(self._meta[_LIVE]) + coming, self.ids_max) > self._entries.shape[0]:
            doubled = np.zeros(2 * self._entries.shape[0], np.int64)
            spread_entries(self._entries, doubled)
            self._entries = doubled


@kernel
def clean_one(ring: Int64s, entries: Int64s, meta: Int64s, shift: int) -> None:
    """Forget the oldest sighting: take its id out of the table unless it was seen again since."""
    place = meta[_CLEAN] % ring.shape[0]
    identity = ring[place]
    entry_place = probe(entries, ring, identity, mix64(identity) & _TAG_MASK, shift)
    if (entries[entry_place] & _SLOT_MASK) - 1 == place:
        close_gap(entries, entry_place, shift)
        meta[_LIVE] -= 1
    meta[_CLEAN] += 1


@kernel
def mark_ids(ids: Int64s, out: NDArray[np.uint8], ring: Int64s, entries: Int64s, meta: Int64s, reach: int) -> int:
    """Mark duplicates among `ids` and note every sighting; `reach` is the first sighting young enough."""
    n = ids.shape[0]
    ids_max = ring.shape[0]
    shift = home_shift(entries)
    base = address_of(entries)
    duplicates = 0
    for row in range(n):
        if row + _AHEAD < n:
            prefetch_home(mix64(ids[row + _AHEAD]) & _TAG_MASK, base, shift)
            prefetch_home(mix64(ring[(meta[_CLEAN] + _AHEAD) % ids_max]) & _TAG_MASK, base, shift)
        out[row] = 0
        identity = ids[row]
        if identity == 0:
            continue
        head = meta[_HEAD]
        for _ in range(_SWEEP):
            if meta[_CLEAN] < reach:
                clean_one(ring, entries, meta, shift)
        tag = mix64(identity) & _TAG_MASK
        entry_place = probe(entries, ring, identity, tag, shift)
        place = head % ids_max
        if entries[entry_place] != 0:
            before = (entries[entry_place] & _SLOT_MASK) - 1
            age = place - before if before < place else place - before + ids_max
            if head - age >= reach:
                out[row] = 1
                duplicates += 1
        if meta[_CLEAN] == head - ids_max:
            clean_one(ring, entries, meta, shift)
            entry_place = probe(entries, ring, identity, tag, shift)
        if entries[entry_place] == 0:
            meta[_LIVE] += 1
        ring[place] = identity
        entries[entry_place] = (tag << SLOT_BITS) | (place + 1)
        meta[_HEAD] = head + 1
    return duplicates
