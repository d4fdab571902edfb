"""`changed` and `entered`: true on the row that gives another value than the one before, and on no other."""

from rules.load import load_text
from state.batch import Row, Value
from tests.rules.deciding import HOUR_MS, NOON_MS, WHO, Deciding

FILLERS = ", ".join(f'"m{at}"' for at in range(70))
BOOK = f"""
[book]
max_age = "366d"
[attributes]
stage = "string"
score = "float"
services = {{ set = [{FILLERS}] }}
[events.call]
fields = {{ cell = "string", kind = "string", n = "int" }}
[channels.alert]
[features.last_far]
last = "call.cell"
where = "kind == 'far'"
[[rule]]
id = "call"
on = "call"
channels = ["alert"]
reason = "{{cell_changed}} {{far_changed}} {{nine}}"
[values.cell_changed]
is = "changed(cell)"
[values.far_changed]
is = "changed(last_far)"
[values.nine]
is = "entered(n, 9)"
[[rule]]
id = "profile"
on = "profile"
channels = ["alert"]
reason = "{{loyal}} {{stage_changed}} {{score_changed}} {{set_changed}}"
[values.loyal]
is = "entered(stage, 'loyal')"
[values.stage_changed]
is = "changed(stage)"
[values.score_changed]
is = "changed(score)"
[values.set_changed]
is = "changed(services)"
"""


def facts(world: Deciding, event: str, after_ms: int, /, **values: Value) -> list[int]:
    found = world.take(NOON_MS + HOUR_MS, Row(event, WHO, NOON_MS + after_ms, values))
    assert found is not None
    return [int(cell) for cell in found.facts.tolist()]


def test_a_field_changes_on_the_row_that_tells_another_value() -> None:
    world = Deciding(BOOK)
    assert facts(world, "call", 0, cell="a", kind="far") == [0, 0, 0]
    assert facts(world, "call", 1, cell="a", kind="near") == [0, 0, 0]
    assert facts(world, "call", 2, cell="b", kind="near", n=8) == [1, 0, 0]
    assert facts(world, "call", 3, n=9) == [0, 0, 1]
    assert facts(world, "call", 4, cell="b", kind="far", n=9) == [0, 1, 0]


def test_an_attribute_enters_a_value_and_stays_there_without_entering_again() -> None:
    world = Deciding(BOOK)
    assert facts(world, "profile", 0, stage="loyal") == [0, 0, 0, 0]
    assert facts(world, "profile", 1, stage="new") == [0, 1, 0, 0]
    assert facts(world, "profile", 2, score=1.0) == [0, 0, 0, 0]
    assert facts(world, "profile", 3, stage="loyal") == [1, 1, 0, 0]
    assert facts(world, "profile", 4, stage="loyal") == [0, 0, 0, 0]


def test_minus_zero_is_no_other_value_than_zero() -> None:
    world = Deciding(BOOK)
    assert facts(world, "profile", 0, score=0.0)[2] == 0
    assert facts(world, "profile", 1, score=-0.0)[2] == 0
    assert facts(world, "profile", 2, score=0.5)[2] == 1


def test_a_set_of_two_words_changes_with_a_member_of_either() -> None:
    world = Deciding(BOOK)
    assert facts(world, "profile", 0, services=("m1", "m69"))[3] == 0
    assert facts(world, "profile", 1, services=("m69", "m1"))[3] == 0
    assert facts(world, "profile", 2, services=("m1",))[3] == 1
    assert facts(world, "profile", 3, services=("m2",))[3] == 1


def test_what_happened_before_the_latest_and_comes_late_changes_nothing() -> None:
    world = Deciding(BOOK)
    facts(world, "profile", 5, stage="new")
    assert facts(world, "profile", 4, stage="loyal") == [0, 0, 0, 0]
    assert facts(world, "profile", 6, stage="loyal") == [1, 1, 0, 0]


def test_a_changed_book_goes_on_with_the_value_before() -> None:
    world = Deciding(BOOK)
    facts(world, "profile", 0, stage="new")
    world.reload(BOOK + '[values.more]\nis = "changed(stage) and score > 1"\n')
    assert facts(world, "profile", 1, stage="loyal") == [1, 1, 0, 0]


def test_calls_that_ask_the_same_share_what_is_kept() -> None:
    book = load_text({"book.toml": BOOK})
    assert [one.name for one in book.features if one.kind == "change"].count("changed(profile.stage)") == 1
