"""The running clock of a source on the events' own time: each row's log time, from its source's rows in their order.

A row's log time is the clock after it. The clock never goes back, and no single subscriber's wrong clock moves it far:

    at or before the clock + JUMP_MS      the clock goes to the row's time, where that is later
    further ahead                         the row gets the clock as it stands, and waits as a witness. Three subscribers
                                          that say so, with no row near the clock between them, move it to the earliest
                                          of their times; ahead by more than FAR_MS it takes sixteen

A source that has shown fewer subscribers needs no more than it has; and where nobody has come near the clock for
`ROWS_MAX` rows, so many rows are enough. So a feed may pause for months, and a burst of ten wrong rows moves nothing.
There is no bound above which a row is refused: a feed that went on after a longer pause would stand still with it.

Until a source has shown three subscribers, or two in `ROWS_MAX` rows, its log times are tentative: nobody can say which
of two is wrong. They are the latest time so far, which a second subscriber may take back to its own, and move by
FAR_MS at the most. Then the clock begins, where the rule above has it, be it earlier.

The state is plain numbers, stored in each frame beside the source's position: whoever reads the source again from there
gives the same times. Chunks, frames and partitions change nothing. Each source has a clock of its own;
how they become one stream is not here.
"""

import numpy as np
from numpy.typing import NDArray

from state.jit import kernel, routine

JUMP_MS = 10 * 60_000
FAR_MS = 86_400_000
NEAR_WITNESSES, FAR_WITNESSES = 3, 16
ROWS_MAX = 64

ROWS, BEGUN, CLOCK, LATEST_MS, AHEAD_ROWS, AHEAD_MS, KNOWN, WITNESSES, PAIRED = range(9)
"""Cells of a state: rows so far; whether the clock has begun; the clock; the tentative time before that; of
the rows ahead their number, their earliest time; how many subscribers are known, and how many witnesses there are;
whether the second subscriber has been taken in. Those follow: FAR_WITNESSES cells of each."""
_KNOWN_AT = 9
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
        else:
            go(state, subscriber[row], at_ms[row])
        log_ms[row] = state[CLOCK] if state[BEGUN] else state[LATEST_MS]


@routine
def met(state: Int64s, count_at: int, first: int, subscriber: int) -> None:
    """Note a subscriber among those from `first` on, as many as there is room for."""
    count = state[count_at]
    for i in range(first, first + count):
        if state[i] == subscriber:
            return
    if count < FAR_WITNESSES:
        state[first + count] = subscriber
        state[count_at] = count + 1


@routine
def begin(state: Int64s, subscriber: int, at_ms: int) -> None:
    """Take a row whose log time is tentative, and begin the clock where enough is known."""
    if state[KNOWN] == 1:
        state[LATEST_MS] = at_ms if state[ROWS] == 1 else max(state[LATEST_MS], at_ms)
        return
    if state[PAIRED] == 0:
        state[PAIRED] = 1
        state[CLOCK] = min(state[LATEST_MS], at_ms)
        state[LATEST_MS] = min(at_ms, state[LATEST_MS])
    go(state, subscriber, at_ms)
    if state[LATEST_MS] < at_ms <= state[LATEST_MS] + FAR_MS:
        state[LATEST_MS] = at_ms
    state[LATEST_MS] = max(state[LATEST_MS], state[CLOCK])
    if state[KNOWN] > 2 or state[ROWS] >= ROWS_MAX:
        state[BEGUN] = 1


@routine
def go(state: Int64s, subscriber: int, at_ms: int) -> None:
    """Go with a row, or take it as a witness."""
    if at_ms > state[CLOCK] + JUMP_MS:
        see_ahead(state, subscriber, at_ms)
        return
    if at_ms >= state[CLOCK] - JUMP_MS:
        state[AHEAD_ROWS], state[WITNESSES] = 0, 0
    state[CLOCK] = max(state[CLOCK], at_ms)


@routine
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
