"""The operator's calendar, from the zone database itself: no table of transitions, no kernels."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
YEAR_2000_MS = 946_684_800_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = (datetime(2100, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1) - MINUTE_MS


@lru_cache(maxsize=200_000)
def offset_ms(zone: str, minute: int) -> int:
    """Local time minus UTC in a minute since 1970; the years before and after the book's calendar have its ends'."""
    at_ms = min(max(minute * MINUTE_MS, 0), _LAST_MS)
    offset = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return offset // timedelta(milliseconds=1)


class Zone:
    """What a clock and a calendar on the wall say."""

    def __init__(self, name: str) -> None:
        self.name = name

    def wall_ms(self, at_ms: int) -> int:
        """Milliseconds from 1 January 1970 to this moment, by the clock on the wall."""
        return at_ms + offset_ms(self.name, at_ms // MINUTE_MS)

    def day(self, at_ms: int) -> int:
        return self.wall_ms(at_ms) // DAY_MS

    def week(self, at_ms: int) -> int:
        """Weeks begin on Monday; 1 January 1970 was a Thursday."""
        return (self.day(at_ms) + 3) // 7

    def month(self, at_ms: int) -> int:
        today = date.fromordinal(date(1970, 1, 1).toordinal() + self.day(at_ms))
        return today.year * 12 + today.month
