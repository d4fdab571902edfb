"""Local time from a table of offset changes, for kernels and for Python alike.

A zone is `transitions`, int64[k, 2]: from `transitions[i, 0]` (UTC milliseconds, ascending) on, local time is UTC plus
`transitions[i, 1]` milliseconds. The first row also holds for everything before it. Days, weeks (from Monday) and
months are counted from 1 January 1970 of the civil calendar: two instants lie in the same one where the numbers
agree.

`state.calendar` makes the tables from the zone database; nothing here reads it, or a clock.
"""

import numpy as np
from numpy.typing import NDArray

from state.jit import kernel, routine

HOUR_MS = 3_600_000
DAY_MS = 86_400_000

Transitions = NDArray[np.int64]


def fixed_zone(offset_ms: int) -> Transitions:
    """Return the table of a zone that never changes its offset."""
    return np.array([[0, offset_ms]], dtype=np.int64)


@routine
def interval_at(ms: int, transitions: Transitions) -> int:
    """Return the row of `transitions` in force at `ms`."""
    low = 0
    high = transitions.shape[0]
    while high - low > 1:
        middle = (low + high) // 2
        if transitions[middle, 0] <= ms:
            low = middle
        else:
            high = middle
    return low


@kernel
def offset_at(ms: int, transitions: Transitions) -> int:
    """Return local time minus UTC at `ms`, in milliseconds."""
    return int(transitions[interval_at(ms, transitions), 1])


@kernel
def local_day(ms: int, transitions: Transitions) -> int:
    """Return the number of the local day, 0 on 1 January 1970."""
    return (ms + offset_at(ms, transitions)) // DAY_MS


@kernel
def local_week(ms: int, transitions: Transitions) -> int:
    """Return the number of the local week, Monday to Sunday; 1 January 1970 was a Thursday in week 0."""
    return (local_day(ms, transitions) + 3) // 7


@routine
def since_march(day: int) -> tuple[int, int]:
    """Return the year that began with the last 1 March up to a local day, and how many days of it are over."""
    shifted = day + 719_468  # days since 1 March of the year 0
    era = shifted // 146_097
    day_of_era = shifted - era * 146_097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    return year_of_era + era * 400, day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)


@kernel
def month_of_day(day: int) -> int:
    """Return year * 12 + month - 1 of a local day, minus that of January 1970."""
    year, days_over = since_march(day)
    return year * 12 + (5 * days_over + 2) // 153 + 2 - 1970 * 12


@kernel
def day_in_month(day: int) -> int:
    """Return which day of its month a local day is, 1 to 31."""
    days_over = since_march(day)[1]
    march_month = (5 * days_over + 2) // 153
    return days_over - (153 * march_month + 2) // 5 + 1


@kernel
def local_month(ms: int, transitions: Transitions) -> int:
    """Return the number of the local month, 0 in January 1970."""
    return month_of_day(local_day(ms, transitions))


@kernel
def local_hour(ms: int, transitions: Transitions) -> int:
    """Return the local hour of the day, 0 to 23."""
    return (ms + offset_at(ms, transitions)) % DAY_MS // HOUR_MS


@kernel
def local_weekday(ms: int, transitions: Transitions) -> int:
    """Return the local day of the week, Monday 0 to Sunday 6."""
    return (local_day(ms, transitions) + 3) % 7
