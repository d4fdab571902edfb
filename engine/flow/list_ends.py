"""Memberships of lists that end: when, for the rows of a batch, and the columns that hold it.

The columns are made, a word of lists at a time, when the first row comes that needs one, or with a book that keeps
audiences; before, they cost nothing. They are told in the snapshot, because redo may begin after that row.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.book.compiled import CompiledBook
from state.batch import Batch
from state.columns import Key, Table
from state.features.kinds.lists import ends_of
from state.schema import LIST, LIST_FOR, LIST_MEMBER, LIST_NAME, LIST_UNTIL

FOR_MS_MAX = 1 << 60


class ListEnds:
    """The columns of one partition's table. `words` are those of the lists that have one."""

    def __init__(self, table: Table, rows_max: int) -> None:
        self._table = table
        self._never = np.zeros(rows_max, np.int64)
        self.words: set[int] = set()

    def keys(self) -> set[Key]:
        """Return the keys of the columns."""
        return {_key(word) for word in self.words}

    def columns(self, compiled: CompiledBook) -> dict[int, list[NDArray[Any]]]:
        """Return the columns by the feature that they belong to, made where they are not there."""
        found = {}
        for word, feature in enumerate(compiled.lists):
            if word in self.words:
                found[feature] = self._table.ensure(_key(word), [ends_of(compiled.plans[feature].spec)])
        return found

    def needed(self, compiled: CompiledBook, lists: Iterable[int]) -> bool:
        """Take note of lists, as hashes of names, whose memberships end; return whether a column is to be made."""
        words = {compiled.list_words[one] for one in lists if one in compiled.list_words} - self.words
        self.words |= words
        return bool(words)

    def of_rows(self, batch: Batch, rows: NDArray[np.int32], count: int) -> tuple[NDArray[np.int64], list[int]]:
        """Return when the membership ends that each row tells of, 0 for never; and the lists where one ends.

        The first `count` of `rows` are those that may be of lists. Lists are hashes of names. The array is not to be
        written.
        """
        if self._never.shape[0] < batch.n:
            self._never = np.zeros(batch.n, np.int64)
        if count == 0:
            return self._never, []
        rows = rows[:count][batch.type[rows[:count]] == LIST]
        timed = rows[(batch.present[rows] & (1 << LIST_UNTIL | 1 << LIST_FOR)) != 0]
        timed = timed[batch.cells[LIST_MEMBER, timed] != 0]
        if not timed.shape[0]:
            return self._never, []
        ends = np.zeros(batch.n, np.int64)
        has_until = batch.present[timed] >> LIST_UNTIL & 1 == 1
        for_ms = np.clip(batch.cells[LIST_FOR, timed], 0, FOR_MS_MAX)
        ends[timed] = np.where(has_until, batch.cells[LIST_UNTIL, timed], batch.log_ms[timed] + for_ms)
        ends[timed] = np.maximum(ends[timed], 1)  # 0 is never; this is over
        return ends, [int(one) for one in np.unique(batch.cells[LIST_NAME, timed])]

    def of_slot(self, compiled: CompiledBook, slot: int, clock_ms: int) -> dict[str, int]:
        """Return when the memberships of one subscriber end that do and have not yet, by the names of the lists."""
        found = {}
        for feature, (ends,) in self.columns(compiled).items():
            for place, name in enumerate(compiled.book.features[feature].members):
                if place < ends.shape[1] and ends[slot, place] > clock_ms:
                    found[name] = int(ends[slot, place])
        return found


def _key(word: int) -> Key:
    return ("list ends", 1 + word)
