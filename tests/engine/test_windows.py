"""Send windows: when a channel may send, and how long to wait until it may."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.settings.send_windows import DAY_MIN, DAYS, SendWindow, minutes_until_open

WEEKDAYS = st.integers(0, 6)
MINUTES = st.integers(0, DAY_MIN - 1)


@st.composite
def windows(draw: st.DrawFn) -> SendWindow:
    """Any window that can be written."""
    begin, end = sorted(draw(st.lists(st.integers(0, DAY_MIN), min_size=2, max_size=2, unique=True)))
    days = ",".join(draw(st.lists(st.sampled_from(DAYS), min_size=1, max_size=3)))
    return SendWindow.parse(f"{days} {begin // 60:02d}:{begin % 60:02d}-{end // 60:02d}:{end % 60:02d}")


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("daily 08:00-21:00", {0, 1, 2, 3, 4, 5, 6}),
        ("mon-fri 08:00-21:00", {0, 1, 2, 3, 4}),
        ("sat,sun 08:00-21:00", {5, 6}),
        ("fri-mon 08:00-21:00", {4, 5, 6, 0}),
    ],
)
def test_days_are_single_in_ranges_or_joined(text: str, days: set[int]) -> None:
    window = SendWindow.parse(text)

    assert window.days == days
    assert (window.from_min, window.to_min) == (480, 1260)
    assert str(window) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("08:00-21:00", "must read like"),
        ("mon 8:00-21:00", "must read like"),
        ("mon 21:00-08:00", "must begin before it ends"),
        ("mon 08:00-24:01", "must begin before it ends"),
        ("mon 08:60-09:00", "must begin before it ends"),
        ("mo 08:00-09:00", "days='mo' must be among mon tue"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused_with_its_text(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        SendWindow.parse(text)

    assert f"window={text!r}" in str(caught.value)


def test_the_last_minute_does_not_belong_to_a_window() -> None:
    window = SendWindow.parse("mon 08:00-21:00")

    assert window.holds(0, 480)
    assert not window.holds(0, 1260)
    assert not window.holds(1, 480)


@given(st.lists(windows(), max_size=3), WEEKDAYS, MINUTES)
def test_the_wait_is_the_first_minute_at_which_a_window_holds(
    chosen: list[SendWindow], weekday: int, minute: int
) -> None:
    wait = minutes_until_open(tuple(chosen), weekday, minute)

    def is_open(ahead: int) -> bool:
        day, at = divmod(minute + ahead, DAY_MIN)
        return any(window.holds((weekday + day) % 7, at) for window in chosen)

    plain = next((ahead for ahead in range(8 * DAY_MIN) if is_open(ahead)), None) if chosen else 0
    assert wait == plain
