"""A category's cap holds for the commercial rules of several campaigns together, and for no others."""

import pytest

from rules.diagnostics import BookErrors
from rules.load import load_text
from state.decisions import OutcomeState
from state.hashing import stable_id
from tests.rules.deciding import DAY_MS, HOUR_MS, NOON_MS, WHO, Deciding
from tests.state.called import category_of

RULE = """
[[rule]]
id = "{name}"
on = "{name}"
campaign = "{campaign}"
channels = ["mail"]
class = "{klass}"
text.mail = "t"
{category}
"""
KINDS = (
    ("first", "one", "commercial", True),
    ("second", "two", "commercial", True),
    ("notice", "one", "service", True),
    ("free", "one", "commercial", False),
)
BOOK = """
[channels.mail]
kind = "sms"
[categories.sales]
cap = "1 per 1d"
[campaigns.one]
[campaigns.two]
[events.first]
[events.second]
[events.notice]
[events.free]
""" + "".join(
    RULE.format(name=name, campaign=campaign, klass=klass, category='category = "sales"' if in_it else "")
    for name, campaign, klass, in_it in KINDS
)


def test_a_cap_of_a_category_counts_the_contacts_of_all_its_commercial_rules() -> None:
    one = Deciding(BOOK)
    (sent,) = one.event(NOON_MS, "first")
    one.outcome(NOON_MS + 1, sent, OutcomeState.COMMITTED, NOON_MS + HOUR_MS)
    assert one.event(NOON_MS + DAY_MS, "second") == [], "it counts where it happened"
    assert len(one.event(NOON_MS + DAY_MS, "free")) == 1, "a rule of no category"
    assert len(one.event(NOON_MS + DAY_MS, "notice")) == 1, "a service message"
    assert len(one.event(NOON_MS + DAY_MS + HOUR_MS, "second")) == 1, "neither of them counts"


def test_a_contact_carries_its_category() -> None:
    one = Deciding(BOOK)
    one.event(NOON_MS, "first")
    contacts = one.contacts
    entry = int(contacts.arrays.first[contacts.arrays.block[one.table.find(WHO)]]) * 4
    assert category_of(contacts.arrays, entry) == stable_id("sales")
    assert one.contacts.of(int(one.table.find(WHO)))[0]["category"] == stable_id("sales")


def test_a_category_must_be_declared() -> None:
    with pytest.raises(BookErrors, match="unknown category `sale`"):
        load_text({"book.toml": BOOK.replace('category = "sales"', 'category = "sale"', 1)})
