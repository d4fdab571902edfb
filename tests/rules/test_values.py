"""Named values: worked out once, on the rows where they can be asked, and made anew for every book."""

import pytest

from engine.book.compiled import compile_book
from engine.runtimes.rehearsal import run_scenarios
from rules.codes import Code
from rules.diagnostics import BookErrors
from rules.expressions.opcodes import STORE
from rules.load import load_text
from rules.model import Book
from rules.values import LEVELS_MAX

BOOK = """
[events.call]
fields = { length = "int", number = "float", left = "string" }

[events.data]
fields = { length = "float", cell = "string" }

[attributes]
month = "string"

[channels.sms]
per_event_max = 3

[book]
decisions_per_event = 3

[values.twice]
is = "length * 2"

[values.more]
is = "twice + 1"

[values.unread]
is = "length * 3"

[[rule]]
id = "a"
on = "call"
when = "twice > 3"
channels = ["sms"]
text.sms = "{twice}"

[[rule]]
id = "b"
on = "call"
when = "twice > 3 and left(left, 1) == 'x' and number > 0 and length(month) == 1"
channels = ["sms"]
text.sms = "{more}"

[[rule]]
id = "c"
on = "data"
channels = ["sms"]
text.sms = "{twice}"

[[test]]
name = "t"
given = { month = "m" }
events = [
    { at = 2026-03-02T09:00:00+00:00, call = { length = 2, left = "xy", number = 1.0 } },
    { at = "+1m", data = { length = 0.25 } },
]
expect = [
    { at = "+0m", rule = "a", channel = "sms", text = "4" },
    { at = "+0m", rule = "b", channel = "sms", text = "5" },
    { at = "+1m", rule = "c", channel = "sms", text = "0.5" },
]
"""


def faults_of(book: Book) -> list[str]:
    return [fault for result in run_scenarios(book, 8) for fault in result.faults]


def test_a_value_is_of_the_kind_that_its_fields_have_on_each_event_and_fields_may_be_called_like_functions() -> None:
    assert faults_of(load_text({"a.toml": BOOK})) == []


def test_a_value_is_worked_out_once_a_row_and_one_that_no_rule_reads_never() -> None:
    compiled = compile_book(load_text({"a.toml": BOOK}))

    stores = [[int(one[5]) for one in program.code if one[0] == STORE] for program in compiled.values]

    first = len(compiled.book.features)
    assert stores == [[first, first], [first + 1]]  # `twice` on calls and on data, then `more` on calls


def test_a_rule_that_did_not_change_follows_a_value_that_did() -> None:
    before = load_text({"a.toml": BOOK})

    after = load_text({"a.toml": BOOK.replace("length * 2", "length * 2 - 1")}, before)

    assert after.rules == before.rules  # compiled once: what it names has the same kind and place
    assert 'expected a decided on sms as "4"' in faults_of(after)[0]


def test_a_rule_follows_a_value_whose_kind_changed() -> None:
    before = load_text({"a.toml": BOOK})

    with pytest.raises(BookErrors, match="`>` cannot join `twice`, a text, and `3`"):
        load_text({"a.toml": BOOK.replace('"length * 2"', "\"choose(length > 1, 'a', 'b')\"")}, before)


def test_what_is_kept_goes_on_when_a_table_that_its_condition_asks_changes() -> None:
    text = BOOK + "[features.known]\ncount = \"data\"\nwhere = \"lookup('cells', 'city', cell) == 'A'\"\n"
    table = '[tables.cells]\ncolumns = {{ cell = "string", city = "string" }}\nrows = [{{ cell = "{}", city = "A" }}]\n'
    before = load_text({"a.toml": text, "b.toml": table.format("1")})

    after = load_text({"a.toml": text, "b.toml": table.format("2")}, before)

    assert [one.meaning for one in after.features] == [one.meaning for one in before.features]


def chain(length: int, *, downward: bool) -> dict[str, str]:
    """Values that stand one upon the other, each declared after, or before, the one that it reads."""
    places = range(length - 1, 0, -1) if downward else range(1, length)
    lines = [f'[values.v{at}]\nis = "v{at - 1} + 1"\n' for at in places]
    return {"a.toml": BOOK, "b.toml": "".join(lines), "c.toml": '[values.v0]\nis = "1"\n'}


@pytest.mark.parametrize("downward", [False, True])
def test_values_may_stand_one_upon_the_other_up_to_a_bound(downward: bool) -> None:
    assert load_text(chain(LEVELS_MAX, downward=downward)).values_by_name[f"v{LEVELS_MAX - 1}"].level == LEVELS_MAX - 1
    for length in (LEVELS_MAX + 1, 900):
        with pytest.raises(BookErrors, match=f"values one upon the other must be <= {LEVELS_MAX}") as caught:
            load_text(chain(length, downward=downward))
        assert {one.code for one in caught.value.diagnostics} == {Code.OUT_OF_BOUNDS}
