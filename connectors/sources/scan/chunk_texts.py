"""The texts that a chunk brings, each once: taken from what the kernels report, and copied at its end.

The set is only a filter; when it has grown to its bound it is emptied, and texts come again.
"""

import numpy as np
from numpy.typing import NDArray

from connectors.sources.scan import layout as at
from connectors.sources.scan.texts import insert_all
from state.texts import NO_TEXTS, Texts, copied

KNOWN_MAX = 1 << 20
"""Texts of a chunk that are remembered to have been reported."""
_KNOWN_MIN = 1 << 14


class ChunkTexts:
    """The set of a scanner, whose context holds the addresses of its arrays."""

    def __init__(self, context: NDArray[np.int64]) -> None:
        self._context = context
        self._known = np.zeros(_KNOWN_MIN, np.int64)
        self._fresh = np.zeros((at.FRESH_MAX, 4), np.int64)
        self._found: list[NDArray[np.int64]] = []
        self._moved = False  # whether texts of this chunk stand elsewhere in the set than was said
        self._set(at.FRESH, self._fresh.ctypes.data)
        self._point()

    def begin(self) -> None:
        """Forget what an earlier chunk that was not ended reported: its bytes may be gone."""
        self._found = []
        self._set(at.FRESH_COUNT, 0)

    def make_room(self) -> None:
        """Keep the set at most half full; to be called before every call of a kernel that reports texts."""
        count = self._word(at.KNOWN_COUNT)
        if 2 * (count + at.FRESH_MAX) > len(self._known):
            self._moved = True
            if len(self._known) >= 2 * KNOWN_MAX:
                self._known[:] = 0
                self._set(at.KNOWN_COUNT, 0)
                return
            old = self._known
            self._known = np.zeros(2 * len(old), np.int64)
            insert_all(old, self._known)
            self._point()

    def take(self) -> None:
        """Take what a call reported."""
        count = self._word(at.FRESH_COUNT)
        if count:
            self._found.append(self._fresh[:count].copy())
            self._set(at.FRESH_COUNT, 0)

    def end(self) -> Texts:
        """Return the texts of the chunk, copied from where they stand."""
        if not self._found:
            return NO_TEXTS
        hashes, addresses, lengths, slots = np.ascontiguousarray(np.concatenate(self._found).T)
        self._found = []
        self._forget(slots)
        return copied(hashes, addresses, lengths)

    def _forget(self, slots: NDArray[np.int64]) -> None:
        """Empty the set; `slots` are those of the chunk's texts unless it was made larger or emptied meanwhile."""
        if 8 * slots.shape[0] < len(self._known) and slots.shape[0] == self._word(at.KNOWN_COUNT) and not self._moved:
            self._known[slots] = 0
        else:
            self._known[:] = 0
        self._set(at.KNOWN_COUNT, 0)
        self._moved = False

    def _point(self) -> None:
        self._set(at.KNOWN, self._known.ctypes.data)
        self._set(at.KNOWN_MASK, len(self._known) - 1)

    def _word(self, place: int) -> int:
        return int(self._context[place // 8])

    def _set(self, place: int, value: int) -> None:
        self._context[place // 8] = value
