"""The operator's time zone as a table that kernels can read.

`transitions(zone)` is int64[k, 2]: from `utc_ms` (inclusive) on, local time is UTC plus `offset_ms`. The first row
begins before every event, so a lookup never misses. `local_offsets(zone)` is the same by local time, for times that
name no zone. The table spans 1970 to 2100, the years an event
may carry; it comes from the system's or tzdata's database through `zoneinfo` and is the same for every process with
the same database.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BEFORE_EVERYTHING_MS",
    "YEAR_FIRST",
    "YEAR_LAST",
    "epoch_ms",
    "is_zone",
    "local_ms",
    "local_offsets",
    "transitions",
    "zones",
]

YEAR_FIRST = 1970
YEAR_LAST = 2100
BEFORE_EVERYTHING_MS = -(1 << 62)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP_MS = 5 * 86_400_000


def is_zone(name: str) -> bool:
    """Whether the time zone database knows this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def zones() -> set[str]:
    """Every name in the time zone database."""
    return available_timezones()


@lru_cache(maxsize=16)
def transitions(zone: str) -> NDArray[np.int64]:
    """The zone's offsets, read-only, int64[k, 2]: (utc_ms, offset_ms), ascending."""
    info = ZoneInfo(zone)
    start = epoch_ms(datetime(YEAR_FIRST, 1, 1, tzinfo=UTC))
    end = epoch_ms(datetime(YEAR_LAST, 1, 1, tzinfo=UTC))
    offset = _offset_ms(info, start)
    rows = [(BEFORE_EVERYTHING_MS, offset)]
    for at in range(start + _STEP_MS, end, _STEP_MS):
        later = _offset_ms(info, at)
        if later != offset:
            rows.append((_change(info, at - _STEP_MS, at, offset), later))
            offset = later
    table = np.array(rows, np.int64)
    table.setflags(write=False)
    return table


@lru_cache(maxsize=16)
def local_offsets(zone: str) -> NDArray[np.int64]:
    """Which offset holds from which local time on, read-only, int64[k, 2]: (local_ms, offset_ms), ascending.

    An hour that a clock shows twice is its first one; one that it skips is read by the offset before, as Python does.
    """
    table = transitions(zone).copy()
    table[1:, 0] += np.maximum(table[:-1, 1], table[1:, 1])
    table.setflags(write=False)
    return table


def local_ms(at_ms: int, table: NDArray[np.int64]) -> int:
    """Wall clock of the zone at `at_ms`, as milliseconds that can be cut into days."""
    row = int(np.searchsorted(table[:, 0], at_ms, side="right")) - 1
    return at_ms + int(table[row, 1])


def epoch_ms(at: datetime, zone: str = "UTC") -> int:
    """Milliseconds since 1970 UTC; a time without an offset is read in `zone`."""
    aware = at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(zone))
    return (aware.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)


def _offset_ms(info: ZoneInfo, at_ms: int) -> int:
    offset = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(info).utcoffset()
    return 0 if offset is None else offset // timedelta(milliseconds=1)


def _change(info: ZoneInfo, low: int, high: int, offset: int) -> int:
    """The first millisecond after `low` whose offset is no longer `offset`; offsets change on whole seconds."""
    low, high = low // 1000, high // 1000
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_ms(info, middle * 1000) == offset:
            low = middle
        else:
            high = middle
    return high * 1000
