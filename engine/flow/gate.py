"""How far the fold may go before dispatch has: the gate between both on the events' own clock.

Everything due up to a time is sent, and its outcome is in the log, before a later row is folded. So a partition stops
after the step in which it has decided something, and every partition stops where something that waits falls due. The
feeder (`engine.dispatch.events_feeder`) lets them go on. Without dispatch (`open`) nothing stops.

What is pushed waits for no source: while dispatch does a moment, more may be decided that is due at the same one. So a
frame holds its partition until dispatch has taken over that very frame.

All methods are called under the lock of the queues.
"""

from collections.abc import Sequence

from engine.flow.fold import Appended
from engine.flow.steps import FOREVER_MS
from state.decisions import DecisionBatch, Outcome


class Gate:
    """Up to when each partition may fold; shut until `passed` is called for the first time, unless `open`."""

    def __init__(self, partitions: int, *, open_: bool) -> None:
        self._open = open_
        self._due_ms = FOREVER_MS if open_ else -1
        self._held: list[dict[int, int]] = [{} for _ in range(partitions)]

    def limit_ms(self, number: int) -> int:
        """Return the time up to which rows of a partition may be folded."""
        return min([self._due_ms, *self._held[number]])

    @property
    def held_ms(self) -> int:
        """The earliest time at which a decision is due that dispatch has not taken over; `FOREVER_MS`: none is."""
        return min((at_ms for held in self._held for at_ms in held), default=FOREVER_MS)

    def folded(self, number: int, frame: Appended) -> None:
        """Note a frame: what it decided is due at its end, and dispatch follows a book that it activates."""
        found = frame.decisions
        if not self._open and found is not None and holds(found):
            self.hold(number, frame.append_ms, frame.position)

    def hold(self, number: int, at_ms: int, position: int) -> None:
        """Stop a partition at a time, until the frame at a position of its log is taken over."""
        held = self._held[number]
        held[at_ms] = max(position, held.get(at_ms, position))

    def passed(self, taken: Sequence[int], due_ms: int) -> None:
        """Let partitions go on: dispatch has done what it took over, and has more to do at `due_ms`.

        `taken`: by partition, the position of the log up to which it has taken over what was decided; -1: nothing.
        """
        self._due_ms = due_ms
        for number, position in enumerate(taken):
            held = self._held[number]
            self._held[number] = {at_ms: frame for at_ms, frame in held.items() if frame > position}


def holds(decisions: DecisionBatch) -> bool:
    """Tell whether what a frame decided is for dispatch, which sends it or follows its book."""
    return decisions.activates or bool((decisions.outcome == Outcome.DECIDED).any())
