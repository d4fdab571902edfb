"""Durations and windows as a rule author writes them.

A duration is a whole number and a unit, in one word: "250ms" "30s" "10m" "12h" "30d" "2w". A window is a duration
(rolling: it moves with the clock), `today`, `this month`, or `ever`.

A rolling window is kept in panes, so its far edge is exact to one pane only; `panes` sets how many (PANES_DEFAULT
unless said). Panes divide the window evenly and are aligned to the operator's local midnight: panes of
whole days all year, so that such a window holds whole local days; shorter ones at the offset of 1 January, so that such
a window is as long on the day when clocks are changed as on any other.

    >>> duration_ms("10m")
    600000
    >>> duration_ms("10 minutes") is None
    True
"""

import re

from rules.model import Window
from state.features.spec import PANES_DEFAULT, PANES_MAX

__all__ = [
    "CALENDAR_WINDOWS",
    "DURATION_UNITS",
    "PANES_DEFAULT",
    "PANES_MAX",
    "WINDOW_MS_MAX",
    "WINDOW_MS_MIN",
    "duration_hint",
    "duration_ms",
    "duration_text",
    "window",
    "window_fault",
]

DURATION_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
DURATION_MS_MAX = 100 * 366 * 86_400_000
CALENDAR_WINDOWS = {"today": "day", "this month": "month", "ever": "ever"}
WINDOW_MS_MIN = 60_000
WINDOW_MS_MAX = 366 * 86_400_000

_SPOKEN = re.compile(r"\s*(\d{1,12})\s*([A-Za-z]+)\s*")
_UNIT_WORDS = {
    **dict.fromkeys(("millisecond", "milliseconds", "msec"), "ms"),
    **dict.fromkeys(("sec", "secs", "second", "seconds", "S"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes", "M"), "m"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours", "H"), "h"),
    **dict.fromkeys(("day", "days", "D"), "d"),
    **dict.fromkeys(("week", "weeks", "W"), "w"),
}
_DURATION = re.compile(r"(\d{1,12})(ms|[smhdw])", re.ASCII)


def duration_ms(text: str) -> int | None:
    """Milliseconds of a duration, or None where the text is not one."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    amount = int(match[1]) * DURATION_UNITS[match[2]]
    return amount if amount <= DURATION_MS_MAX else None


def duration_hint(text: str) -> str:
    """How to write what was probably meant by a text that is no duration; empty when nothing is near."""
    match = _SPOKEN.fullmatch(text)
    if match is None:
        return f"write `{text}m` for minutes, `{text}s` for seconds" if text.isdecimal() else ""
    unit = _UNIT_WORDS.get(match[2], match[2])
    if unit not in DURATION_UNITS:
        months = re.fullmatch(r"(?:mo|mon|month|y|yr|year)s?", match[2])
        return "`m` is a minute: a month is `30d`, a year `365d`" if months else "units are ms, s, m (minutes), h, d, w"
    return f"write `{match[1]}{unit}`"


def duration_text(ms: int) -> str:
    """The shortest way to write a duration: the inverse of `duration_ms`."""
    for unit, size in sorted(DURATION_UNITS.items(), key=lambda pair: -pair[1]):
        if ms and ms % size == 0:
            return f"{ms // size}{unit}"
    return "0s"


def window(over: str, panes: int | None) -> Window:
    """The window a feature names; ValueError says what is wrong with it (see `window_fault`)."""
    fault = window_fault(over, panes)
    if fault:
        raise ValueError(fault)
    kind = CALENDAR_WINDOWS.get(over)
    if kind is not None:
        return Window(kind)  # type: ignore[arg-type]  # the values of CALENDAR_WINDOWS are the literals
    return Window("rolling", duration_ms(over) or 0, panes or PANES_DEFAULT)


def window_fault(over: str, panes: int | None) -> str:
    """What is wrong with a window, with name, value and bound; empty when nothing is."""
    if over in CALENDAR_WINDOWS:
        return f"panes={panes} has no meaning for `{over}`: only rolling windows have panes" if panes else ""
    ms = duration_ms(over)
    if ms is None:
        return f'over="{over}" must be a duration such as "10m" or "30d", or one of "today", "this month", "ever"'
    if not WINDOW_MS_MIN <= ms <= WINDOW_MS_MAX:
        return f'over="{over}" must be >= "{duration_text(WINDOW_MS_MIN)}" and <= "{duration_text(WINDOW_MS_MAX)}"'
    panes = panes or PANES_DEFAULT
    if ms % panes:
        return f'panes={panes} must divide over="{over}" into whole milliseconds'
    return ""
