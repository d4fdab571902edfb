"""Texts fill their gaps and nothing else."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.templates import Gap, Shown, Template, TemplateFault, check_format, forbidden, parse
from state.schema import Kind

SHANGHAI = ZoneInfo("Asia/Shanghai")


def template(text: str, **kinds: Kind) -> Template:
    found = parse(text)
    assert isinstance(found, Template)
    return Template(found.text, found.parts, tuple((name, kind, False) for name, kind in kinds.items()))


@given(st.text())
def test_a_text_without_gaps_is_shown_as_it_is(text: str) -> None:
    found = parse(text.replace("{", "{{").replace("}", "}}"))

    assert isinstance(found, Template)
    assert found.render({}) == text
    assert found.gaps == ()


@given(st.text())
def test_any_text_is_parsed_or_refused_with_a_place_inside_it(text: str) -> None:
    found = parse(text)

    if isinstance(found, TemplateFault):
        assert 0 <= found.start < found.end <= len(text)
    else:
        assert all(text[gap.start : gap.end] == gap.name for gap in found.gaps)


def test_gaps_keep_their_name_format_and_place() -> None:
    assert template("尊敬的{name}，{spend:.2f}元").parts == (
        "尊敬的",
        Gap("name", "", 4, 8),
        "，",
        Gap("spend", ".2f", 11, 16),
        "元",
    )


@pytest.mark.parametrize("text", ["{", "}", "{}", "{a b}", "{a.b.c}", "{a", "{{a}", "{1}", "{a!r}", "{a[0]}"])
def test_what_is_not_a_gap_is_refused(text: str) -> None:
    assert isinstance(parse(text), TemplateFault)


def test_too_many_gaps_are_refused_with_their_number() -> None:
    found = parse("{a}" * 33)

    assert isinstance(found, TemplateFault)
    assert found.message == "gaps=33 must be <= 32"


@pytest.mark.parametrize(
    ("form", "kind", "value", "expected"),
    [
        ("", Kind.INT, 1234567, "1234567"),
        (",d", Kind.INT, 1234567, "1,234,567"),
        ("d", Kind.FLOAT, 2.5, "2"),
        (".2f", Kind.FLOAT, 2.0, "2.00"),
        (",.1f", Kind.INT, 12345, "12,345.0"),
        ("", Kind.FLOAT, 30.0, "30"),
        ("", Kind.FLOAT, 0.1 + 0.2, "0.3"),
        ("", Kind.BOOL, True, "是"),
        ("", Kind.STRING, "广州", "广州"),
        (".1", Kind.STRING, "广州", "广"),
        ("", Kind.SET, ("12593", "mms"), "12593、mms"),
        ("", Kind.TIME, 1225760400000, "11-04 09:00"),
        ("%Y年%m月%d日", Kind.TIME, 1225760400000, "2008年11月04日"),
        ("%H:%M", Kind.TIME, 1225760400000, "09:00"),
        ("", Kind.INT, None, ""),
        ("", Kind.TIME, 1 << 62, ""),
        ("", Kind.TIME, -(1 << 62), ""),
        ("d", Kind.FLOAT, float("inf"), ""),
        (".2f", Kind.FLOAT, float("nan"), ""),
    ],
)
def test_a_value_is_shown_by_kind_and_format(form: str, kind: Kind, value: Shown, expected: str) -> None:
    assert check_format(form, kind, duration=False) == ""

    found = template(f"{{x:{form}}}" if form else "{x}", x=kind)

    assert found.render({"x": value}, SHANGHAI) == expected


@pytest.mark.parametrize(("form", "expected"), [("", "90061"), ("m", "1501"), ("h", "25"), ("d", "1")])
def test_a_duration_is_shown_in_whole_units(form: str, expected: str) -> None:
    found = parse(f"{{quiet:{form}}}")
    assert isinstance(found, Template)

    timed = Template(found.text, found.parts, (("quiet", Kind.INT, True),))

    assert timed.render({"quiet": 90_061_500}) == expected


def test_a_missing_value_shows_nothing() -> None:
    assert template("尊敬的{name}用户", name=Kind.STRING).render({}) == "尊敬的用户"


def test_a_gap_may_have_words_for_a_value_that_is_unknown() -> None:
    text = template("Dear {name|customer}, {spend:.2f|nothing} spent", name=Kind.STRING, spend=Kind.FLOAT)

    assert text.render({}) == "Dear customer, nothing spent"
    assert text.render({"name": "Wang", "spend": 1.5}) == "Dear Wang, 1.50 spent"
    assert text.missing({}) == ()


def test_what_a_text_lacks_is_named_in_reading_order() -> None:
    assert template("{b} {a} {c|x} {b}").missing({"a": None}) == ("b", "a")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://example.com/?n={name}&x=1", "https://example.com/?n=a%26b%20%E7%8E%8B%2F&x=1"),
        ("see https://example.com/{other}/{name}.", "see https://example.com/o/a%26b%20%E7%8E%8B%2F."),
        ("https://example.com/ for {name}", "https://example.com/ for a&b 王/"),
        ("https://example.com/，{name}", "https://example.com/，a&b 王/"),
        ("{name}", "a&b 王/"),
    ],
)
def test_values_in_links_are_encoded_and_others_are_not(text: str, shown: str) -> None:
    assert template(text, name=Kind.STRING).render({"name": "a&b 王/", "other": "o"}) == shown


def test_signs_that_hide_or_turn_a_text_are_found_in_texts_and_taken_out_of_values() -> None:
    assert forbidden("ab\u202ec") == (2, "U+202E")
    assert forbidden("a\x00") == (1, "U+0000")
    assert forbidden("王先生\n\t") is None
    assert template("<{name}>", name=Kind.STRING).render({"name": "a\u202e\x00\u2066b"}) == "<ab>"
