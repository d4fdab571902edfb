"""Times are read as feeds write them: by pattern, in two columns, in a zone with summer time."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.sources.mapping import Mapping
from tests.connectors.sources.decoding import check, code_of

COLUMNS = ("msisdn", "time", "kind")
LINES: dict[str, Any] = {"format": "delimited", "type": "call", "columns": COLUMNS}
MOMENTS = st.datetimes(datetime(2000, 1, 2), datetime(2033, 1, 1))
PATTERNS = (
    "%Y/%m/%d %H:%M:%S",
    "%Y%m%d%H%M%S",
    "%d.%m.%y %H:%M",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y%m%d%H%M%S%f",
    "%Y年%m月%d日 %H时%M分%S秒",
    "%S%%%M %H %d %m %Y",
    "%m/%d/%Y",
)
SPELT = ("%d-%b-%Y %I:%M:%S %p", "%b %d %Y %H:%M", "%I%p%M %m/%d/%y")
ZONES = (
    "Europe/Berlin",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Asia/Shanghai",
)


def ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def read(times: list[str], **more: Any) -> tuple[list[int], int]:
    """Return the times of lines, and how many of the lines were not read fast."""
    decoded = check(Mapping(**{**LINES, **more}), [f"861,{time},a".encode() for time in times])
    assert decoded.dead == []
    return decoded.batch.at_ms.tolist(), decoded.slow


@settings(max_examples=40, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=8), st.sampled_from(PATTERNS))
def test_a_pattern_reads_what_python_writes_by_it(moments: list[datetime], pattern: str) -> None:
    written = [moment.strftime(pattern) for moment in moments]
    expected = [ms(datetime.strptime(text, pattern).replace(tzinfo=UTC)) for text in written]

    assert read(written, time_format=pattern, time_offset="+00:00") == (expected, 0)


@settings(max_examples=25, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=8), st.sampled_from(SPELT))
def test_months_by_name_and_halves_of_days_are_read_as_python_writes_them(
    moments: list[datetime], pattern: str
) -> None:
    written = [moment.strftime(pattern) for moment in moments]
    expected = [ms(datetime.strptime(text, pattern).replace(tzinfo=UTC)) for text in written]

    assert read(written, time_format=pattern, time_offset="+00:00") == (expected, len(moments))


@pytest.mark.parametrize(
    "time", ["04-Nov-2008 00:10 AM", "04-Nov-2008 13:10 PM", "04-Now-2008 01:10 PM", "31-Feb-2008 01:10 PM"]
)
def test_an_hour_or_a_month_that_no_clock_shows_is_a_dead_letter(time: str) -> None:
    settings = {**LINES, "time_format": "%d-%b-%Y %I:%M %p", "time_offset": "+08:00"}

    assert code_of(f"861,{time},a".encode(), **settings) == "bad_time time"


@pytest.mark.parametrize(
    ("pattern", "text", "slow"),
    [
        ("%Y/%m/%d %H:%M:%S", "2008/11/4 9:00:00", 0),
        ("%Y/%m/%d %H:%M:%S", " 2008/11/04 09:00:00 ", 0),
        ("%d.%m.%y %H:%M", "4.11.08 9:00", 0),
        ("%Y-%m-%d %H:%M:%S%z", "2008-11-04 01:00:00Z", 0),
        ("%Y-%m-%d %H:%M:%S%z", "2008-11-04 09:00:00+08:00", 0),
        ("%Y-%m-%d %H:%M:%S %z", "2008-11-04 04:00:00 +0300", 1),
        ("%z %Y-%m-%d %H:%M", "+08 2008-11-04 09:00", 1),
        ("%d-%b-%Y %I:%M:%S %p", "04-Nov-2008 09:00:00 AM", 1),
        ("%d%b%y %I.%M%p", "04NOV08 9.00am", 1),
    ],
)
def test_a_pattern_may_leave_out_leading_zeros_and_name_the_zone(pattern: str, text: str, slow: int) -> None:
    assert read([text], time_format=pattern, time_offset="+08:00") == ([1225760400000], slow)


@pytest.mark.parametrize(
    "text",
    ["2008/11/4", "2008/13/04 09:00:00", "2008/02/30 09:00:00", "2008/11/04 24:00:00", "2008/11/04 09:00:00x",
     "2008/11/04 09:00:61", "2008/11/04  09:00:00", "08/11/04 09:00:00", "2008/111/04 09:00:00", "x", "9" * 5000],
)  # fmt: skip
def test_a_time_that_is_not_of_the_pattern_is_a_dead_letter(text: str) -> None:
    settings = {**LINES, "time_format": "%Y/%m/%d %H:%M:%S", "time_offset": "+08:00"}

    assert code_of(f"861,{text},a".encode(), **settings) == "bad_time time"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("0123456789/: Z+-年", max_size=22), min_size=1, max_size=8), st.sampled_from(PATTERNS))
def test_the_scanner_agrees_with_the_strict_path_on_whatever_stands_for_a_time(texts: list[str], pattern: str) -> None:
    for more in ("", "%z"):
        mapping = Mapping(**LINES, time_format=pattern + more, time_zone="Europe/Berlin")
        check(mapping, [f"861,{text},a".encode() for text in texts])
        mapping = Mapping(time_format=pattern + more, time_zone="Europe/Berlin")
        lines = [f'{{"type":"call","msisdn":861,"time":"{text}","kind":"a"}}' for text in texts]
        check(mapping, [line.encode() for line in lines])


def test_a_pattern_of_digits_reads_a_number_of_json_too() -> None:
    line = b'{"type":"call","msisdn":861,"time":20081104090000,"kind":"a"}'
    mapping = Mapping(time_format="%Y%m%d%H%M%S", time_offset="+08:00")

    assert check(mapping, [line]).batch.at_ms.tolist() == [1225760400000]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"time_format": "%Y-%q"}, "has %q, must be of %Y %y %m %d %H %M %S %f %z %b %I %p %%"),
        ({"time_format": "%Y-%m-%"}, "has %, must be of"),
        ({"time_format": "%Y-%m-%d %I:%M"}, "must have %I and %p together"),
        ({"time_format": "%Y-%m-%d %H:%M %p"}, "must have %I and %p together"),
        ({"time_format": "%Y-%b-%m-%d"}, "reads something twice"),
        ({"time_format": "%Y-%m-%d %H %I %p"}, "reads something twice"),
        ({"time_format": "%H:%M"}, "has no year, must have %Y, %m and %d"),
        ({"time_format": "%Y%y%m%d"}, "reads something twice"),
        ({"time_format": "%Y%m%d%f%H"}, "has digits behind %f"),
        ({"time_format": "%Y\n%m%d%H"}, "must have no quote, backslash or control character"),
        ({"time_format": "%Y%m%d"}, "has no %z, so time_zone or time_offset must be given"),
        ({"time_format": "%Y%m%d%%z"}, "has no %z, so time_zone or time_offset must be given"),
        ({"time_format": "iso"}, "time_format='iso' must be iso8601, compact, epoch_ms, epoch_s or a pattern"),
        ({"time_zone": "Mars/Phobos"}, "time_zone='Mars/Phobos' must be a zone of the database"),
        ({"time_zone": "../etc"}, "time_zone='../etc' must be a zone of the database"),
        ({"date_field": "day"}, "date_field='day' needs format=\"delimited\""),
        ({**LINES, "date_field": "day", "time_format": "epoch_s"}, "needs a time_format of a date and a time of day"),
        ({**LINES, "date_field": "time"}, "must differ"),
        ({"time_zone": "UTC", "time_offset": "+08:00"}, "exclude each other"),
    ],
)
def test_a_setting_of_time_that_cannot_be_is_told(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Mapping(**settings)
    assert told in str(caught.value)


@settings(max_examples=40, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=8), st.sampled_from(ZONES))
def test_a_local_time_is_read_in_the_source_s_zone_with_its_summer_time(moments: list[datetime], zone: str) -> None:
    expected = [ms(moment.replace(microsecond=0, fold=0, tzinfo=ZoneInfo(zone))) for moment in moments]

    for time_format, pattern in (("iso8601", "%Y-%m-%d %H:%M:%S"), ("compact", "%Y%m%d%H%M%S")):
        written = [moment.strftime(pattern) for moment in moments]
        assert read(written, time_zone=zone, time_format=time_format) == (expected, 0)


@pytest.mark.parametrize("zone", ZONES)
def test_every_change_of_a_clock_is_read_to_the_second(zone: str) -> None:
    info = ZoneInfo(zone)
    hours = [datetime(2008, 1, 1, tzinfo=info) + timedelta(hours=hour) for hour in range(5 * 365 * 24)]
    changes = [one for one in hours if one.utcoffset() != (one + timedelta(hours=1)).utcoffset()]
    seconds = [*range(0, 3700, 100), 1799, 1801, 3599, 3601]
    near = [one + timedelta(seconds=second) for one in changes for second in seconds] or hours[:1]

    written = [moment.replace(tzinfo=None).isoformat() for moment in near]
    assert read(written, time_zone=zone) == ([ms(moment) for moment in near], 0)


def test_a_time_that_names_its_zone_is_read_by_it_whatever_the_source_s_zone() -> None:
    written = ["2008-11-04T01:00:00Z", "2008-11-04T09:00:00+08:00"]

    assert read(written, time_zone="Europe/Berlin") == ([1225760400000] * 2, 0)


TWO_COLUMNS: dict[str, Any] = {
    "format": "delimited",
    "type": "call",
    "columns": ("msisdn", "clock", "day", "kind"),
    "time_field": "clock",
    "date_field": "day",
    "time_offset": "+08:00",
    "null_words": ("-",),
}


@pytest.mark.parametrize(
    ("time_format", "line"),
    [
        ("iso8601", "861,09:00:00,2008-11-04,a"),
        ("iso8601", "861,09:00:00.0+08:00,2008-11-04,a"),
        ("iso8601", '861,"09:00:00", 2008-11-04 ,a'),
        ("compact", "861,090000,20081104,a"),
        ("%Y%m%d %H%M%S", "861,090000,20081104,a"),
        ("%d/%m/%Y %H:%M", '861,9:00,"4/11/2008",a'),
    ],
)
def test_a_date_and_a_time_of_day_may_stand_in_two_columns(time_format: str, line: str) -> None:
    mapping = Mapping(**TWO_COLUMNS, time_format=time_format)
    decoded = check(mapping, [line.encode()] * 3)

    assert (decoded.batch.at_ms.tolist(), decoded.slow) == ([1225760400000] * 3, 0)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("861,09:00:00,,a", "missing_time day"),
        ("861,09:00:00,-,a", "missing_time day"),
        ("861,,2008-11-04,a", "missing_time clock"),
        ("861,09:00:00,2008-11-31,a", "bad_time clock"),
        (f"861,09:00:00,{'9' * 5000},a", "bad_time clock"),
        (f"861,09:00:00.{'0' * 40},2008-11-04,a", "bad_time clock"),
    ],
)
def test_a_date_or_time_of_day_that_cannot_be_is_a_dead_letter(line: str, expected: str) -> None:
    assert code_of(line.encode(), **TWO_COLUMNS) == expected


def test_the_date_is_found_by_the_header_and_missed_where_there_is_none() -> None:
    mapping = Mapping(**{**TWO_COLUMNS, "columns": (), "header": True})

    assert check(mapping, [b"2008-11-04,861,a,09:00:00"], header=b"day,msisdn,kind,clock").slow == 0
    (dead,) = check(mapping, [b"2008-11-04,861,a,09:00:00"], header=b"date,msisdn,kind,clock").dead
    assert (dead.code, dead.field) == ("missing_time", "day")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.text('0123456789-: \t"Z+', max_size=12)] * 2), min_size=1, max_size=8))
def test_the_scanner_agrees_with_the_strict_path_on_whatever_stands_in_the_two_columns(
    texts: list[tuple[str, str]],
) -> None:
    good = ("09:00:00", "2008-11-04")
    for time_format in ("iso8601", "compact", "%Y-%m-%d %H:%M:%S"):
        lines = [
            f"861,{one},{other},a" for text in texts for one, other in (text, (text[0], good[1]), (good[0], text[1]))
        ]
        check(Mapping(**TWO_COLUMNS, time_format=time_format), [line.encode() for line in lines])
