"""However a number is written, it is one subscriber; what is none gives one clear error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.numbers import CHINA, SHOWN_CHARS_MAX, NumberError, NumberPlan

WRITTEN = [
    "13800000001",
    13800000001,
    "8613800000001",
    8613800000001,
    "013800000001",
    "+8613800000001",
    "008613800000001",
    "+86 138 0000 0001",
    "0086-138-0000-0001",
    "138-0000-0001",
    "138.0000.0001",
    "(+86) 138 0000 0001",
    "+86 (0) 138 0000 0001",
    "１３８００００ ０００１",
    "＋８６１３８００００ ０００１",
    "138\u00a00000\u30000001",
    "\u202a+86 138 0000 0001\u202c",
    "\ufeff13800000001\r\n",
    "138\u20130000\u20140001",
]


@pytest.mark.parametrize("written", WRITTEN)
def test_a_number_is_one_subscriber_however_it_is_written(written: str | int) -> None:
    assert CHINA.subscriber(written) == 8613800000001


@pytest.mark.parametrize(
    ("written", "subscriber"),
    [
        ("+1 380 000 0001", 13800000001),
        ("0013800000001", 13800000001),
        ("447700900123", 447700900123),
        ("12345678901", 12345678901),
        ("1380000000", 1380000000),
        ("86138", 86138),
        (1, 1),
    ],
)
def test_an_international_number_stays_as_it_is(written: str | int, subscriber: int) -> None:
    assert CHINA.subscriber(written) == subscriber


@pytest.mark.parametrize(
    "written",
    ["", " ", "+", "0", "00", "000", "-1", -1, 0, "1" * 16, 10**15, "abc", "138x", "++86138", "86+138", "02112345678",
     "1e10", "1.38e10", "٣", "²", "13800000001;13800000002", "1" * 5000, True,
     pytest.param(10**5000, id="huge"), "\0" + "13800000001", "+086138", "－1"],
)  # fmt: skip
def test_what_is_no_number_gives_one_clear_error(written: str | int) -> None:
    with pytest.raises(NumberError) as raised:
        CHINA.subscriber(written)

    assert str(raised.value).startswith("number=")
    assert len(str(raised.value)) < SHOWN_CHARS_MAX + 80


def test_without_a_country_nothing_is_national() -> None:
    numbers = NumberPlan()

    assert numbers.subscriber("13800000001") == 13800000001
    assert not numbers.is_national("13800000001")
    with pytest.raises(NumberError, match="begins with 0"):
        numbers.subscriber("013800000001")


def test_the_longer_of_two_prefixes_says_how_many_digits() -> None:
    numbers = NumberPlan("49", {"15": 11, "150": 10, "17": 10})

    assert numbers.subscriber("0150 1234567") == 491501234567
    assert numbers.subscriber("151 12345678") == 4915112345678
    assert numbers.subscriber("15012345678") == 15012345678


@pytest.mark.parametrize(
    ("country", "national"),
    [
        ("086", {}),
        ("abcd", {}),
        ("8613", {}),
        ("86", {"0": 11}),
        ("86", {"x": 11}),
        ("86", {"13": 14}),
        ("86", {"13": 3}),
    ],
)
def test_a_plan_that_cannot_be_is_refused(country: str, national: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        NumberPlan(country, national)


@given(st.one_of(st.text(max_size=80), st.integers()))
def test_every_input_is_a_number_of_15_digits_or_an_error_and_reading_is_idempotent(written: str | int) -> None:
    try:
        subscriber = CHINA.subscriber(written)
    except NumberError:
        return
    assert 1 <= subscriber < 10**15
    assert CHINA.is_national(subscriber) or CHINA.subscriber(subscriber) == subscriber
    assert CHINA.subscriber(f"+{subscriber}") == subscriber


@pytest.mark.parametrize(
    ("written", "is_national", "subscriber"),
    [
        (8613800000001, False, 8613800000001),
        (13800000001, True, 8613800000001),
        ("013800000001", True, 8613800000001),
        (8613800000001, True, 8613800000001),  # a network that puts the country code before it all the same
        (13800000001, False, 13800000001),  # somebody else, in North America
        ("0013800000001", False, 13800000001),
        (13800000001, None, 8613800000001),
    ],
)
def test_the_type_of_a_number_says_whether_it_is_national(
    written: str | int, is_national: bool | None, subscriber: int
) -> None:
    assert CHINA.subscriber(written, is_national=is_national) == subscriber


def test_a_national_number_that_is_not_in_the_plan_is_nobodys_and_without_a_country_types_change_nothing() -> None:
    with pytest.raises(NumberError, match="is said to be national and is not in the number plan"):
        CHINA.subscriber(447700900123, is_national=True)
    assert NumberPlan().subscriber(447700900123, is_national=True) == 447700900123
