"""How times are written in feeds, read the slow and obvious way.

    iso8601    2008-11-04T09:00:00+08:00   seconds and fraction (cut to milliseconds) may be left out, the zone too if
               the mapping names one; "T" may be "t" or a space, the zone Z, z, +08:00, +0800 or +08
    compact    20081104090000[.fraction][zone], as call records write it
    epoch_ms   1225760400000, a number or its digits as a text
    epoch_s    1225760400, the same, with a fraction cut to milliseconds
    a pattern  as `time_pattern` says

`scan` reads the common ones of these fast, and must agree.
"""

import re
from datetime import UTC, datetime, timedelta

from connectors.sources.time_pattern import MONTHS, expression_of, steps_of
from connectors.sources.zones import Offset

MS_MAX = (1 << 63) - 1

_DATE = (r"(?P<year>\d{4})", r"(?P<month>\d\d)", r"(?P<day>\d\d)")
_CLOCK = (r"(?P<hour>\d\d)", r"(?P<minute>\d\d)")
_SECOND = r"(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
_ZONE = r"(?P<zone>[Zz]|[+-]\d\d(?::?\d\d)?)?"
_FORMS = {
    "iso8601": re.compile(f"{'-'.join(_DATE)}[Tt ]{':'.join(_CLOCK)}(?::{_SECOND})?{_ZONE}", re.ASCII),
    "compact": re.compile(f"{''.join(_DATE)}[Tt]?{''.join(_CLOCK)}{_SECOND}{_ZONE}", re.ASCII),
}
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
_SECONDS = re.compile(r"(?P<sign>-?)(?P<whole>\d{1,16})(?:\.(?P<fraction>\d{1,9}))?", re.ASCII)


class BadTimeError(ValueError):
    """Raised when a text is no time; the message says why."""


class TimeReader:
    """Reads the times of one source; `offset` gives the zone of those that name none."""

    def __init__(self, time_format: str, offset: Offset | None) -> None:
        self._format = time_format
        self._offset = offset
        self._form = expression_of(steps_of(time_format)) if "%" in time_format else _FORMS.get(time_format)

    def read(self, text: str) -> int:
        """Return the epoch milliseconds of `text`; BadTimeError where it is no time."""
        if self._form is None:
            return _epoch_ms(text) if self._format == "epoch_ms" else _epoch_s(text)
        match = self._form.fullmatch(text)
        if match is None:
            raise BadTimeError(f"is not of the form {self._format}")
        parts: dict[str, str | None] = match.groupdict()
        local_ms = _local_ms(parts) + _milliseconds(parts.get("fraction"))
        return local_ms - self._zone_ms(parts.get("zone"), local_ms)

    def _zone_ms(self, zone: str | None, local_ms: int) -> int:
        if zone is not None:
            return _named_ms(zone)
        if self._offset is None:
            raise BadTimeError("names no zone, and the source has no time_offset or time_zone")
        return self._offset(local_ms)


def _local_ms(parts: dict[str, str | None]) -> int:
    year, day, minute, second = (int(parts.get(name) or 0) for name in ("year", "day", "minute", "second"))
    name = parts.get("month_name")
    month = MONTHS.index(name.lower()) + 1 if name else int(parts["month"] or 0)
    hour = _hour(parts)
    if len(parts["year"] or "") == 2:
        year += 2000
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as fault:
        raise BadTimeError(str(fault)) from fault
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * 1000


def _hour(parts: dict[str, str | None]) -> int:
    """Return the hour of the day; 12 AM is midnight."""
    half_hour = parts.get("half_hour")
    if half_hour is None:
        return int(parts.get("hour") or 0)
    if not 1 <= int(half_hour) <= 12:
        raise BadTimeError(f"hour {half_hour} must be >= 1 and <= 12")
    return int(half_hour) % 12 + (12 if (parts["half"] or "")[:1] in ("P", "p") else 0)


def _milliseconds(fraction: str | None) -> int:
    return int((fraction or "")[:3].ljust(3, "0"))


def _named_ms(zone: str) -> int:
    if zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
    if hours > 18 or minutes > 59:
        raise BadTimeError(f"zone {zone} must be at most 18 hours and 59 minutes")
    value = (hours * 60 + minutes) * 60_000
    return value if zone[0] == "+" else -value


def _epoch_ms(text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise BadTimeError("is not a whole number of milliseconds")
    value = int(text)
    if not -MS_MAX <= value <= MS_MAX:
        raise BadTimeError("does not fit 64 bits")
    return value


def _epoch_s(text: str) -> int:
    match = _SECONDS.fullmatch(text)
    if match is None:
        raise BadTimeError("is not a number of seconds")
    value = int(match["whole"]) * 1000 + _milliseconds(match["fraction"])
    if value > MS_MAX:
        raise BadTimeError("does not fit 64 bits of milliseconds")
    return -value if match["sign"] else value
