"""Deadlines of subscribers that sleep: marks in the store, in the order of time, so that who is due is woken.

Going to sleep writes, beside the row, a mark for each timer with an open deadline: when the first was armed. The mark
goes when the page of the woken subscriber is flushed, in the same batch as the row (`state.sleepers`). A mark says when
to look and no more, so one that outlived its row costs a look. It holds the time of arming and not the deadline: a book
that changes the span finds the same marks.

Belongs to the fold thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.features.spec import FeatureSpec
from state.features.timer_cells import NEVER_MS
from state.keys import Keys, marked
from state.page_writer import Job, PageWriter
from state.store import Store, Write
from state.timer_hints import Int64s, first_armed

FOUND_MAX = 512
"""Subscribers that are woken at once."""
CLEARED_MAX = 512
"""Marks of a timer that is gone, removed at once."""


@dataclass(slots=True)
class _Timer:
    """A timer: its number in marks, and the second before which no sleeping subscriber has armed a deadline."""

    number: int
    spec: FeatureSpec
    column: Int64s
    first_s: int = 0


class SleepingTimers:
    """The marks of one partition.

    Args:
        store, keys, writer: where marks are, and those that are on their way there.
    """

    def __init__(self, store: Store, keys: Keys, writer: PageWriter) -> None:
        self._store = store
        self._keys = keys
        self._writer = writer
        self._timers: list[_Timer] = []
        self._gone: list[int] = []
        self.lateness_ms = 0

    def follow(self, timers: Sequence[tuple[int, FeatureSpec, Int64s]]) -> None:
        """Take the timers of a book: number, specification and column of each."""
        present = {number for number, _, _ in timers}
        self._gone += [one.number for one in self._timers if one.number not in present]
        self._gone = [number for number in self._gone if number not in present]
        known = {one.number: one.first_s for one in self._timers}
        self._timers = [_Timer(*one, known.get(one[0], 0)) for one in timers]

    @property
    def next_ms(self) -> int:
        """The log time before which no sleeping subscriber's deadline comes; it may be earlier than the first one."""
        return min((self._due_ms(one, one.first_s) for one in self._timers), default=NEVER_MS)

    def _due_ms(self, timer: _Timer, armed_s: int) -> int:
        return NEVER_MS if armed_s >= NEVER_MS // 1000 else armed_s * 1000 + timer.spec.window_ms + self.lateness_ms

    def marks_of(self, slots: NDArray[np.int32], subscribers: Sequence[int]) -> list[list[bytes]]:
        """Return for each slot the marks that its subscriber has while asleep."""
        found: list[list[bytes]] = [[] for _ in subscribers]
        for timer in self._timers:
            armed = first_armed(timer.spec, timer.column, slots)
            for i in np.flatnonzero(armed < NEVER_MS).tolist():
                found[i].append(self._keys.mark(timer.number, int(armed[i]) // 1000, subscribers[i]))
        return found

    def slept(self, marks: Sequence[bytes]) -> None:
        """Learn of marks that are on their way to the store."""
        for timer in self._timers:
            prefix = self._keys.marks(timer.number)
            for mark in marks:
                if mark.startswith(prefix):
                    timer.first_s = min(timer.first_s, marked(mark)[0])

    def find(self, until_ms: int) -> list[tuple[int, bytes]]:
        """Return subscribers that may have a deadline by a log time, with the mark that says so; some at a time."""
        found: list[tuple[int, bytes]] = []
        for timer in self._timers:
            if self._due_ms(timer, timer.first_s) <= until_ms and len(found) < FOUND_MAX:
                found += self._find(timer, until_ms, FOUND_MAX - len(found))
        return found

    def _find(self, timer: _Timer, until_ms: int, count_max: int) -> list[tuple[int, bytes]]:
        """Return those of one timer, and raise its first second to that of the first mark that is left."""
        prefix = self._keys.marks(timer.number)
        waiting = sorted(self._writer.waiting_marks(prefix))
        found: dict[bytes, int] = {}
        first_s = NEVER_MS // 1000
        for keys in (waiting, (key for key, _ in self._store.scan(prefix))):
            for taken, key in enumerate(keys):
                armed_s, subscriber = marked(key)
                if self._due_ms(timer, armed_s) > until_ms or taken == count_max:
                    first_s = min(first_s, armed_s)
                    break
                found[key] = subscriber
        timer.first_s = first_s
        return [(subscriber, key) for key, subscriber in found.items()]

    def clear(self, position: int) -> None:
        """Remove some of the marks of timers that are gone; all events up to `position` are folded."""
        if not self._gone:
            return
        keys: list[Write] = []
        for key, _ in self._store.scan(self._keys.marks(self._gone[-1])):
            keys.append((key, None))
            if len(keys) == CLEARED_MAX:
                break
        if len(keys) < CLEARED_MAX:
            self._gone.pop()
        if keys:
            self._writer.enqueue(Job(position, keys))

    def drop(self, position: int, marks: Sequence[bytes]) -> None:
        """Remove marks that outlived their rows."""
        if marks:
            self._writer.enqueue(Job(position, [(mark, None) for mark in marks]))
