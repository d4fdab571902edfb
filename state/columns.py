"""One partition's subscribers: which slot each has, and the columns of their features.

A slot is a row number that `subs`, `seen` and every feature column share. Slots are handed out from the bottom, freed
ones first. Columns are allocated once at full capacity as zero pages that the system commits when they are touched, so
nothing is ever copied to grow, a new feature costs nothing until its subscribers come by, and a dropped one is freed.

64 neighbouring slots are a page: `dirty` marks the pages changed since they were last flushed (`state.flusher` clears
it). Nothing here knows what a column means (`state.features`) or where it is kept (`state.pages`); only that some hold
hashes of texts (`text_keys`), which are kept here too (`texts`).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.features import ColumnSpec
from state.held_texts import HeldTexts
from state.index import Index

PAGE_SLOTS = 64

Key = tuple[str, int]
"""A feature's fingerprint, and the log position at which this column was born."""


class TableFullError(Exception):
    """More subscribers than the table has slots."""


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column as durability sees it: its feature, its index among the columns of that feature, and its memory."""

    key: Key
    part: int
    array: NDArray[Any]
    row_bytes: int


class Table:
    """The subscribers of one partition in memory; at most `capacity`, sized at first for `expected`."""

    def __init__(self, capacity: int, expected: int = 0) -> None:
        capacity = -(-capacity // PAGE_SLOTS) * PAGE_SLOTS
        self.capacity = capacity
        self.subs = np.zeros(capacity, np.int64)
        self.seen = np.zeros(capacity, np.int64)
        self.dirty = np.zeros(capacity // PAGE_SLOTS, np.uint8)
        # How often a column was made, widened or dropped: an address that was read at another count is not valid.
        self.moves = 0
        self.texts = HeldTexts()
        self.text_keys: frozenset[Key] = frozenset()
        self._index = Index(self.subs, expected)
        self._columns: dict[Key, list[NDArray[Any]]] = {}
        self._hand = 0

    @property
    def count(self) -> int:
        """Subscribers in memory."""
        return self._index.count

    @property
    def top(self) -> int:
        """Slots ever used: every live slot is below."""
        return self._index.top

    def lookup(
        self, subscribers: NDArray[np.int64], slots: NDArray[np.int32], position: int, *, insert: bool = True
    ) -> NDArray[np.int32]:
        """Write each row's slot; return the rows whose subscribers were unknown before and have a slot now.

        Slots found or made are stamped with `position` in `seen`, their pages marked in `dirty`. Without `insert`, and
        for a subscriber <= 0, an unknown one gets slot -1. Raises TableFullError when slots run out: the rows left over
        have slot -1, the others stand.
        """
        fresh, refused = self._index.lookup(subscribers, slots, self.seen, self.dirty, position, insert)
        if refused:
            raise TableFullError(f"subscribers in memory={self.count + refused} must be <= {self.capacity}")
        return fresh

    def find(self, subscriber: int) -> int:
        """Return the slot of one subscriber, or -1; changes nothing."""
        return self._index.find(subscriber)

    def remove(self, slots: NDArray[np.int32]) -> None:
        """Free live slots: their rows become zero in every column, their pages dirty."""
        self._index.remove(slots)
        self.seen[slots] = 0
        self.clear(slots)

    def clear(self, slots: NDArray[np.int32]) -> None:
        """Make the rows of slots zero in every column, as of a subscriber of whom nothing is known."""
        self.dirty[slots // PAGE_SLOTS] = 1
        for arrays in self._columns.values():
            for array in arrays:
                array[slots] = 0

    def rebuild(self) -> None:
        """Make index and free list anew from `subs`, after rows were written into it from outside."""
        self._index.rebuild()

    def coldest(self, count: int) -> NDArray[np.int32]:
        """Return up to `count` live slots that were not seen for long.

        Looks at the next eight times as many slots after those it looked at before, so that a call costs by `count`
        and not by the table; every slot has its turn.
        """
        top = self.top
        looked = min(top, 8 * count)
        candidates = (np.arange(self._hand, self._hand + looked, dtype=np.int64) % max(top, 1)).astype(np.int32)
        self._hand = (self._hand + looked) % max(top, 1)
        live: NDArray[np.int32] = candidates[self.subs[candidates] != 0]
        if live.shape[0] > count:
            live = live[np.argpartition(self.seen[live], count)[:count]]
        return live

    def ensure(self, key: Key, specs: Iterable[ColumnSpec]) -> list[NDArray[Any]]:
        """Return the arrays of `key`, making them if they are not there.

        A column that exists narrower than asked for is widened and keeps its rows; one that is wider stays.
        """
        wanted = list(specs)
        present = self._columns.get(key)
        if present is None:
            present = [np.zeros((self.capacity, spec.width), spec.dtype) for spec in wanted]
            self._columns[key] = present
            self.moves += 1
        for part, spec in enumerate(wanted):
            old = present[part]
            if old.shape[1] < spec.width:
                wider = np.zeros((self.capacity, spec.width), spec.dtype)
                live = np.flatnonzero(self.subs)  # not up to `top`: it is made anew only when all pages are loaded
                wider[live, : old.shape[1]] = old[live]
                present[part] = wider
                self.moves += 1
        return present

    def columns(self, key: Key) -> list[NDArray[Any]]:
        """Return the arrays of `key`; KeyError when there are none."""
        return self._columns[key]

    def drop(self, key: Key) -> None:
        """Free the arrays of `key`, if there are any."""
        self._columns.pop(key, None)
        self.moves += 1

    def drop_others(self, used: Collection[Key]) -> None:
        """Free the arrays of all keys but those."""
        for key in self.keys():
            if key not in used:
                self.drop(key)

    def keys(self) -> tuple[Key, ...]:
        """Return the keys of all columns, oldest first."""
        return tuple(self._columns)

    def layout(self) -> list[ColumnInfo]:
        """Return every column, in the order in which they were made."""
        return [
            ColumnInfo(key, part, array, array.shape[1] * array.itemsize)
            for key, arrays in self._columns.items()
            for part, array in enumerate(arrays)
        ]

    def commit(self, slots: int) -> None:
        """Touch the memory of the first `slots` slots now, so that serving does not pay for first touches."""
        for array in (self.subs, self.seen, *(info.array for info in self.layout())):
            part = array[self.top : slots]
            part[...] = 0

    def sweep_texts(self) -> None:
        """Let go of texts that no subscriber has any more, where so many came that it pays."""
        if self.texts.due:
            self.texts.sweep(
                array[: self.top]
                for key, arrays in self._columns.items()
                if key in self.text_keys
                for array in arrays
                if array.dtype == np.int64
            )

    def row_bytes(self) -> int:
        """Bytes that one more subscriber takes in the columns, `subs`, `seen` and the index."""
        return 16 + sum(info.row_bytes for info in self.layout()) + self._index.entry_bytes()
