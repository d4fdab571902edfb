"""Panels changed by compare-and-set: read, apply a pure change of `changes`, write; again where another was first.

Every process of a cluster changes panels at the same time, so a change may meet others; it is tried again a bounded
number of times.
"""

from collections.abc import Callable
from typing import Literal, TypeVar

from connectors.desk.model import Panel
from connectors.desk.queue import Change, Queue, QueueLostError

OWED_MAX = 256
"""Notes that a terminal may owe the log before it accepts nothing new."""
ATTEMPTS_MAX = 32

T = TypeVar("T")


class BehindError(Exception):
    """A terminal owes the log too much; it accepts nothing new until the log has caught up."""


class Panels:
    """The panels of one queue, as seen by one clock in epoch milliseconds."""

    def __init__(self, queue: Queue, clock: Callable[[], int]) -> None:
        self.queue = queue
        self.clock = clock

    async def find(self, kind: Literal["visit", "card"], key: str) -> Panel | None:
        """Return the panel where a visit or card was last; QueueLostError where one not found may still come back."""
        found = await self.queue.find_panel(kind, key)
        if found is None and self.queue.recalling:
            raise QueueLostError(f"{kind} {key} is not known, and what was forgotten may still come back")
        return found

    async def change(
        self, terminal: str, turn: Callable[[Panel, int], tuple[Panel, T]], known: Panel | None = None
    ) -> tuple[Panel, T]:
        """Apply a change by compare-and-set, first to the panel as `known`; one that stays as it was is not written.

        `turn` gets a panel and the time, and returns the changed panel and a result. Returns the panel as written, and
        the result. BehindError when the terminal owes the log too much, or every attempt met another change.
        """
        for _ in range(ATTEMPTS_MAX):
            before = known or await self.queue.read(terminal)
            known = None
            after, result = turn(before, self.clock())
            if after is before:
                return before, result
            refuse_when_behind(before, after)
            if await self.queue.write(Change(((before, after),))):
                return after, result
        raise BehindError(f"terminal {terminal}: {ATTEMPTS_MAX} attempts to change its panel met other changes")


def refuse_when_behind(before: Panel, after: Panel) -> None:
    """Refuse a change after which a terminal owes the log more than `OWED_MAX` notes; one that owes fewer is fine."""
    if len(after.owed) > max(OWED_MAX, len(before.owed)):
        raise BehindError(f"terminal {after.terminal}: owed={len(after.owed)} notes to the log must be <= {OWED_MAX}")
