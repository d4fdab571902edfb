"""Which event ids came before: the exact memory behind "a doubled event acts once".

An id is a duplicate when its last sighting was at most `window_ms` of append time ago and is among the last `ids_max`
sightings. Every sighting counts, a duplicate's too, and refreshes its id. So the answer depends only on the sightings
in that reach: replaying them from the log into a new `Dedupe` makes the same memory, whatever came before.
`replay_from` says from where: at 100,000 ids a second, the log of an hour holds far more than are remembered.

Sightings stand in a ring; the table of `state.index` finds the latest of an id in it. What is out of reach is forgotten
at once and removed two a sighting, so that no call pays for a quiet hour. Memory is bounded by `ids_max`: 8 to 16 bytes
a sighting of ring and 16 to 32 of table, committed as ids come. Where ids come from, and which frames have any, is not
known here.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from state.hashing import mix64
from state.index import SLOT_BITS, TAG_BITS, close_gap, home_shift, prefetch_home, probe
from state.jit import kernel, routine
from state.raw import address_of

IDS_MAX = (1 << (SLOT_BITS - 1)) - 1

_SLOT_MASK = (1 << SLOT_BITS) - 1
_TAG_MASK = (1 << TAG_BITS) - 1
_AHEAD = 32
_SWEEP = 2  # sightings removed for each that comes, so that removing gains on the reach
_PLACES = 16  # positions of the log that are remembered for `ids_max` sightings
_HEAD, _CLEAN = range(2)  # words of `meta`: sightings so far, the first not yet removed

Int64s = NDArray[np.int64]


class Dedupe:
    """The ids seen in the last `window_ms`, at most the last `ids_max` sightings of them.

    Raises:
        ValueError: when a bound is passed.
    """

    def __init__(self, window_ms: int, ids_max: int) -> None:
        if window_ms < 1:
            raise ValueError(f"window_ms={window_ms} must be >= 1")
        if not 1 <= ids_max <= IDS_MAX:
            raise ValueError(f"ids_max={ids_max} must be >= 1 and <= {IDS_MAX}")
        self.window_ms = window_ms
        self.ids_max = ids_max
        size = 1 << ids_max.bit_length()  # above ids_max, so that the ring always has a place out of reach
        self._ring = np.zeros(size, np.int64)
        self._entries = np.zeros(2 * size, np.int64)
        self._meta = np.zeros(2, np.int64)
        self._calls: deque[tuple[int, int]] = deque()  # (append_ms, sightings before it), one entry a millisecond
        self._places: deque[tuple[int, int]] = deque()  # (position in the log, sightings before it)
        self._now_ms = 0
        self.reach_ms = window_ms
        """How far back ids are remembered now: less than the window where `ids_max` did not hold all of it."""

    @property
    def replay_from(self) -> int:
        """The position in the log from which on stand all sightings among the last `ids_max`, or an earlier one."""
        return self._places[0][0] if self._places else 0

    def at(self, position: int) -> None:
        """Say where in the log the next sightings stand; positions do not fall."""
        if not self._places or self.sightings - self._places[-1][1] >= self.ids_max // _PLACES:
            self._places.append((position, self.sightings))
        while len(self._places) > 1 and self.sightings - self._places[1][1] >= self.ids_max:
            self._places.popleft()

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
        while self._calls[0][0] < self._now_ms - self.window_ms or self._lost(1):
            self._calls.popleft()
        self.reach_ms = self._now_ms - self._calls[0][0] if self._lost(0) else self.window_ms
        return mark_ids(ids, out, self._ring, self._entries, self._meta, self._calls[0][1], self.ids_max)

    def _lost(self, call: int) -> bool:
        """Tell whether sightings were lost to `ids_max`, and all those before a call among them."""
        lost = self.sightings - self.ids_max
        return lost > 0 and call < len(self._calls) and self._calls[call][1] <= lost


@routine
def remove_oldest(ring: Int64s, entries: Int64s, meta: Int64s, shift: int) -> None:
    """Remove the oldest sighting: take its id out of the table unless it was seen again since."""
    place = meta[_CLEAN] & (ring.shape[0] - 1)
    identity = ring[place]
    entry_place = probe(entries, ring, identity, mix64(identity) & _TAG_MASK, shift)
    if (entries[entry_place] & _SLOT_MASK) - 1 == place:
        close_gap(entries, entry_place, shift)
    meta[_CLEAN] += 1


@kernel
def mark_ids(
    ids: Int64s, out: NDArray[np.uint8], ring: Int64s, entries: Int64s, meta: Int64s, young: int, ids_max: int
) -> int:
    """Mark duplicates among `ids` and record every sighting; `young` is the first sighting inside the window."""
    n = ids.shape[0]
    mask = ring.shape[0] - 1
    shift = home_shift(entries)
    base = address_of(entries)
    duplicates = 0
    for row in range(n):
        if row + _AHEAD < n:
            prefetch_home(mix64(ids[row + _AHEAD]) & _TAG_MASK, base, shift)
            prefetch_home(mix64(ring[(meta[_CLEAN] + _AHEAD) & mask]) & _TAG_MASK, base, shift)
        out[row] = 0
        identity = ids[row]
        if identity == 0:
            continue
        head = meta[_HEAD]
        reach = max(young, head - ids_max)
        for _ in range(_SWEEP):
            if meta[_CLEAN] < reach:
                remove_oldest(ring, entries, meta, shift)
        tag = mix64(identity) & _TAG_MASK
        entry_place = probe(entries, ring, identity, tag, shift)
        entry = entries[entry_place]
        if entry != 0 and head - ((head - (entry & _SLOT_MASK) + 1) & mask) >= reach:
            out[row] = 1
            duplicates += 1
        ring[head & mask] = identity
        entries[entry_place] = (tag << SLOT_BITS) | ((head & mask) + 1)
        meta[_HEAD] = head + 1
    return duplicates
