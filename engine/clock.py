"""The clocks of a runtime: the wall's, and the events' own for recorded and generated days.

The decider sees neither; it reads the times that the pipeline has written into the log. Dispatch asks one of these for
send windows, quotas, retries and shelf life. On the events' clock a whole day may pass in a second: what time it is, is
the newest time that any partition's log has reached, and it goes on at the wall's pace when no events come.
"""

import time
from collections.abc import Callable, Iterable
from typing import Protocol


class Stamped(Protocol):
    """Something whose log has a time."""

    clock_ms: int


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
    """The newest time in the logs, running on at the wall's pace from there; the wall's own while there is none."""

    def __init__(self, partitions: Callable[[], Iterable[Stamped]]) -> None:
        self._partitions = partitions
        self._newest_ms = 0
        self._reached_s = time.monotonic()

    def now_ms(self) -> int:
        """Return the time that the logs have reached."""
        newest = max((partition.clock_ms for partition in self._partitions()), default=0)
        if newest == 0:
            return WallClock().now_ms()
        if newest > self._newest_ms:
            passed_ms = self._newest_ms + int((time.monotonic() - self._reached_s) * 1000)
            self._newest_ms = max(newest, passed_ms if self._newest_ms else 0)
            self._reached_s = time.monotonic()
        return self._newest_ms + int((time.monotonic() - self._reached_s) * 1000)
