"""Send windows: at which times of which days a channel may send, in the operator's zone.

Written "mon-fri 08:00-21:00"; days are mon tue wed thu fri sat sun, single, in ranges or joined by commas, or daily.
The last minute does not belong to the window; 24:00 is the end of the day; a window over midnight is written as two.
Nothing here reads a clock.
"""

import re
from dataclasses import dataclass
from typing import Any, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN = 1_440
_SHAPE = re.compile(r"(\S+) (\d\d):(\d\d)-(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class SendWindow:
    """Days (0 is Monday) and minutes of the day, the last one excluded."""

    text: str
    days: frozenset[int]
    from_min: int
    to_min: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a window; ValueError says what is wrong with it."""
        match = _SHAPE.fullmatch(text)
        if match is None:
            raise ValueError(f"window={text!r} must read like 'mon-fri 08:00-21:00'")
        hours = [int(part) for part in match.groups()[1:]]
        from_min, to_min = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
        if max(hours[1], hours[3]) > 59 or not 0 <= from_min < to_min <= DAY_MIN:
            raise ValueError(f"window={text!r} must begin before it ends, within 00:00-24:00")
        return cls(text, _days(match[1], text), from_min, to_min)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls.parse,
            core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda window: window.text),
        )

    def holds(self, weekday: int, minute: int) -> bool:
        """Tell whether a minute of the day lies in the window on that weekday."""
        return weekday in self.days and self.from_min <= minute < self.to_min


def minutes_until_open(windows: tuple[SendWindow, ...], weekday: int, minute: int) -> int | None:
    """Return the minutes to wait until a window is open: 0 when one is or none is given, None when none ever opens."""
    if not windows:
        return 0
    waits = [
        max(0, ahead * DAY_MIN + window.from_min - minute)
        for window in windows
        for ahead in range(8)
        if (weekday + ahead) % 7 in window.days and (ahead > 0 or minute < window.to_min)
    ]
    return min(waits, default=None)


def _days(words: str, text: str) -> frozenset[int]:
    if words == "daily":
        return frozenset(range(7))
    chosen: set[int] = set()
    for word in words.split(","):
        first, _, last = word.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(f"window={text!r}: days={word!r} must be among {' '.join(DAYS)}, or daily")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        chosen |= {day % 7 for day in range(begin, (end if end >= begin else end + 7) + 1)}
    return frozenset(chosen)
