"""Places in TOML files are exact, and the quick ways to read a file agree with `tomllib`."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.toml import Document, Path, _parse_simple, read_document

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
KEY = st.sampled_from(["id", "when", "text", "cap", "a-b", "é x", "on", ""])


def quoted(text: str, style: int) -> str:
    """The text as a TOML string in one of five styles, where the style can hold it."""
    plain = all(sign.isprintable() for sign in text)
    if style == 1 and plain and "'" not in text:
        return f"'{text}'"
    if style == 2 and plain and "'''" not in text and not text.endswith("'"):
        return f"'''\n{text}'''"
    escaped = "".join(escape(sign, style) for sign in text)
    if style == 3:
        return f'"""\n{escaped}"""'
    if style == 4:
        return f'"""\\\n   {escaped}\\\n  """' if not text[:1].isspace() else f'"{escaped}"'
    return f'"{escaped}"'


def escape(sign: str, style: int) -> str:
    short = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
    if sign in short:
        return short[sign]
    if not sign.isprintable() or (style == 3 and ord(sign) > 0x4E00):
        return f"\\u{ord(sign):04X}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08X}"
    return sign


def written(value: Any, style: int = 0) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value, style)
    if isinstance(value, list):
        return "[" + ", ".join(written(one, style) for one in value) + (",\n]" if style % 2 and value else "]")
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{quoted(key, 0)} = {written(one, style)}" for key, one in value.items()) + " }"
    return str(value)


VALUE = st.recursive(
    TEXT | st.integers(-(1 << 60), 1 << 60) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=6,
)
QUICK_VALUES = ['"a"', '"尊敬 {x}"', '["a", "b"]', "[]", "[ ]", '["a",]', "12", "-0", "true", '"a" # b']
SLOW_VALUES = ["[,]", '["a" "b"]', "007", '"""a"""', "'a'", '"\\n"', "1.5", "truex", '"a', "2008-11-04", "", '"a"\r']
BLOCK = st.tuples(st.sampled_from(["rule", "test", "x"]), st.dictionaries(KEY, VALUE, max_size=4), st.integers(0, 4))


def document_text(blocks: list[tuple[str, dict[str, Any], int]]) -> str:
    lines = ["# 好"]
    for index, (word, table, style) in enumerate(blocks):
        lines.append(f"[[{word}]]" if word in ("rule", "test") else f"[x{index}]")
        lines += [f"{quoted(key, 0)} = {written(value, style)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def leaves(value: Any, path: Path) -> list[tuple[Path, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(path, value)] + [leaf for key, inner in items for leaf in leaves(inner, (*path, key))]


def source_at(document: Document, path: Path) -> str:
    start, end = document.spans.extent(path)
    return document.text[start:end]


@given(st.lists(BLOCK, max_size=5))
def test_a_file_cut_into_blocks_means_what_it_means_whole(blocks: list[tuple[str, dict[str, Any], int]]) -> None:
    text = document_text(blocks)
    whole = tomllib.loads(text)

    document = read_document("a.toml", text)

    assert not document.faults
    assert [block.data for block in document.rules] == whole.pop("rule", [])
    assert [block.data for block in document.tests] == whole.pop("test", [])
    assert document.head == whole


@given(st.lists(BLOCK, max_size=4))
def test_every_value_is_found_where_it_is_written(blocks: list[tuple[str, dict[str, Any], int]]) -> None:
    text = document_text(blocks)
    document = read_document("a.toml", text)

    for top, tables in tomllib.loads(text).items():
        for path, value in leaves(tables, (top,)):
            if len(path) > (2 if top in ("rule", "test") else 1):
                assert tomllib.loads(f"x = {source_at(document, path)}")["x"] == value


@given(TEXT, st.integers(0, 4))
def test_every_character_of_a_string_is_found_where_it_is_written(text: str, style: int) -> None:
    document = read_document("a.toml", f"# 好\nx = {quoted(text, style)}\n")
    lines = document.text.split("\n")
    origin = document.origin(("x",))

    for index, sign in enumerate(text):
        place = origin.place(index, index + 1)
        line = lines[place.line - 1]
        source = line[place.column - 1 :][: place.width]
        assert place.excerpt == line
        assert sign == source or tomllib.loads(f'x = "{source}"')["x"] == sign


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["id", "on", "text.sms", "text", "text.desk", "# note", ""]),
            st.sampled_from(QUICK_VALUES + SLOW_VALUES),
        ),
        max_size=5,
    )
)
def test_the_quick_reader_agrees_with_tomllib_or_stays_silent(lines: list[tuple[str, str]]) -> None:
    body = [f"{key} = {value}" if key and key[0] != "#" else key for key, value in lines]
    text = "[[rule]]\n" + "\n".join(body)

    quick = _parse_simple(text)

    if quick is not None:
        assert {"rule": [quick]} == tomllib.loads(text)


def test_a_plain_rule_is_read_the_quick_way() -> None:
    text = (
        '[[rule]]\nid = "a"\npriority = -3\n\nchannels = ["sms", "desk"] # two\ntext.sms = "好 {x}"\nenabled = true\n'
    )

    assert _parse_simple(text) == tomllib.loads(text)["rule"][0]


@pytest.mark.parametrize(
    "text",
    [
        'rule = "not an array"\n[[rule]]\nid = "a"\n',
        '[[rule]]\nid = "a"\n[[rule]]\nid = "b\n',
        '[[rule]]\nid = "a"\n[rule]\nx = 1\n',
        "[x]\n[x]\n",
        '[[rule]]\nid = """\n[[rule]]\n',
    ],
)
def test_what_tomllib_refuses_is_refused_with_a_place(text: str) -> None:
    document = read_document("a.toml", text)

    assert [fault.code for fault in document.faults] == ["R101"]
    assert document.faults[0].place.line <= text.count("\n") + 1


def test_a_header_inside_a_long_string_is_text() -> None:
    text = '[[rule]]\nid = """\n[[rule]]\n[test]\n"""\n[[test]]\nname = "a"\n'

    document = read_document("a.toml", text)

    assert [block.data for block in document.rules] == [{"id": "[[rule]]\n[test]\n"}]
    assert [block.data for block in document.tests] == [{"name": "a"}]


def test_windows_line_ends_count_as_one_sign_and_one_line() -> None:
    document = read_document("a.toml", 'a = """\r\nx\r\n好y"""\r\nb = 1\r\n')

    assert str(document.origin(("a",)).place(3, 4)) == "a.toml:3:2"
    assert document.place(("b",)).excerpt == "b = 1"


def test_what_is_not_written_out_is_placed_at_what_is_around_it() -> None:
    document = read_document("a.toml", 'a.b = { c = 1 }\n[[rule]]\nid = "x"\n')

    assert str(document.place(("a", "b", "zz"))) == "a.toml:1:1"
    assert str(document.place(("rule", 0, "on"))) == "a.toml:2:3"
    assert str(document.place(("a", "b", "c"), key=True)) == "a.toml:1:9"
    assert str(document.place(())) == "a.toml:1:1"
