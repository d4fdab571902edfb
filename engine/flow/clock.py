"""The clocks of a runtime: the wall's, and the events' own for recorded and generated days.

The decider sees neither; it reads the times that the pipeline has written into the log. Dispatch asks one of these for
send windows, quotas, retries and shelf life. On the events' clock a whole day may pass in a second: the feeder moves it
from decision to decision, and waits until what can be sent at one time has been sent before it goes on to a later one.
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
    """The time of the newest decision that dispatch was given, running on at the wall's pace from there."""

    def __init__(self) -> None:
        self._reached_ms = 0
        self._reached_s = time.monotonic()

    def reach(self, at_ms: int) -> None:
        """Say that dispatch has come to `at_ms`; an earlier time changes nothing."""
        now_ms = self.now_ms() if self._reached_ms else 0
        if at_ms > now_ms:
            self._reached_ms = at_ms
            self._reached_s = time.monotonic()

    def now_ms(self) -> int:
        """Return the time reached; 0 before anything was."""
        if self._reached_ms == 0:
            return 0
        return self._reached_ms + int((time.monotonic() - self._reached_s) * 1000)
