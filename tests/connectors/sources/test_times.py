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
        ({"time_format": "%Y-%q"}, "has %q, must be of %Y %y %m %d %H %M %S %f %z %%"),
        ({"time_format": "%Y-%m-%"}, "has %, must be of"),
        ({"time_format": "%H:%M"}, "has no year, must have %Y, %m and %d"),
        ({"time_format": "%Y%y%m%d"}, "reads something twice"),
        ({"time_format": "%Y%m%d%f%H"}, "has digits behind %f"),
        ({"time_format": "%Y\n%m%d%H"}, "must have no quote, backslash or control character"),
        ({"time_format": "%Y%m%d"}, "has no %z, so time_zone or time_offset must be given"),
        ({"time_format": "%Y%m%d%%z"}, "has no %z, so time_zone or time_offset must be given"),
        ({"time_format": "iso"}, "time_format='iso' must be iso8601, compact, epoch_ms, epoch_s or a pattern"),
        ({"time_zone": "Mars/Phobos"}, "time_zone='Mars/Phobos' must be a zone of the database"),
        ({"time_zone": "../etc"}, "time_zone='../etc' must be a zone of the database"),
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
    expected = [ms(moment.replace(microsecond=0, tzinfo=ZoneInfo(zone))) for moment in moments]

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
