"""The subscriber's own quiet hours: until when a text waits, from what was journaled with its decision.

The hours are those of two attributes, minutes of the day or "HH:MM", in the zone that the book names. From 22:00 to
07:00 they span midnight. Where one is unknown or no time of a day, or both are the same, there are none. Nothing here
reads a clock.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from rules.model import Quiet

DAY_MIN = 1_440
_HOURS = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)


def quiet_until_ms(quiet: Quiet, facts: Mapping[str, Any], now_ms: int) -> int:
    """Return when the quiet hours at `now_ms` end; `now_ms` where it is in none."""
    start, end = (minute_of(facts.get(name)) for name in (quiet.start, quiet.end))
    if start is None or end is None:
        return now_ms
    zone = _zone(quiet.zone)
    local = datetime.fromtimestamp(now_ms // 1000, zone)
    minute = local.hour * 60 + local.minute
    is_quiet = start <= minute < end if start <= end else minute >= start or minute < end
    if not is_quiet:
        return now_ms
    day = local.date() if minute < end else local.date() + timedelta(days=1)
    return max(_wall_ms(day, end, zone, 0), _wall_ms(day, end, zone, 1) if _wall_ms(day, end, zone, 0) <= now_ms else 0)


def minute_of(value: object) -> int | None:
    """Return the minute of the day that an attribute says, None where it says none; 24:00 is 0:00."""
    if isinstance(value, str):
        match = _HOURS.fullmatch(value.strip())
        value = int(match[1]) * 60 + int(match[2]) if match is not None and int(match[2]) < 60 else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= DAY_MIN:
        return None
    return value % DAY_MIN


def _wall_ms(day: date, minute: int, zone: ZoneInfo, fold: int) -> int:
    """Return the instant of a wall-clock minute of a day; `fold` 1: the second, where clocks are put back over it."""
    wall = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone, fold=fold)
    return int(wall.timestamp() * 1000)


@lru_cache(maxsize=16)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
