"""Caps as a rule author writes them: "1 per 30d", "3 per week".

A duration makes the cap rolling, exact to the millisecond: any stretch of that length holds at most N contacts.
`day`, `week` (from Monday) and `month` are the calendar's, in the operator's time zone. Whether a contact fits is
decided by `rules.gates.caps`; here a cap is only read.

    >>> cap("1 per 30d", "rule", 7).window_ms
    2592000000
    >>> cap("3 per week", "all", 0).kind
    'week'
"""

import re
from functools import lru_cache
from typing import Literal

from rules.model import Cap
from rules.spans import duration_ms, duration_text

__all__ = ["COUNT_MAX", "Scope", "cap", "cap_fault"]

Scope = Literal["rule", "campaign", "category", "channel", "all"]

COUNT_MAX = 1_000
CALENDAR_KINDS = ("day", "week", "month")
WINDOW_MS_MIN = 1_000
WINDOW_MS_MAX = 366 * 86_400_000

_CAP = re.compile(r"(\d{1,6}) per (\w{1,16})", re.ASCII)


def cap(text: str, scope: Scope, scope_id: int) -> Cap:
    """The cap a text describes; ValueError says what is wrong with it (see `cap_fault`)."""
    fault = cap_fault(text)
    if fault:
        raise ValueError(fault)
    count, period = text.split(" per ")
    if period in CALENDAR_KINDS:
        return Cap(scope, scope_id, int(count), period, 0)  # type: ignore[arg-type]  # one of the literals, just tested
    return Cap(scope, scope_id, int(count), "rolling", duration_ms(period) or 0)


@lru_cache(maxsize=1_024)
def cap_fault(text: str) -> str:
    """What is wrong with a cap, with name, value and bound; empty when nothing is."""
    match = _CAP.fullmatch(text)
    if match is None:
        return f'cap="{text}" must read "N per 30d", "N per day", "N per week" or "N per month"'
    count, period = int(match[1]), match[2]
    if not 0 <= count <= COUNT_MAX:
        return f'cap="{text}": count={count} must be >= 0 and <= {COUNT_MAX}'
    if period in CALENDAR_KINDS:
        return ""
    ms = duration_ms(period)
    if ms is None:
        return f'cap="{text}": "{period}" must be a duration such as "30d", or "day", "week" or "month"'
    if not WINDOW_MS_MIN <= ms <= WINDOW_MS_MAX:
        bounds = f'>= "{duration_text(WINDOW_MS_MIN)}" and <= "{duration_text(WINDOW_MS_MAX)}"'
        return f'cap="{text}": period="{period}" must be {bounds}'
    return ""
