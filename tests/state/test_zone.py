"""Local time from transitions against the standard library's zones."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import zone
from tests.state.reference import local, transitions_of

FIRST, LAST = datetime(2008, 1, 1, tzinfo=UTC), datetime(2010, 1, 1, tzinfo=UTC)
ZONES = {
    name: (ZoneInfo(name), transitions_of(ZoneInfo(name), FIRST, LAST))
    for name in ("Asia/Shanghai", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe")
}
EPOCH = date(1970, 1, 1)
CHANGES = [int(ms) for _, table in ZONES.values() for ms in table[:, 0]]

instants = st.one_of(
    st.integers(int(FIRST.timestamp() * 1000), int(LAST.timestamp() * 1000) - 1),
    st.builds(lambda change, shift: change + shift, st.sampled_from(CHANGES), st.integers(0, 3)),
)


@pytest.mark.parametrize("name", sorted(ZONES))
@given(ms=instants)
@settings(deadline=None)
def test_day_week_month_hour_and_weekday_are_those_of_the_zone_database(name: str, ms: int) -> None:
    place, table = ZONES[name]
    here = local(ms, place)
    monday = here.date() - timedelta(days=here.weekday())

    assert zone.local_day(ms, table) == (here.date() - EPOCH).days
    assert zone.local_week(ms, table) == (monday - date(1969, 12, 29)).days // 7
    assert zone.local_month(ms, table) == (here.year - 1970) * 12 + here.month - 1
    assert (zone.local_hour(ms, table), zone.local_weekday(ms, table)) == (here.hour, here.weekday())


@given(st.dates(date(1600, 1, 1)))
@settings(deadline=None)
def test_months_follow_the_civil_calendar_for_ever(day: date) -> None:
    assert zone.month_of_day((day - EPOCH).days) == (day.year - 1970) * 12 + day.month - 1
    assert zone.day_in_month((day - EPOCH).days) == day.day


def test_the_first_row_holds_before_its_time_too() -> None:
    assert zone.offset_at(-(10**15), np.array([[0, 5], [10, 7]])) == 5


def test_an_offset_begins_at_its_very_millisecond() -> None:
    table = np.array([[0, 5], [10, 7]])
    assert [zone.offset_at(ms, table) for ms in (9, 10)] == [5, 7]


def test_a_fixed_zone_never_changes() -> None:
    assert zone.local_hour(0, zone.fixed_zone(8 * zone.HOUR_MS)) == 8
