"""The shipped book: what the issue of the day promises is there, tested, and fits into one text message."""

from pathlib import Path

import pytest

from rules.load import load_book
from rules.model import Book
from rules.templates import Gap, Template

ROOT = Path(__file__).parents[2]
MESSAGE_SIGNS_MAX = 70  # of one message in Chinese (UCS-2)

PROMISED = {
    "first-long-distance",
    "first-intra-province-roaming",
    "first-inter-province-roaming",
    "handset-change-mms",
    "data-burst",
    "trade-fair-entry",
    "spend-velocity",
}


@pytest.fixture(scope="module")
def book() -> Book:
    return load_book(ROOT / "rules" / "book")


def longest(template: Template) -> str:
    """The text with every gap filled by the longest value that is likely."""
    return "".join("99,999,999" if isinstance(part, Gap) else part for part in template.parts)


def test_the_promised_rules_are_there(book: Book) -> None:
    assert {rule.id for rule in book.rules} >= PROMISED


def test_every_rule_has_a_test_that_sees_it_act(book: Book) -> None:
    seen = {one.rule for scenario in book.tests for one in scenario.expect if one.channel is not None}

    assert seen == {rule.id for rule in book.rules}


def test_a_text_fits_into_one_message(book: Book) -> None:
    lengths = {rule.id: len(longest(rule.texts["sms"])) for rule in book.rules if "sms" in rule.texts}

    assert {name: length for name, length in lengths.items() if length > MESSAGE_SIGNS_MAX} == {}


def test_an_advertisement_says_how_to_stop_it(book: Book) -> None:
    for rule in book.rules:
        if "sms" in rule.texts:
            assert ("TD退订" in rule.texts["sms"].text) == (rule.klass == "commercial"), rule.id


def test_every_commercial_rule_is_capped_and_spares_who_wants_no_advertising(book: Book) -> None:
    for rule in book.rules:
        if rule.klass == "commercial":
            assert rule.caps, rule.id
            assert "do-not-disturb" in rule.exclude, rule.id
