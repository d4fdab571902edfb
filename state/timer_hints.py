"""Hints where deadlines may have come: for 64 slots, and for 64 times as many, a time before which none of theirs does.

A hint is never later than the truth, and may be earlier: arming lowers it, nothing raises it but looking. So arming
costs a comparison, and what is looked at once in vain is not looked at again before its next deadline. The truth is in
the columns of timers (`state.features.timer_cells`); hints are made anew from them at a start, and when a book comes
that changes the span or the cells. They know nothing of subscribers that sleep: see `state.sleeping_timers`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.features.spec import FeatureSpec
from state.features.timer_cells import (
    BLOCK_BITS,
    HINTS_HEAD_WORDS,
    LATENESS,
    LOGGED_AT,
    NEVER_MS,
    OPEN,
    PAGE_BITS,
    REFUSED,
    STEP,
    deadline_of,
    key_in,
    note_armed,
    place_of,
    state_of,
    time_of,
    words_of_cell,
)
from state.jit import kernel, routine
from state.raw import address_i64, load_i64

Int64s = NDArray[np.int64]
FOUND_MAX = 1 << 14
"""Deadlines that are found in one call of the kernel."""
_PAGES_A_BLOCK = 1 << (BLOCK_BITS - PAGE_BITS)


class Found(NamedTuple):
    """Deadlines, int64[n] each: places in the order of log times, deadlines, slots, keys, times of arming."""

    place: Int64s
    deadline: Int64s
    slot: Int64s
    key: Int64s
    armed: Int64s


class TimerHints:
    """The hints of one timer of one table.

    Args:
        spec: of the timer.
        column: int64[slots, width], its column.
        lateness_ms, step_ms: what the place of a deadline depends on beside it; see `state.features.timer_cells`.
    """

    def __init__(self, spec: FeatureSpec, column: Int64s, lateness_ms: int, step_ms: int) -> None:
        self.spec = spec
        self.column = column
        pages = -(-column.shape[0] // (1 << PAGE_BITS))
        self._blocks = -(-pages // _PAGES_A_BLOCK)
        self._words = np.full(HINTS_HEAD_WORDS + self._blocks + pages, NEVER_MS, np.int64)
        first_page = self.address + 8 * (HINTS_HEAD_WORDS + self._blocks)
        self._words[:HINTS_HEAD_WORDS] = lateness_ms, step_ms, 0, first_page
        self._found = np.empty((5, FOUND_MAX), np.int64)

    def goes_on(self, spec: FeatureSpec, column: Int64s) -> bool:
        """Take the same timer of another book, whose column may have moved; False where deadlines or cells differ."""
        if (spec.window_ms, spec.keyed, column.shape) != (self.spec.window_ms, self.spec.keyed, self.column.shape):
            return False
        self.spec, self.column = spec, column
        return True

    @property
    def address(self) -> int:
        """Where the hints are, for the kernel that folds the timer; valid while this object is alive."""
        return int(self._words.__array_interface__["data"][0])

    @property
    def bytes(self) -> int:
        """Memory that the hints take, beside the column."""
        return self._words.nbytes

    @property
    def refused(self) -> int:
        """How many deadlines were not armed, because every cell was open, since these hints were made."""
        return int(self._words[REFUSED // 8])

    @property
    def next_ms(self) -> int:
        """The place before which no deadline comes; it may be earlier than the first one."""
        return int(self._words[HINTS_HEAD_WORDS : HINTS_HEAD_WORDS + self._blocks].min())

    def note(self, slots: NDArray[np.int32]) -> None:
        """Learn of the deadlines of slots that were filled from outside."""
        note_slots(self.address, self.column, slots, self.spec.window_ms, self._cell_words)

    def note_all(self, top: int) -> None:
        """Learn of every deadline of the slots below `top`."""
        note_first(self.address, self.column, top, self.spec.window_ms, self._cell_words)

    def find(self, until_ms: int) -> list[Found]:
        """Return the deadlines with a place at or before a time, and forget them: they are found once."""
        pieces = []
        while self.next_ms <= until_ms:
            count = find_due(
                self._words, self._blocks, self.column, self.spec.window_ms, self._cell_words, until_ms, self._found
            )
            if count:
                pieces.append(Found(*self._found[:, :count].copy()))
        return pieces

    @property
    def _cell_words(self) -> int:
        return words_of_cell(keyed=self.spec.keyed)


def first_armed(spec: FeatureSpec, column: Int64s, slots: NDArray[np.int32]) -> Int64s:
    """Return for each slot the time at which its first open deadline was armed, `NEVER_MS` where it has none."""
    words = column[slots][:, :: words_of_cell(keyed=spec.keyed)]
    times: Int64s = np.where(words & 3 == OPEN, words >> 2, NEVER_MS).min(axis=1)
    return times


@routine
def note_row(hints: int, row_at: int, slot: int, span_ms: int, cells: int, cell_bytes: int) -> None:
    """Note the open deadlines of a row of the column."""
    for number in range(cells):
        cell = row_at + number * cell_bytes
        word = load_i64(cell)
        if state_of(word) == OPEN:
            note_armed(hints, slot, deadline_of(time_of(word), span_ms), load_i64(cell + LOGGED_AT))


@kernel
def note_slots(hints: int, column: Int64s, slots: NDArray[np.int32], span_ms: int, cell_words: int) -> None:
    """Note the open deadlines of some slots."""
    width = column.shape[1]
    for i in range(slots.shape[0]):
        slot = int(slots[i])
        note_row(hints, address_i64(column) + 8 * width * slot, slot, span_ms, width // cell_words, 8 * cell_words)


@kernel
def note_first(hints: int, column: Int64s, top: int, span_ms: int, cell_words: int) -> None:
    """Note the open deadlines of all slots below `top`."""
    width = column.shape[1]
    for slot in range(top):
        note_row(hints, address_i64(column) + 8 * width * slot, slot, span_ms, width // cell_words, 8 * cell_words)


@routine
def find_in_page(
    column: Int64s, page: int, span_ms: int, cell_words: int, until_ms: int, lateness_ms: int, step_ms: int,
    found: Int64s, count: int,
) -> tuple[int, int]:  # fmt: skip
    """Write what is due in 64 slots after `count` others; return how many there are then, and the first that is not."""
    width, later = column.shape[1], NEVER_MS
    for slot in range(page << PAGE_BITS, min((page + 1) << PAGE_BITS, column.shape[0])):
        row_at = address_i64(column) + 8 * width * slot
        for cell in range(row_at, row_at + 8 * width, 8 * cell_words):
            word = load_i64(cell)
            if state_of(word) != OPEN:
                continue
            deadline = deadline_of(time_of(word), span_ms)
            place = place_of(deadline, load_i64(cell + LOGGED_AT), lateness_ms, step_ms)
            if place > until_ms:
                later = min(later, place)
                continue
            found[0, count], found[1, count], found[2, count] = place, deadline, slot
            found[3, count], found[4, count] = key_in(cell, 8 * cell_words), time_of(word)
            count += 1
    return count, later


@kernel
def find_due(
    words: Int64s, blocks: int, column: Int64s, span_ms: int, cell_words: int, until_ms: int, found: Int64s
) -> int:
    """Write deadlines with a place at or before `until_ms` to `found` int64[5, m]; return how many.

    Hints are raised to the first deadline after that, of the pages that were looked at: all, or so many that there was
    room for what they may hold.
    """
    pages = words.shape[0] - HINTS_HEAD_WORDS - blocks
    room = (column.shape[1] // cell_words) << PAGE_BITS
    count = 0
    for block in range(blocks):
        if words[HINTS_HEAD_WORDS + block] > until_ms:
            continue
        first, later = block * _PAGES_A_BLOCK, NEVER_MS
        for page in range(first, min(first + _PAGES_A_BLOCK, pages)):
            at = HINTS_HEAD_WORDS + blocks + page
            if words[at] <= until_ms and count + room <= found.shape[1]:
                count, words[at] = find_in_page(
                    column, page, span_ms, cell_words, until_ms, words[LATENESS // 8], words[STEP // 8], found, count
                )
            later = min(later, words[at])
        words[HINTS_HEAD_WORDS + block] = later
    return count
