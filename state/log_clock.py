"""The running clock of a source on the events' own time: each row's log time, from its source's rows in their order.

A row's log time is the clock after it. The clock never goes back, and no single subscriber's wrong clock moves it far:

    at or before the clock + JUMP_MS      the clock goes to the row's time, where that is later
    further ahead                         the row gets the clock as it stands, and waits as a witness. Three subscribers
                                          that say so, with no row near the clock between them, move it to the earliest
                                          of their times; ahead by more than FAR_MS it takes sixteen

A source that has shown fewer subscribers needs no more than it has; and where nobody has come near the clock for
`ROWS_MAX` rows, so many rows are enough. So a feed may pause for months, and a burst of ten wrong rows moves nothing.
There is no bound above which a row is refused: a feed that went on after a longer pause would stand still with it.

Until a source has shown two subscribers its clock is tentative: a row's log time is the latest time so far, which may
be wrong. The second subscriber begins the clock at the earlier of the two.

The state is plain numbers, stored in each frame beside the source's position: whoever reads the source again from there
gives the same times. Chunks, frames and partitions change nothing. Each source has a clock of its own;
how they become one stream is not here.
"""

import numpy as np
from numpy.typing import NDArray

from state.jit import kernel

JUMP_MS = 10 * 60_000
FAR_MS = 86_400_000
NEAR_WITNESSES, FAR_WITNESSES = 3, 16
ROWS_MAX = 64

ROWS, BEGUN, CLOCK, FIRST_MS, AHEAD_ROWS, AHEAD_MS, KNOWN, WITNESSES = range(8)
"""Cells of a state: rows so far; whether the clock has begun; the clock; the latest time of the first subscriber; of
the rows ahead their number, their earliest time; how many subscribers are known, and how many witnesses there are.
Those follow: FAR_WITNESSES cells of each."""
_KNOWN_AT = 8
_WITNESSES_AT = _KNOWN_AT + FAR_WITNESSES
STATE_CELLS = _WITNESSES_AT + FAR_WITNESSES

Int64s = NDArray[np.int64]


def new_clock() -> Int64s:
    """Return the state of a source that has shown nothing."""
    return np.zeros(STATE_CELLS, np.int64)


def pack_clock(state: Int64s) -> list[int]:
    """Return a state as a short list, for a frame."""
    known, witnesses = int(state[KNOWN]), int(state[WITNESSES])
    return [
        *state[:_KNOWN_AT].tolist(),
        *state[_KNOWN_AT : _KNOWN_AT + known].tolist(),
        *state[_WITNESSES_AT : _WITNESSES_AT + witnesses].tolist(),
    ]


def unpack_clock(packed: list[int]) -> Int64s:
    """Return the state that `pack_clock` wrote."""
    state = new_clock()
    state[:_KNOWN_AT] = packed[:_KNOWN_AT]
    known = packed[KNOWN]
    state[_KNOWN_AT : _KNOWN_AT + known] = packed[_KNOWN_AT : _KNOWN_AT + known]
    rest = packed[_KNOWN_AT + known :]
    state[_WITNESSES_AT : _WITNESSES_AT + len(rest)] = rest
    return state


@kernel
def run_clock(state: Int64s, subscriber: Int64s, at_ms: Int64s, log_ms: Int64s) -> None:
    """Take rows in their order: change `state`, write each row's log time."""
    for row in range(subscriber.shape[0]):
        state[ROWS] += 1
        met(state, KNOWN, _KNOWN_AT, subscriber[row])
        if state[BEGUN] == 0:
            begin(state, subscriber[row], at_ms[row])
        elif at_ms[row] > state[CLOCK] + JUMP_MS:
            see_ahead(state, subscriber[row], at_ms[row])
        else:
            if at_ms[row] >= state[CLOCK] - JUMP_MS:
                state[AHEAD_ROWS], state[WITNESSES] = 0, 0
            state[CLOCK] = max(state[CLOCK], at_ms[row])
        log_ms[row] = state[CLOCK]


@kernel
def met(state: Int64s, count_at: int, first: int, subscriber: int) -> None:
    """Note a subscriber among those from `first` on, as many as there is room for."""
    count = state[count_at]
    for i in range(first, first + count):
        if state[i] == subscriber:
            return
    if count < FAR_WITNESSES:
        state[first + count] = subscriber
        state[count_at] = count + 1


@kernel
def begin(state: Int64s, subscriber: int, at_ms: int) -> None:
    """Go with the only subscriber, or begin with the second."""
    if state[KNOWN] == 1:
        state[FIRST_MS] = at_ms if state[ROWS] == 1 else max(state[FIRST_MS], at_ms)
        state[CLOCK] = state[FIRST_MS]
        return
    state[BEGUN] = 1
    state[CLOCK] = min(state[FIRST_MS], at_ms)
    if at_ms > state[CLOCK] + JUMP_MS:
        see_ahead(state, subscriber, at_ms)
    else:
        state[CLOCK] = max(state[CLOCK], at_ms)


@kernel
def see_ahead(state: Int64s, subscriber: int, at_ms: int) -> None:
    """Take a row that is far ahead as a witness, and move the clock where there are enough."""
    earliest_ms = at_ms if state[AHEAD_ROWS] == 0 else min(state[AHEAD_MS], at_ms)
    state[AHEAD_MS] = earliest_ms
    state[AHEAD_ROWS] += 1
    met(state, WITNESSES, _WITNESSES_AT, subscriber)
    needed = NEAR_WITNESSES if earliest_ms - state[CLOCK] <= FAR_MS else FAR_WITNESSES
    if state[WITNESSES] >= min(needed, state[KNOWN]) or state[AHEAD_ROWS] >= ROWS_MAX:
        state[CLOCK] = max(earliest_ms, at_ms if at_ms <= earliest_ms + JUMP_MS else earliest_ms)
        state[AHEAD_ROWS], state[WITNESSES] = 0, 0
