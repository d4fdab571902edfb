"""How far the fold may go before dispatch has: the gate between both on the events' own clock.

Everything due up to a time is sent, and its outcome is in the log, before a later row is folded. So a partition stops
after the step in which it has decided something, and every partition stops where something that waits falls due. The
feeder (`engine.dispatch.events_feeder`) lets them go on. Without dispatch (`open`) nothing stops.

All methods are called under the lock of the queues.
"""

from engine.flow.fold import Appended
from engine.flow.steps import FOREVER_MS
from state.decisions import Outcome


class Gate:
    """Up to when each partition may fold; shut until `passed` is called for the first time, unless `open`."""

    def __init__(self, partitions: int, *, open_: bool) -> None:
        self._open = open_
        self._due_ms = FOREVER_MS if open_ else -1
        self._held_ms = [FOREVER_MS] * partitions

    def limit_ms(self, number: int) -> int:
        """Return the time up to which rows of a partition may be folded."""
        return min(self._due_ms, self._held_ms[number])

    @property
    def held_ms(self) -> int:
        """The earliest time at which a decision is due that dispatch has not taken over; `FOREVER_MS`: none is."""
        return min(self._held_ms)

    def folded(self, number: int, frame: Appended) -> None:
        """Note a frame: what it decided is due at its end, and dispatch follows a book that it activates."""
        found = frame.decisions
        if not self._open and found is not None and (found.activates or (found.outcome == Outcome.DECIDED).any()):
            self.hold(number, frame.append_ms)

    def hold(self, number: int, at_ms: int) -> None:
        """Stop a partition at a time."""
        self._held_ms[number] = min(self._held_ms[number], at_ms)

    def passed(self, at_ms: int, due_ms: int) -> None:
        """Let partitions go on: dispatch has done all that was due up to `at_ms`, and has more to do at `due_ms`."""
        self._due_ms = due_ms
        self._held_ms = [FOREVER_MS if held_ms <= at_ms else held_ms for held_ms in self._held_ms]
