"""The zone of times that name none: an offset that never changes, or a zone of the database with its summer time.

Local time is milliseconds since 1970 by the clock on the wall. An hour that a clock shows twice is its first one; one
that it skips is read by the offset before, as Python does.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

YEAR_FIRST, YEAR_LAST = 1999, 2100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
Offset = Callable[[int], int]


def zone_of(name: str) -> ZoneInfo:
    """Return a zone of the database; ValueError where it has none of the name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as fault:
        raise ValueError(f"time_zone={name!r} must be a zone of the database, as Asia/Shanghai") from fault


def offset_in(zone: ZoneInfo) -> Offset:
    """Return what gives the offset of a local time, both in milliseconds."""

    def offset(local_ms: int) -> int:
        at = _EPOCH + timedelta(milliseconds=local_ms)
        return (at.replace(tzinfo=zone) - at) // timedelta(milliseconds=-1)

    return offset


@lru_cache(maxsize=16)
def offset_table(name: str) -> NDArray[np.int64]:
    """Return int64[k, 2]: from which local time on which offset holds; the last row only ends the table."""
    offset = offset_in(zone_of(name))
    first, last = (_local_ms(year) for year in (YEAR_FIRST, YEAR_LAST))
    rows = [(first, offset(first))]
    for day in range(first, last, _DAY_MS):
        after = day + _DAY_MS
        if offset(after) != rows[-1][1]:
            rows.append(_change(offset, day, after))
    return np.array([*rows, (last, 0)], np.int64)


def _local_ms(year: int) -> int:
    return (datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def _change(offset: Offset, low: int, high: int) -> tuple[int, int]:
    """Return when the offset becomes that of `high`, which differs from that of `low`."""
    new = offset(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if offset(middle) == new else (middle, high)
    return high, new
