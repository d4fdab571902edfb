"""The operator's day: local date, and whether a channel's send windows are open.

The windows themselves are `engine.settings.send_windows`. Times are epoch milliseconds, passed in.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from engine.flow.steps import FOREVER_MS
from engine.settings.send_windows import SendWindow, minutes_until_open

_MINUTE_MS = 60_000


class LocalTime:
    """The operator's zone."""

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._minute = -1
        self._now = datetime.fromtimestamp(0, self._zone)

    def at(self, now_ms: int) -> datetime:
        """Return the local time, to the minute."""
        minute = now_ms // _MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._now = datetime.fromtimestamp(minute * 60, self._zone)
        return self._now

    def day(self, now_ms: int) -> int:
        """Return the local date as a number; the next date is one more."""
        return self.at(now_ms).toordinal()

    def opens_ms(self, windows: tuple[SendWindow, ...], now_ms: int) -> int:
        """Return when a window is open: `now_ms` when one is, FOREVER_MS when none ever will be."""
        if not windows:
            return now_ms
        local = self.at(now_ms)
        minute = local.hour * 60 + local.minute
        wait = minutes_until_open(windows, local.weekday(), minute)
        if wait is None:
            return FOREVER_MS
        return now_ms if wait == 0 else self._wall_ms(local.date(), minute + wait)

    def next_day_ms(self, now_ms: int) -> int:
        """Return when the next local date begins."""
        return self._wall_ms(self.at(now_ms).date(), 1440)

    def _wall_ms(self, day: date, minute: int) -> int:
        """Return the instant of a wall-clock minute, counted from the start of `day`."""
        days, minute = divmod(minute, 1440)
        hour, minute = divmod(minute, 60)
        wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self._zone) + timedelta(days=days)
        return int(wall.astimezone(UTC).timestamp() * 1000)
