"""Every bad book in tests/diagnostics says exactly what its `# expect:` lines promise, and nothing else.

A file is read together with `_base.toml`. Its last lines hold the expected faults, one a line, in order:
`# expect: line:column: error[code]: message (hint)`. After a wanted change, rewrite them with
`UPDATE_EXPECTED=1 pytest tests/rules/test_diagnostics.py` and read the difference.
"""

import os
from pathlib import Path

import pytest

from rules.codes import Code
from rules.diagnostics import BookErrors, Diagnostic, Place, nearest
from rules.load import load_book, load_text

FOLDER = Path(__file__).parents[1] / "diagnostics"
BASE = (FOLDER / "_base.toml").read_text()
FILES = sorted(path for path in FOLDER.glob("*.toml") if not path.name.startswith("_"))
MARK = "# expect: "

ELSEWHERE = {Code.UNREADABLE, Code.EMPTY_BOOK, Code.BAD_ZONE}


def faults_of(path: Path) -> list[Diagnostic]:
    with pytest.raises(BookErrors) as caught:
        load_text({"_base.toml": BASE, path.name: path.read_text()})
    return list(caught.value.diagnostics)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_book_says_what_it_promises(path: Path) -> None:
    text = path.read_text()
    expected = [line.removeprefix(MARK) for line in text.splitlines() if line.startswith(MARK)]

    found = [fault.summary.removeprefix(f"{path.name}:") for fault in faults_of(path)]

    if os.environ.get("UPDATE_EXPECTED"):
        body = "\n".join(line for line in text.splitlines() if not line.startswith(MARK)).rstrip("\n")
        path.write_text(body + "\n\n" + "".join(f"{MARK}{one}\n" for one in found))
    else:
        assert found == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_caret_stands_in_the_line_it_shows(path: Path) -> None:
    lines = path.read_text().splitlines()

    for fault in faults_of(path):
        assert fault.place.file == path.name
        assert fault.place.excerpt == lines[fault.place.line - 1]
        assert 1 <= fault.place.column <= len(fault.place.excerpt) + 1
        assert fault.place.width >= 1


def test_every_code_has_a_bad_book_that_shows_it() -> None:
    shown = {fault.code for path in FILES for fault in faults_of(path)}

    assert set(Code) - shown == ELSEWHERE


def test_a_fault_is_printed_with_place_excerpt_caret_and_hint() -> None:
    place = Place("care.toml", 12, 9, 9, 'when = "long_cals == 1"')
    fault = Diagnostic(Code.UNKNOWN_NAME, "unknown name `long_cals`", place, "no such name", "did you mean `x`?")

    assert str(fault) == (
        "error[R201]: unknown name `long_cals`\n"
        "  --> care.toml:12:9\n"
        "   |\n"
        '12 | when = "long_cals == 1"\n'
        "   |         ^^^^^^^^^ no such name\n"
        "   = hint: did you mean `x`?"
    )


def test_a_caret_stands_below_its_word_behind_chinese_text_and_tabs() -> None:
    fault = Diagnostic(Code.UNKNOWN_NAME, "unknown", Place("a.toml", 1, 6, 4, "\t尊敬的{name}"))

    excerpt, caret = str(fault).splitlines()[3:5]

    assert excerpt == "1 | \t尊敬的{name}"
    assert caret == "  | \t" + " " * 7 + "^^^^"


@pytest.mark.parametrize("column", [1, 5_000, 299_990])
def test_a_long_line_is_cut_around_its_fault_with_the_caret_in_view(column: int) -> None:
    line = "x" * (column - 1) + "FAULT" + "y" * (300_000 - column)
    fault = Diagnostic(Code.UNKNOWN_NAME, "m" * 320_000, Place("a.toml", 1, column, 5, line))

    message, _, _, excerpt, caret = str(fault).splitlines()

    assert len(message) < 600
    assert len(excerpt) < 200
    assert excerpt[caret.index("^") :].startswith("FAULT")
    assert caret.count("^") == len("FAULT")


def test_a_hint_is_given_only_when_something_near_exists() -> None:
    known = ["visited_plmn", "home_plmn"]

    assert nearest("visitd_plmn", known) == "did you mean `visited_plmn`?"
    assert nearest("zebra", known) == ""


def test_an_unknown_zone_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BookErrors) as caught:
        load_text({"a.toml": '[book]\nzone = "Asia/Shanghia"\n'})

    (fault,) = caught.value.diagnostics
    assert fault.summary == (
        'a.toml:2:8: error[R307]: zone="Asia/Shanghia" is not in the time zone database (did you mean `Asia/Shanghai`?)'
    )


def test_what_cannot_be_read_is_said_for_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes("[book] # 好\n# \xff".encode("latin-1", "replace"))
    (tmp_path / "b.toml").write_bytes(b"[events.call]\n# \xe5\xa5\xbd \xff\n")
    (tmp_path / "c.toml").mkdir()

    with pytest.raises(BookErrors) as caught:
        load_book(tmp_path)

    assert [(fault.code, str(fault.place).removeprefix(f"{tmp_path}/")) for fault in caught.value.diagnostics] == [
        (Code.UNREADABLE, "c.toml:1:1"),
        (Code.UNREADABLE, "a.toml:2:3"),
        (Code.UNREADABLE, "b.toml:2:5"),
    ]


def test_an_empty_or_missing_folder_is_not_a_book(tmp_path: Path) -> None:
    with pytest.raises(BookErrors, match=r"R110.*no \*.toml file"):
        load_book(tmp_path)
    with pytest.raises(BookErrors, match=r"R105.*not a folder"):
        load_book(tmp_path / "nowhere")


def test_a_collision_of_numbers_shows_the_place_of_both_names() -> None:
    faults = faults_of(FOLDER / "id_collision.toml")

    assert [fault.label for fault in faults] == [
        "the other at id_collision.toml:1:2",
        "the other at id_collision.toml:6:2",
        "the other at id_collision.toml:10:2",
        "the other at id_collision.toml:15:6",
    ]


def test_rules_of_different_files_whose_numbers_collide_are_refused_at_every_reading() -> None:
    text = '[[rule]]\nid = "rule-{}"\non = "call"\nchannels = ["desk"]\n'
    files = {"_base.toml": BASE, "a.toml": text.format(9434), "b.toml": text.format(27884)}

    for _ in range(2):  # the second reading takes compiled rules from the first
        with pytest.raises(BookErrors, match=r"rules `rule-9434` and `rule-27884`.*702527443") as caught:
            load_text(files)
        assert [(fault.code, fault.place.file, fault.label) for fault in caught.value.diagnostics] == [
            (Code.ID_COLLISION, "b.toml", "the other at a.toml:2:6")
        ]


def test_a_thousand_faults_are_all_kept_and_the_first_fifty_printed() -> None:
    text = "".join(f'[[rule]]\nid = "r{index}"\non = "nothing"\nchannels = ["desk"]\n' for index in range(1_000))

    with pytest.raises(BookErrors) as caught:
        load_text({"_base.toml": BASE, "many.toml": text})

    assert len(caught.value.diagnostics) == 1_000
    assert str(caught.value).endswith("1000 faults in the book, the first 50 shown")
