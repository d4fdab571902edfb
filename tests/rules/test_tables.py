"""Tables: what a file says is found or reported at its line, and belongs to the version of the book."""

from pathlib import Path

import pytest

from engine.runtimes.rehearsal import run_scenarios
from rules.diagnostics import BookErrors
from rules.load import load_book, load_text
from rules.model import Book
from rules.tables import ROWS_MAX

BOOK = """
[events.call]
fields = { imei = "string", level = "int" }

[channels.sms]

[tables.handsets]
file = "handsets.csv"
columns = { code = "string", model = "string", generation = "int", share = "float", mms = "bool" }

[values.model]
is = "lookup('handsets', 'model', left(imei, 2), 'unknown')"

[[rule]]
id = "r"
on = "call"
when = "lookup('handsets', 'generation', left(imei, 2)) >= 3"
channels = ["sms"]
text.sms = "{model}"

[[test]]
name = "t"
events = [{ at = 2026-03-02T09:00:00+08:00, call = { imei = "12x" } }]
expect = [{ at = "+0m", rule = "r", channel = "sms", text = "Nokia, red" }]
"""
WHOLE = "whole numbers of 64 bits"
GOOD = 'code,model,generation,share,mms\n12,"Nokia, red",3,0.5,true\n13,,2,,\n'


def book(table: str, before: Book | None = None) -> Book:
    return load_text({"a.toml": BOOK, "handsets.csv": table}, before)


def faults_of(table: str) -> list[str]:
    with pytest.raises(BookErrors) as caught:
        book(table)
    return [one.summary.removeprefix("handsets.csv:") for one in caught.value.diagnostics]


def passes(one: Book) -> bool:
    return all(not result.faults for result in run_scenarios(one, 8))


def test_a_quoted_cell_is_found_and_shown() -> None:
    assert passes(book(GOOD))


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("", "1:1: error[R316]: the first line of this file names no column `code`"),
        (
            "code,modl,generation,share,mms\n",
            "1:1: error[R316]: the first line of this file names no column `model` (did you mean `modl`?)",
        ),
        (GOOD + "14,x,4.,,\n", "4:6: error[R316]: column `generation` holds whole numbers of 64 bits; `4.` is none"),
        (GOOD + f"1,x,{1 << 63},,\n", f"4:5: error[R316]: column `generation` holds {WHOLE}; `{1 << 63}` is none"),
        (GOOD + "14,x,1,nan,\n", "4:8: error[R316]: column `share` holds numbers; `nan` is none"),
        (GOOD + "14,x,1,1e999,\n", "4:8: error[R316]: column `share` holds numbers; `1e999` is none"),
        (GOOD + "1,1,1,,1\n", "4:8: error[R316]: column `mms` holds `true` and `false`; `1` is none"),
        (GOOD + "14,x,1,,yes\n", "4:9: error[R316]: column `mms` holds `true` and `false`; `yes` is none"),
        (GOOD + ",x,1,,\n", "4:1: error[R316]: column `code` holds texts; it is empty"),
        (GOOD + "12,x,1,,\n", "4:1: error[R108]: the key `12` stands twice in this file"),
        (GOOD + '14,"x"y,1,,\n', "4:1: error[R316]: this is no line of a CSV file: ',' expected after '\"'"),
    ],
)  # fmt: skip
def test_a_fault_of_a_file_has_its_line_and_its_cell(table: str, fault: str) -> None:
    assert fault in faults_of(table)


def test_of_a_file_that_is_all_wrong_the_first_faults_are_reported() -> None:
    found = faults_of(GOOD + ",,,,\n" * 1_000)

    assert found == [f"{line}:1: error[R316]: column `code` holds texts; it is empty" for line in range(4, 24)]


def test_a_changed_table_makes_another_version_and_what_rules_read_follows_it() -> None:
    before = book(GOOD)
    after = book(GOOD.replace("Nokia, red", "Nokia, blue"), before)

    assert after.version != before.version
    assert passes(before)
    assert not passes(after)
    assert passes(book(GOOD, after))


def test_a_book_made_again_of_what_is_kept_has_its_tables() -> None:
    first = book(GOOD)

    again = load_text(first.sources)

    assert again.version == first.version
    assert passes(again)


def test_the_files_of_a_folder_are_a_book_with_its_tables(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(BOOK)
    (tmp_path / "handsets.csv").write_text("\ufeff" + GOOD)
    (tmp_path / ".hidden.csv").write_bytes(b"\xff")

    assert passes(load_book(tmp_path))


MANY = """
[events.call]
fields = { level = "int" }

[channels.sms]

[tables.many]
file = "many.csv"
columns = { key = "int", word = "string", part = "float" }

[values.word]
is = "lookup('many', 'word', level)"

[[rule]]
id = "r"
on = "call"
when = "lookup('many', 'part', level) == level / 4"
channels = ["sms"]
text.sms = "{word}"

[[test]]
name = "t"
events = [
    { at = 2026-03-02T09:00:00+08:00, call = { level = 0 } },
    { at = "+1m", call = { level = -7 } },
    { at = "+1m", call = { level = 99999 } },
    { at = "+1m", call = { level = 100000 } },
    { at = "+1m", call = { level = 50001 } },
]
expect = [
    { at = "+0m", rule = "r", channel = "sms", text = "m0" },
    { at = "+1m", rule = "r", channel = "sms", text = "m-7" },
    { at = "+2m", rule = "r", channel = "sms", text = "m99999" },
    { at = "+4m", rule = "r", channel = "sms", text = "m50001" },
]
"""


def test_a_table_of_a_hundred_thousand_rows_says_of_each_key_what_its_line_says() -> None:
    lines = "".join(f"{key},m{key},{key / 4}\n" for key in (-7, *range(99_999, -1, -1)))

    assert passes(load_text({"a.toml": MANY, "many.csv": "key,word,part\n" + lines}))


def test_more_rows_than_a_table_may_have_are_refused() -> None:
    lines = "".join(f"{key},,\n" for key in range(ROWS_MAX + 1))

    with pytest.raises(BookErrors, match=f"rows={ROWS_MAX + 1} must be <= {ROWS_MAX}"):
        load_text({"a.toml": MANY, "many.csv": "key,word,part\n" + lines})
