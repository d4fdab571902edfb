"""Log times on the events' own clock: each chunk's rows, in the order of the chunks of its source, before the split.

The clock of a source is `state.log_clock`. Its state goes with every part of a chunk into the frames of its partition,
as of the row that the partition comes to next. At a start the least advanced partition says where each source's clock
stood: from there its lines are read again. How sources become one stream is `engine.flow.merge`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from state.log_clock import BEGUN, ROWS, Int64s, new_clock, pack_clock, run_clock, unpack_clock


@dataclass(slots=True)
class ChunkClock:
    """A source's clock on its way through one chunk; `state` is that before row `row`, and only goes on."""

    source: str
    state: Int64s
    subscriber: Int64s
    at_ms: Int64s
    offsets: Int64s
    row: int = 0

    def before(self, offset: int) -> list[int]:
        """Return the state before the first row at or after a position of the source."""
        return self._upto(int(np.searchsorted(self.offsets, offset)))

    def after(self) -> list[int]:
        """Return the state after the chunk."""
        return self._upto(self.subscriber.shape[0])

    def _upto(self, row: int) -> list[int]:
        some = slice(self.row, row)
        run_clock(self.state, self.subscriber[some], self.at_ms[some], np.empty(max(row - self.row, 0), np.int64))
        self.row = max(self.row, row)
        return pack_clock(self.state)


class SourceClocks:
    """The clocks of all sources; used by one thread at a time.

    Args:
        stored: by partition, each source's state as of its last frame.
    """

    def __init__(self, stored: Iterable[Mapping[str, list[int]]]) -> None:
        every = list(stored)
        names = {name for clocks in every for name in clocks}
        blank = pack_clock(new_clock())
        self._states = {
            name: unpack_clock(min((one.get(name, blank) for one in every), key=lambda state: state[ROWS]))
            for name in names
        }

    def stamp(self, source: str, subscriber: Int64s, at_ms: Int64s, log_ms: Int64s) -> Int64s:
        """Write the log times of a chunk's rows; return the state of its source before it."""
        state = self._states.setdefault(source, new_clock())
        before = state.copy()
        run_clock(state, subscriber, at_ms, log_ms)
        return before

    def begun(self, source: str) -> bool:
        """Tell whether the clock of a source has begun; before that its log times are tentative."""
        return bool(self._states[source][BEGUN])


def newer(stored: Mapping[str, list[int]], clocks: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """Return those of `clocks` that have come further than what is stored: lines read again bring older ones."""
    return {name: state for name, state in clocks.items() if name not in stored or state[ROWS] >= stored[name][ROWS]}


def has_begun(clocks: Mapping[str, list[int]]) -> bool:
    """Tell whether any source's clock has begun; before that what they say is tentative."""
    return any(state[BEGUN] for state in clocks.values())
