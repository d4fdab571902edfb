"""The cells of timers, and the hints that say where deadlines may have come: what kernels share.

A cell is two words, with a key three: time and state, the log's time of the row that armed it, the key. The kind of
feature that works on them is `state.features.kinds.timer`; who looks for what is due is `state.timer_hints`.

The *place* of a deadline is where its row `due` goes in the order of log times: `lateness` after the deadline, but not
before the end of the step in which it was armed, so that it does not depend on where frames are cut.
"""

from state.features.spec import FeatureSpec
from state.jit import part
from state.raw import load_i64, store_i64

EMPTY, OPEN, ENDED, FIRED = range(4)
"""States of a cell."""
ARMS, DISARMS, DUE = 1, 2, 4
"""What `updates` says of a row, as bits: it may be both of the first."""
LOGGED_AT, KEY_AT = 8, 16
"""Where a cell has the log's time and the key, in bytes."""
STARTS_ANEW = 1
"""Bit of the mode: an event of the kind that arms begins its span anew. The bytes of a cell stand from bit 8 on."""
SECOND_MS = 1000

NEVER_MS = 1 << 62
LATENESS, STEP, REFUSED, PAGES = range(0, 32, 8)
"""Words at the head of hints, as offsets in bytes: milliseconds, milliseconds, how many deadlines were not armed
because every cell was open, the address of the first word of pages."""
HINTS_HEAD_WORDS = 4
PAGE_BITS, BLOCK_BITS = 6, 12
"""A word of pages is for 64 slots; one of blocks, which follow the head, for 64 pages."""


def words_of_cell(*, keyed: bool) -> int:
    """Return how many words a cell has."""
    return 3 if keyed else 2


def mode_of(spec: FeatureSpec) -> int:
    """Return what the loop is told of a timer: see STARTS_ANEW."""
    return (STARTS_ANEW if spec.starts_anew else 0) | 8 * words_of_cell(keyed=spec.keyed) << 8


@part
def word_of(state: int, at: int) -> int:
    """Return the word of a cell."""
    return at << 2 | state


@part
def state_of(word: int) -> int:
    """Return the state in the word of a cell."""
    return word & 3


@part
def time_of(word: int) -> int:
    """Return the time in the word of a cell."""
    return word >> 2


@part
def key_in(cell: int, cell_bytes: int) -> int:
    """Return the key in a cell; 0 in one without."""
    return load_i64(cell + KEY_AT) if cell_bytes > KEY_AT else 0


@part
def deadline_of(at: int, span_ms: int) -> int:
    """Return the deadline of what was armed at a time: the span after it, rounded up to the second."""
    return (at + span_ms + SECOND_MS - 1) // SECOND_MS * SECOND_MS


@part
def place_of(deadline: int, logged: int, lateness_ms: int, step_ms: int) -> int:
    """Return the log time of the row `due`."""
    return max(deadline + lateness_ms, (logged + step_ms - 1) // step_ms * step_ms)


@part
def note_armed(hints: int, slot: int, deadline: int, logged: int) -> None:
    """Let the hints, where there are any, know of a deadline."""
    if hints != 0:
        place = place_of(deadline, logged, load_i64(hints + LATENESS), load_i64(hints + STEP))
        page = load_i64(hints + PAGES) + 8 * (slot >> PAGE_BITS)
        if place < load_i64(page):
            store_i64(page, place)
            block = hints + 8 * HINTS_HEAD_WORDS + 8 * (slot >> BLOCK_BITS)
            if place < load_i64(block):
                store_i64(block, place)


@part
def note_refused(hints: int) -> None:
    """Count a deadline for which there was no cell."""
    if hints != 0:
        store_i64(hints + REFUSED, load_i64(hints + REFUSED) + 1)
