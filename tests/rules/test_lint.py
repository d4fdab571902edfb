"""Advice for a book that can be used: each code has a book that shows it, and the shipped book is nearly clean."""

from pathlib import Path

import pytest

from rules.codes import Advice
from rules.contradictions import contradictions
from rules.diagnostics import Diagnostic
from rules.lint import Lint, lint
from rules.load import load_book, load_text

BOOK = """
campaign = "c"
[book]
zone = "Asia/Shanghai"
[attributes]
services = { set = ["a", "b"] }
[campaigns.c]
[events.call]
fields = { kind = "string!", seconds = "int" }
[channels.sms]
class = "commercial"
[features.calls]
count = "call"
[[rule]]
id = "r"
on = "call"
when = "WHEN"
channels = ["sms"]
text.sms = "hello, reply TD to stop"
"""
GOOD = BOOK.replace("WHEN", "kind == 'x' and calls > 0 and not holds('b')")
TEST = """
[[test]]
name = "t"
events = [{ at = 2008-11-04T09:00:00+08:00, call = { kind = "x", seconds = 10 } }]
expect = [{ at = 2008-11-04T09:00:00+08:00, rule = "r", channel = "sms" }]
"""


def advice(text: str, **by: object) -> list[Diagnostic]:
    defaults = {"optout_words": ("TD",), "parts_of": lambda text: 1 + len(text) // 70}
    return lint(load_text({"book.toml": text}), Lint(**{**defaults, **by}))  # type: ignore[arg-type]  # of the test's own


def codes(text: str, **by: object) -> list[Advice]:
    return [Advice(one.code) for one in advice(text, **by)]


def condition(when: str) -> str:
    return GOOD.replace("kind == 'x' and calls > 0", f"{when} and calls > 0") + TEST


def test_a_good_book_gets_no_advice() -> None:
    assert advice(GOOD + TEST) == []


@pytest.mark.parametrize(
    "when",
    [
        "seconds > 5 and seconds < 3",
        "seconds > 5 and seconds <= 5",
        "5 < seconds and not (seconds > 5)",
        "kind == 'x' and kind == 'y'",
        "kind in ['x', 'y'] and kind == 'z'",
        "kind == 'x' and kind != 'x'",
        "seconds == 4 and seconds > 4",
        "holds('a') and not holds('a')",
        "seconds in [1, 2] and seconds > 2",
    ],
)
def test_what_can_never_hold_is_said(when: str) -> None:
    (one,) = advice(condition(when))
    assert one.code is Advice.CONTRADICTION
    assert one.place.excerpt.startswith("when")
    assert one.render().startswith("warning[W101]")


@pytest.mark.parametrize(
    "when",
    [
        "seconds > 3 and seconds < 5",
        "seconds >= 5 and seconds <= 5",
        "(kind == 'x' or kind == 'y')",
        "kind in ['x', 'y'] and kind == 'x'",
        "seconds > 2 and calls < 2",
        "holds('a') and not holds('b')",
    ],
)
def test_what_can_hold_is_not_said_to_contradict_itself(when: str) -> None:
    book = load_text({"book.toml": condition(when)})
    assert list(contradictions(book.rules[0].when)) == []


def test_names_that_nothing_uses_are_told_where_they_stand() -> None:
    more = '[offers.o]\ntitle = "o"\n[features.idle]\nsum = "call.seconds"\n[events.e]\nfields = { n = "int" }\n'
    found = advice(GOOD.replace("[[rule]]", f"{more}[[rule]]", 1) + TEST)
    assert {one.message for one in found} == {
        "nothing uses offer `o`", "nothing uses feature `idle`", "nothing uses event `e`",
    }  # fmt: skip
    assert all(one.code is Advice.UNUSED for one in found)


def test_a_text_that_no_event_has_had_is_told_with_what_was_meant() -> None:
    text = condition("kind == 'long_distanse'")
    seen = {("call", "kind"): frozenset({"long_distance", "local"})}
    (one,) = advice(text, seen=seen)
    assert (one.code, one.hint) == (Advice.NEVER_SEEN, "did you mean `long_distance`?")
    assert advice(text, seen={}) == [], "of a field without any recorded value nothing is known"


def test_caps_of_nothing_long_texts_no_way_out_no_test_and_other_files_are_told() -> None:
    assert codes(GOOD.replace('id = "r"', 'id = "r"\ncap = ["0 per day", "1 per 7d"]') + TEST) == [Advice.CAP_ZERO]
    assert codes(GOOD.replace("hello", "hello " * 60) + TEST) == [Advice.LONG_TEXT]
    assert codes(GOOD.replace("TD", "XX") + TEST) == [Advice.NO_OPT_OUT]
    assert codes(GOOD.replace('class = "commercial"', 'class = "service"').replace("TD", "XX") + TEST) == []
    assert codes(GOOD) == [Advice.NO_TEST]
    assert codes(GOOD + TEST, ignored=["rules.toml~"]) == [Advice.IGNORED_FILE]


def test_the_shipped_book_has_one_name_that_nothing_uses() -> None:
    book = load_book(Path(__file__).parents[2] / "rules" / "book")
    found = lint(book, Lint(("TD", "T", "退订"), lambda text: 1 + len(text) // 67))
    assert [one.message for one in found] == ["nothing uses attribute `home_city`"]
