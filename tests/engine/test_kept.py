"""`explain` and `why` tell in words when a rule with a deadline is asked, and what is kept of areas and of settling."""

import pytest

from engine.answers.explained import explained
from engine.commands.why import armed_by
from rules.load import load_text
from rules.model import Book

BOOK = """
campaign = "area"
[events.move]
fields = { cell = "string!", imei = "string" }
[events.use]
[areas.fair]
cells = ["a"]
seen = "move.cell"
leave_after = "90s"
[channels.alert]
[features.handset]
settled = "move.imei"
as = "imei_tac(imei)"
sightings = 2
held_for = "1d"
[[rule]]
id = "came"
on = "move"
when = "came_into('fair') and not inside('fair') and stayed('fair') > '1m' and handset > 1"
channels = ["alert"]
[[rule]]
id = "stayed"
stays = "fair"
for = "10m"
still = "handset > 1"
channels = ["alert"]
[[rule]]
id = "left"
leaves = "fair"
channels = ["alert"]
[[rule]]
id = "silent"
after = "use"
for = "30d"
channels = ["alert"]
[[rule]]
id = "absent"
after = "move"
within = "1h"
unless = "use"
channels = ["alert"]
"""


@pytest.fixture(scope="module")
def book() -> Book:
    return load_text({"book.toml": BOOK})


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        ("came", "on every event `move`"),
        ("stayed", "when a stay in area fair has lasted 10m"),
        ("left", "when a stay in area fair has ended, 90s after it was left"),
        ("silent", "when no `use` has come for 30d"),
        ("absent", "1h after an event `move`, unless `use` comes before"),
    ],
)
def test_a_rule_says_when_it_is_asked(book: Book, rule: str, asked: str) -> None:
    assert next(iter(explained(book, book.by_id[rule]))) == f"{rule}: asked {asked}, priority 50"


def test_conditions_about_areas_are_told_as_they_are_written(book: Book) -> None:
    lines = [line.strip() for line in explained(book, book.by_id["came"])]

    assert "came_into('fair')" in lines
    assert "(not inside('fair'))" in lines
    assert "(stayed('fair') > 60000)" in lines
    assert "area:fair: since when the subscriber is in area fair, by `move`; 24 bytes, read by 0 other rules" in lines
    settles = "settled of move.imei ever, as imei_tac(imei), once seen 2 times in a row, or held for 1d"
    assert f"handset: {settles}; 48 bytes, read by 1 other rules" in lines
    assert "(handset > 1)" in [line.strip() for line in explained(book, book.by_id["stayed"])]


def test_a_record_says_what_armed_its_deadline() -> None:
    assert armed_by({"stays": "fair"}) == "in area fair since"
    assert armed_by({"leaves": "fair"}) == "left area fair, seen outside since"
    assert armed_by({"after": "use"}) == "armed by use of"
    assert armed_by({}) is None
