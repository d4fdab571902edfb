"""A book whose values are not what anybody writes is refused by its faults, and says nothing that it is not."""

import contextlib
import math
import tomllib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.settings.reading import ConfigErrors, parse_config
from rules.diagnostics import BookErrors
from rules.load import load_text
from rules.tables import CELLS_MAX

HEAD = """
[book]
zone = "Asia/Shanghai"
[events.call]
fields = { kind = "string!", seconds = "int" }
[channels.sms]
[[rule]]
id = "any"
on = "call"
when = "kind != ''"
channels = ["sms"]
text.sms = "kind {kind}"
"""
TABLE = '[tables.{0}]\nfile = "t.csv"\ncolumns = {{ k = "int", v = "int" }}\n'
WRITTEN = '[tables.t]\ncolumns = { k = "int", v = "float" }\nrows = [{ k = 1, v = NUMBER }]\n'
LARGE = ("1" + "0" * 400, "-1" + "0" * 400, "0x" + "f" * 5_000, "0b" + "1" * 5_000)


def faults_of(text: str, csv: str = "") -> BookErrors:
    with pytest.raises(BookErrors) as caught:
        load_text({"a.toml": text, "t.csv": csv})
    return caught.value


@pytest.mark.parametrize("number", LARGE)
@pytest.mark.parametrize("more", [WRITTEN, '[[rule]]\nid = "b"\npriority = NUMBER\n', "x = { a = [[NUMBER]] }\n"])
def test_a_whole_number_without_end_is_a_fault_wherever_it_stands(more: str, number: str) -> None:
    found = faults_of(more.replace("NUMBER", number) + HEAD)

    assert "a whole number must have at most 64 bits" in str(found)
    with pytest.raises(ConfigErrors, match="at most 64 bits"):
        parse_config(more.replace("NUMBER", number))


def test_a_cell_of_thousands_of_digits_is_a_fault_at_its_line() -> None:
    (fault,) = faults_of(HEAD + TABLE.format("t"), "k,v\n1,2\n3," + "9" * 5_000 + "\n").diagnostics

    assert str(fault.place) == "t.csv:3:3"


def test_a_file_that_is_read_as_many_tables_is_bounded_by_all_their_cells_before_it_is_read() -> None:
    rows = CELLS_MAX // 200
    tables = "".join(TABLE.format(f"t{number}") for number in range(101))
    (fault,) = faults_of(HEAD + tables, "k,v\n" + "\n" * rows).diagnostics

    assert f"must be <= {CELLS_MAX}" in fault.message
    assert fault.place.excerpt == "[tables.t99]"


FORGED = '"a\\nerror[R999]: forged\\u001b[31m\\u202e"'


@pytest.mark.parametrize(
    "text",
    [
        HEAD.replace('"any"', "NAME"),
        '[lists.NAME]\ntitle = ""\n' + HEAD,
        "NAME = 1\n" + HEAD,
        HEAD.replace('"call"', "NAME"),
        HEAD + "priority = NAME\n",
        HEAD + "cap = [NAME]\nmax_age = NAME\noffer = NAME\ncampaign = NAME\n",
        HEAD + "[[test]]\nname = NAME\nevents = [{ at = 1 }]\nexpect = [{ NAME = 1 }]\n",
    ],
)
def test_no_name_of_a_book_makes_a_line_of_its_own_among_the_faults(text: str) -> None:
    found = faults_of(text.replace("NAME", FORGED))

    assert not any(line.startswith("error[R999]") for line in str(found).splitlines())
    assert not any("\n" in one.summary for one in found.diagnostics)


def test_no_name_of_a_configuration_makes_a_line_of_its_own_among_the_faults() -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config('"a\\nconfig.toml:1:1: forged" = 1\n[http]\nhost = "a\\nforged"\nport = "\\nforged"\n')

    assert len(str(caught.value).splitlines()) == len(caught.value.faults) == 2


VALUES: list[Any] = [
    *(2**63, -(2**63) - 1, 10**300, math.inf, -math.inf, math.nan, 1e308, -1, 0, 1.5, True, "", "\0\n\x1b", "x" * 900),
    *([], {}, [[]], [{}], ["a", "a"], ["\n"], [2**70], {"a": {"b": {}}}, {"\n": 1}, {"": ""}, {"a": 2**70}),
    *(date(1, 1, 1), date(9999, 12, 31), time(0), datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
    *("9" * 400 + "d", "99999999999d", "a.b.c", "{", "{}", "{a|", "'", "((((", "1 per", "1 per 0d", "-1d", "+25h"),
    *("any", "1e999 > 1", "not " * 50 + "true", "left(kind, 99999999999999999999)", "1 // 0", "1 % 0"),
    *("-9223372036854775808 // -1", "number('1e999')", "choose()", "band(kind)", "lookup(t, 1)", "days_until(time)"),
]
SHIPPED = [
    tomllib.loads(path.read_text()) for path in sorted((Path(__file__).parents[2] / "rules" / "book").glob("*.toml"))
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(inner, (*path, key))


def toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(one if one.isalnum() else f"\\U{ord(one):08x}" for one in value) + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{toml(key)} = {toml(inner)}' for key, inner in value.items())}}}"
    return value.isoformat() if isinstance(value, date | time) else repr(value)


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a copy with another value at a path."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


@settings(max_examples=40)
@given(st.data())
def test_any_value_in_place_of_any_of_the_shipped_book_is_a_book_or_a_fault(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(SHIPPED) - 1))
    path = data.draw(st.sampled_from(list(places(SHIPPED[number]))))
    one = changed(SHIPPED[number], path, data.draw(st.sampled_from(VALUES)))
    texts = {
        f"{at}.toml": "".join(
            f"{toml(key)} = {toml(value)}\n" for key, value in (one if at == number else file).items()
        )
        for at, file in enumerate(SHIPPED)
    }

    with contextlib.suppress(BookErrors):
        load_text(texts)
