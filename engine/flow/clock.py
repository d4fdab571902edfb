"""The clocks of a runtime: the wall's, and the events' own for recorded and generated days.

The decider sees neither; it reads the times that the pipeline has written into the log. Dispatch asks one of these for
send windows, quotas, retries and shelf life. On the events' clock a whole day may pass in a second: the feeder moves it
from one moment at which something is due to the next (`engine.dispatch.events_feeder`).
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What time it is for sending."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 UTC."""


class WallClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return the wall clock's time."""
        return time.time_ns() // 1_000_000


class EventsClock:
    """The time up to which dispatch has come: it stands still until the feeder moves it."""

    def __init__(self) -> None:
        self._now_ms = 0

    def reach(self, at_ms: int) -> None:
        """Say that dispatch has come to `at_ms`; an earlier time changes nothing."""
        self._now_ms = max(self._now_ms, at_ms)

    def now_ms(self) -> int:
        """Return the time reached; 0 before anything was."""
        return self._now_ms
