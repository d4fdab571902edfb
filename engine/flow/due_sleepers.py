"""Subscribers that sleep while a deadline of theirs comes: they are woken before it is looked for.

Marks in the store say who may be due (`state.sleeping_timers`). Who is woken is found where all others are; waking
changes no value, so it is done between two frames and leaves no trace in the log.
"""

import numpy as np

from engine.flow.deadlines import NONE_MS, Deadlines
from state.columns import Table
from state.flusher import Flusher
from state.sleeping_timers import FOUND_MAX


class DueSleepers:
    """Wakes those of one partition; belongs to its fold thread.

    Args:
        table, flusher, deadlines: of the partition.
        room: how many subscribers may be in memory.
    """

    def __init__(self, table: Table, flusher: Flusher, deadlines: Deadlines, room: int) -> None:
        self._table = table
        self._flusher = flusher
        self._deadlines = deadlines
        self._room = room
        deadlines.sleeping = flusher.timers

    def look(self, until_ms: int, position: int) -> int:
        """Find the deadlines that come up to a log time, also those of sleepers; return when the first does.

        `NONE_MS` where none does; `position` is of the next frame.
        """
        if self._deadlines.next_ms > until_ms:
            return NONE_MS
        self.wake(until_ms, position)
        return self._deadlines.look(until_ms)

    def wake(self, until_ms: int, position: int) -> None:
        """Wake who may have a deadline by a log time, as long as there is room; `position` is of the next frame."""
        timers = self._flusher.timers
        if timers.next_ms > until_ms:
            timers.clear(position - 1)
        while timers.next_ms <= until_ms and self._table.count + FOUND_MAX < self._room:
            self._wake_some(timers.find(until_ms), position)
        self._deadlines.moved()

    def _wake_some(self, found: list[tuple[int, bytes]], position: int) -> None:
        """Wake subscribers that are in no slot; remove the marks that outlived their rows."""
        who = np.unique(np.array([subscriber for subscriber, _ in found], np.int64))
        slots = np.empty(who.shape[0], np.int32)
        fresh = self._table.lookup(who, slots, position)
        if fresh.shape[0]:
            stamps = self._flusher.wake(who[fresh], slots[fresh], position)
            self._table.remove(slots[fresh][stamps < 0])
        self._deadlines.note(slots)
        outlived = [mark for subscriber, mark in found if not self._flusher.has_mark(subscriber, mark)]
        self._flusher.timers.drop(position - 1, outlived)
