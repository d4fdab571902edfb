"""How times are written in feeds, read the slow and obvious way.

    iso8601    2008-11-04T09:00:00+08:00   seconds and fraction (cut to milliseconds) may be left out, the zone too if
               the mapping names one; "T" may be "t" or a space, the zone Z, z, +08:00, +0800 or +08
    compact    20081104090000[.fraction][zone], as call records write it
    epoch_ms   1225760400000, a number or its digits as a text
    epoch_s    1225760400, the same, with a fraction cut to milliseconds

`scan` reads the common ones of these fast, and must agree.
"""

import re
from datetime import UTC, datetime

MS_MAX = (1 << 63) - 1

_ZONE = r"(?P<zone>[Zz]|[+-]\d\d(?::?\d\d)?)?"
_FRACTION = r"(?:[.,](?P<fraction>\d{1,9}))?"
_ISO = re.compile(
    rf"(\d{{4}})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?P<seconds>:(?P<second>\d\d){_FRACTION})?{_ZONE}", re.ASCII
)
_COMPACT = re.compile(rf"(\d{{4}})(\d\d)(\d\d)[Tt]?(\d\d)(\d\d)(?P<second>\d\d){_FRACTION}{_ZONE}", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
_SECONDS = re.compile(r"(?P<sign>-?)(?P<whole>\d{1,16})(?:\.(?P<fraction>\d{1,9}))?", re.ASCII)


class BadTimeError(ValueError):
    """Raised when a text is no time; the message says why."""


def parse_time(text: str, time_format: str, offset_ms: int | None) -> int:
    """Return the epoch milliseconds of `text`; `offset_ms` is the zone of a time that names none."""
    if time_format == "epoch_ms":
        return _epoch_ms(text)
    if time_format == "epoch_s":
        return _epoch_s(text)
    match = (_COMPACT if time_format == "compact" else _ISO).fullmatch(text)
    if match is None:
        raise BadTimeError(f"is not of the form {time_format}")
    year, month, day, hour, minute = (int(match[group]) for group in range(1, 6))
    try:
        moment = datetime(year, month, day, hour, minute, int(match["second"] or 0), tzinfo=UTC)
    except ValueError as fault:
        raise BadTimeError(str(fault)) from fault
    whole = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _SECOND * 1000
    return whole + _milliseconds(match["fraction"]) - _zone_ms(match["zone"], offset_ms)


_SECOND = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)


def _milliseconds(fraction: str | None) -> int:
    return int((fraction or "")[:3].ljust(3, "0"))


def _zone_ms(zone: str | None, offset_ms: int | None) -> int:
    if zone is None:
        if offset_ms is None:
            raise BadTimeError("names no zone, and the source has no time_offset")
        return offset_ms
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
