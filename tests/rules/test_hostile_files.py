"""A book that is made to cost time or memory is refused at once, with the bound that it passes."""

import os
import time
from pathlib import Path

import pytest

from rules.bounds import BLOCK_KEYS_MAX, HEAD_KEYS_MAX, KEY_PARTS_MAX, TABLES_MAX, VALUES_MAX
from rules.compile import RULES_MAX
from rules.diagnostics import BookErrors
from rules.load import BOOK_BYTES_MAX, FILE_BYTES_MAX, FILES_MAX, TESTS_MAX, load_text, read_folder
from rules.shape import FAULTS_MAX
from rules.toml import read_document

LONG = ".".join(["a"] * 100_000)
BASE = """
[attributes]
name = "string"
[events.call]
fields = { kind = "string!", seconds = "int" }
[channels.sms]
"""
RULE = '[[rule]]\nid = "r{0}"\non = "call"\nwhen = "{1}"\nchannels = ["sms"]\ntext.sms = "t"\n'
CPU_S = 5.0


def faults_of(text: str, *, cpu_s: float = CPU_S) -> str:
    """Return what is said of a book that is refused, within seconds of processor."""
    began = time.process_time()
    with pytest.raises(BookErrors) as caught:
        load_text({"book.toml": text})
    assert time.process_time() - began < cpu_s
    assert len(str(caught.value)) < 50_000
    return str(caught.value)


@pytest.mark.parametrize("text", [f"{LONG} = 1", f"[{LONG}]", f"x = {{ {LONG} = 1 }}", f"[[rule]]\n{LONG} = 1"])
def test_a_key_of_a_hundred_thousand_parts_is_one_fault_at_once(text: str) -> None:
    began = time.process_time()
    (fault,) = read_document("a.toml", text).faults

    assert str(KEY_PARTS_MAX) in fault.message
    assert len(fault.place.excerpt) < 200
    assert time.process_time() - began < 2


def test_more_keys_than_a_book_can_use_are_one_fault() -> None:
    said = faults_of("".join(f"k{n} = 1\n" for n in range(HEAD_KEYS_MAX + 1)))

    assert f"keys={HEAD_KEYS_MAX + 1} outside of rules and tests must be <= {HEAD_KEYS_MAX}" in said


@pytest.mark.parametrize("word", ["rule", "test"])
def test_a_rule_of_more_keys_than_any_has_is_one_fault_at_its_place(word: str) -> None:
    said = faults_of(f"{BASE}[[{word}]]\n" + "".join(f"k{n} = 1\n" for n in range(BLOCK_KEYS_MAX + 1)))

    assert f"keys={BLOCK_KEYS_MAX + 1} of one {word} must be <= {BLOCK_KEYS_MAX}\n --> book.toml:7:1" in said


def test_more_tables_than_a_book_can_use_are_one_fault() -> None:
    assert f"tables={TABLES_MAX + 1} must be <= {TABLES_MAX}" in faults_of("[[rule]]\n" * (TABLES_MAX + 1))


def test_more_values_than_a_book_can_use_are_one_fault() -> None:
    assert f"commas={VALUES_MAX + 1} must be <= {VALUES_MAX}" in faults_of(f"x = [{'1,' * (VALUES_MAX + 1)}]")


@pytest.mark.parametrize(("word", "most"), [("rule", RULES_MAX), ("test", TESTS_MAX)])
def test_more_rules_or_tests_than_a_book_may_have_are_one_fault_before_any_is_compiled(word: str, most: int) -> None:
    assert f"{word}s={most + 1} must be <= {most}" in faults_of(BASE + f"[[{word}]]\n" * (most + 1))


def test_a_reading_stops_after_so_many_faults_and_says_so() -> None:
    said = faults_of(BASE + "".join(f"[[rule]]\nx{n} = 1\n" for n in range(FAULTS_MAX)), cpu_s=20.0)

    assert said.endswith("the first 50 shown; reading stopped there")


def test_a_name_unlike_two_thousand_others_costs_no_search_among_all_of_them() -> None:
    lists = "".join(f'[lists.nnnnnnnnnnnnnnnn{n}]\ntitle = "x"\n' for n in range(200))
    offers = "".join(f'[offers.nnnnnnnnnnnnnnnn{n}]\ntitle = "x"\n' for n in range(2_000))
    wrong = "".join(RULE.format(n, f"member('nnnnnnnnnnnnnnnnx{n}')") + f'offer = "nnnnnnnx{n}"\n' for n in range(50))

    assert "unknown" in faults_of(BASE + lists + offers + wrong, cpu_s=15.0)


HOSTILE = {
    "tables in tables": ("x = " + "{a=" * 5_000 + "1" + "}" * 5_000, "maximum recursion depth"),
    "arrays in arrays": ("x = " + "[" * 100_000 + "]" * 100_000, "maximum recursion depth"),
    "arrays in arrays, as deep as is read": ("x = " + "[" * 90 + "]" * 90, "unknown key `x`"),
    "a number of a million digits": ("x = " + "9" * 1_000_000, "this is not TOML"),
    "a power of a million digits": ("x = 1e" + "9" * 1_000_000, "unknown key `x`"),
    "a million blanks": (" " * 1_000_000 + "x", "this is not TOML"),
    "a million brackets": ("[" * 1_000_000, "this is not TOML"),
    "a name of a million characters": ("[" + "a" * 1_000_000 + "]", "unknown"),
    "a channel a thousand times": ('[[rule]]\nchannels = ["sms"' + ', "sms"' * 999 + "]", "length of channels=1000"),
    "an expression of a megabyte": (RULE.format(1, f"kind == '{'x' * 1_000_000}'"), "must be <= 8000"),
    "ten thousand times or": (RULE.format(1, " or ".join(["seconds > 1"] * 10_000)), "must be <= 8000"),
    "four thousand parentheses": (RULE.format(1, "(" * 3_900 + "1" + ")" * 3_900), "too many nested"),
    "two thousand times not": (RULE.format(1, "not " * 1_900 + "seconds > 1"), "depth must be <= 60"),
    "a whole number of 7,000 digits": (RULE.format(1, "seconds > " + "9" * 7_000), "not an expression"),
    "eight thousand quotes": (RULE.format(1, "'" * 7_999), "not an expression"),
    "a thousand texts side by side": (RULE.format(1, "kind == " + "'a' " * 1_900), "side by side"),
    "an area of four thousand parts": (RULE.format(1, "in_area(areas." + "a." * 3_900 + "a)"), "in_area() got 1"),
    "a text of ten megabytes": (RULE.format(1, "true").replace('"t"', f'"{"x" * 10_000_000}"'), "must be <= 1000"),
    "a zone that is a path": ('[book]\nzone = "../../../../etc/passwd"', "zone"),
    "a duration of a million digits": (f'[features.f]\ncount = "call"\nover = "{"9" * 1_000_000}d"', "over"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_book_is_refused_in_seconds(name: str) -> None:
    text, said = HOSTILE[name]

    assert said in faults_of(text + BASE)


def test_a_text_with_many_dots_is_no_key() -> None:
    document = read_document("a.toml", f'x = "{"a. " * 200}"\ny = "{"." * 200}"\n')

    assert (document.faults, set(document.head)) == ((), {"x", "y"})


def refused(folder: Path) -> str:
    began = time.monotonic()
    with pytest.raises(BookErrors) as caught:
        read_folder(folder)
    assert time.monotonic() - began < 5
    return str(caught.value)


def test_what_is_no_regular_file_is_never_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.toml")
    (tmp_path / "b.toml").symlink_to("/dev/zero")
    (tmp_path / "c.toml").mkdir()
    (tmp_path / "d.toml").symlink_to("d.toml")
    (tmp_path / "e.toml").symlink_to(tmp_path / "nowhere")
    said = refused(tmp_path)

    assert said.count("this is no regular file") == 2
    assert said.count("this file cannot be read") == 3


def test_a_file_of_a_terabyte_and_a_folder_of_many_files_are_refused_by_their_size(tmp_path: Path) -> None:
    with (tmp_path / "a.toml").open("wb") as file:
        file.truncate(1 << 40)
    assert f"size={1 << 40} bytes must be <= {FILE_BYTES_MAX}" in refused(tmp_path)

    (tmp_path / "a.toml").unlink()
    for number in range(BOOK_BYTES_MAX // FILE_BYTES_MAX + 1):
        with (tmp_path / f"{number}.toml").open("wb") as file:
            file.truncate(FILE_BYTES_MAX)
    assert f"size of all files must be <= {BOOK_BYTES_MAX} bytes" in refused(tmp_path)

    for number in range(FILES_MAX + 1):
        (tmp_path / f"{number}.toml").write_bytes(b"")
    assert f"files={FILES_MAX + 1} must be <= {FILES_MAX}" in refused(tmp_path)
