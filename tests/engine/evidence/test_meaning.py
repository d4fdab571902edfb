"""What numbers of records mean, by the book that made them."""

import numpy as np

from engine.evidence.meaning import Meanings
from rules.load import load_text
from rules.model import Book
from state.hashing import stable_id
from tests.engine.evidence.test_written import BOOK

GOALS = """
[[goal]]
name = "of-campaign"
on = "e"
within = "1d"
[[goal]]
name = "of-rule"
on = "e"
within = "1d"
rule = "own"
"""
OWN = BOOK.partition("[[rule]]")[2].replace('id = "r"', 'id = "own"')


def test_a_contact_has_the_goal_of_its_rule_else_of_its_campaign_and_a_dropped_rule_its_number() -> None:
    before = load_text({"book.toml": BOOK + "[[rule]]" + OWN})
    book = load_text({"book.toml": BOOK + "[[rule]]" + OWN + GOALS})
    later = load_text({"book.toml": BOOK})
    books: dict[str, Book] = {one.version: one for one in (before, book, later)}
    meanings = Meanings(books.__getitem__, book.goals)
    numbers = np.array([meanings.book(one.version) for one in (before, before, later, later)], np.int64)
    rules = np.array([stable_id(name) for name in ("r", "own", "r", "own")], np.int64)

    found = [meanings.rules[at] for at in meanings.rules_of(numbers, rules).tolist()]

    assert [one.rule for one in found] == ["r", "own", "r", f"{stable_id('own'):x}"]
    assert [one.goal for one in found] == [0, 1, 0, -1]
    assert [one.book for one in found] == [before.version, before.version, later.version, later.version]
    sms = np.array([stable_id("sms"), 0, stable_id("gone"), stable_id("sms")], np.int64)
    channels = [meanings.channels[at] for at in meanings.channels_of(numbers, sms).tolist()]
    assert [(one.name, one.kind) for one in channels] == [
        ("sms", "sms"), ("", ""), (f"{stable_id('gone'):x}", ""), ("sms", "sms"),
    ]  # fmt: skip
