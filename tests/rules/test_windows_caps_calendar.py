"""Durations, windows, caps and time zones read as their grammar says."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.caps import cap, cap_fault
from rules.model import Cap, Window
from rules.spans import DURATION_UNITS, duration_ms, duration_text, window
from state.calendar import BEFORE_EVERYTHING_MS, epoch_ms, is_zone, local_ms, transitions

ZONES = ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Africa/Casablanca", "Asia/Kathmandu", "UTC"]
YEARS = st.integers(epoch_ms(datetime(1970, 1, 1, tzinfo=UTC)), epoch_ms(datetime(2099, 12, 1, tzinfo=UTC)))


@given(st.integers(0, 5_000), st.sampled_from(sorted(DURATION_UNITS)))
def test_a_duration_is_a_number_and_a_unit(amount: int, unit: str) -> None:
    ms = duration_ms(f"{amount}{unit}")

    assert ms == amount * DURATION_UNITS[unit]
    assert duration_ms(duration_text(ms)) == ms


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "-1m", "1.5h", "10M", "1h30m", "٣m", "999999999999w", "10m\n"])
def test_anything_else_is_not_a_duration(text: str) -> None:
    assert duration_ms(text) is None


@pytest.mark.parametrize(
    ("over", "panes", "expected"),
    [
        ("30d", None, Window("rolling", 30 * 86_400_000, 12)),
        ("10m", 60, Window("rolling", 600_000, 60)),
        ("today", None, Window("day")),
        ("this month", None, Window("month")),
        ("ever", None, Window("ever")),
    ],
)
def test_a_window_is_rolling_or_the_calendars(over: str, panes: int | None, expected: Window) -> None:
    assert window(over, panes) == expected


@pytest.mark.parametrize(
    ("over", "panes", "words"),
    [
        ("yesterday", None, 'over="yesterday" must be a duration'),
        ("59s", None, 'over="59s" must be >= "1m" and <= "366d"'),
        ("367d", None, 'over="367d" must be >= "1m" and <= "366d"'),
        ("ever", 4, "panes=4 has no meaning for `ever`"),
        ("61001ms", 7, "panes=7 must divide"),
    ],
)
def test_a_bad_window_is_refused_with_value_and_bound(over: str, panes: int | None, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        window(over, panes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 per 30d", Cap("rule", 7, 1, "rolling", 30 * 86_400_000)),
        ("0 per day", Cap("rule", 7, 0, "day", 0)),
        ("3 per week", Cap("rule", 7, 3, "week", 0)),
        ("1000 per month", Cap("rule", 7, 1000, "month", 0)),
    ],
)
def test_a_cap_is_rolling_or_the_calendars(text: str, expected: Cap) -> None:
    assert cap(text, "rule", 7) == expected


@pytest.mark.parametrize(
    "text", ["", "1", "per day", "-1 per day", "1 per  day", "1 per year", "1.5 per day", "1 per 0s"]
)
def test_a_bad_cap_is_refused(text: str) -> None:
    assert cap_fault(text)
    with pytest.raises(ValueError, match="cap="):
        cap(text, "all", 0)


@pytest.mark.parametrize("zone", ZONES)
@given(at_ms=YEARS)
def test_the_table_gives_the_zones_own_wall_clock(zone: str, at_ms: int) -> None:
    utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    wall = utc.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)

    assert local_ms(at_ms, transitions(zone)) == epoch_ms(wall)


@pytest.mark.parametrize("zone", ZONES)
def test_every_transition_is_exact_to_the_second(zone: str) -> None:
    table = transitions(zone)
    info = ZoneInfo(zone)

    assert table[0, 0] == BEFORE_EVERYTHING_MS
    assert (np.diff(table[:, 0]) > 0).all()
    assert not table.flags.writeable
    for at_ms, offset in table[1:].tolist():
        before, after = (datetime.fromtimestamp(at_ms // 1000 + shift, info).utcoffset() for shift in (-1, 0))
        assert after == timedelta(milliseconds=offset) != before


def test_a_time_without_offset_is_read_in_the_zone() -> None:
    assert epoch_ms(datetime(2026, 1, 5, 8), "Asia/Shanghai") == epoch_ms(datetime(2026, 1, 5, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("name", "expected"), [("Asia/Shanghai", True), ("Asia", False), ("../etc", False), ("", False)]
)
def test_only_names_of_the_database_are_zones(name: str, expected: bool) -> None:
    assert is_zone(name) is expected
