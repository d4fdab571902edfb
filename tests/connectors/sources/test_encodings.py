"""Lines are read in the encoding that their feed has, and places are those of the bytes that came."""

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.sources.contract import chunk_of
from connectors.sources.dead_letter import Code
from connectors.sources.decoder import Decoder
from connectors.sources.mapping import Encoding, Mapping
from connectors.sources.strict import decode_strictly
from tests.connectors.sources.decoding import AT_MS_MAX, HEAD, SCHEMA, check, code_of

OTHERS = [encoding for encoding in get_args(Encoding) if encoding != "utf-8"]
LINES: dict[str, Any] = {"format": "delimited", "type": "call", "columns": ("msisdn", "time", "kind")}


def line(kind: str, encoding: str) -> bytes:
    return f"861,2008-11-04T09:00:00Z,{kind}".encode(encoding)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("gbk", "漫游"), ("gb18030", "漫游㐀😀"), ("big5", "漫遊"), ("latin-1", "été"), ("cp1252", "5 €")],
)
def test_a_text_is_the_same_in_whatever_encoding_it_came(encoding: Any, text: str) -> None:
    object_line = f'{{"type":"call","msisdn":861,"time":"2008-11-04T09:00:00Z","kind":"{text}"}}'.encode(encoding)

    for mapping, raw in ((Mapping(**LINES), line(text, encoding)), (Mapping(), object_line)):
        decoded = check(mapping.model_copy(update={"encoding": encoding}), [raw] * 3)
        assert [one for _, one in decoded.batch.texts.pairs()] == [text.encode()]
        assert (decoded.slow, decoded.offsets.tolist()) == (0, [n * (len(raw) + 1) for n in range(3)])


def test_a_line_that_is_not_of_the_encoding_is_a_dead_letter_with_the_bytes_that_came() -> None:
    good, bad = line("漫游", "gbk"), b"861,2008-11-04T09:00:00Z,\x81"
    decoded = check(Mapping(**LINES, encoding="gbk"), [good, bad, b"", good, good[:-1]])

    assert [(letter.code, letter.line, letter.offset, letter.raw) for letter in decoded.dead] == [
        (Code.INVALID_UTF8, 2, len(good) + 1, bad),
        (Code.INVALID_UTF8, 5, 2 * len(good) + len(bad) + 4, good[:-1]),
    ]
    assert "'gbk' codec can't decode byte 0x81" in decoded.dead[0].reason
    assert decoded.offsets.tolist() == [0, len(good) + len(bad) + 3]


def test_the_header_is_read_in_the_encoding_too() -> None:
    mapping = Mapping(**{**LINES, "columns": ()}, header=True, encoding="gbk", subscriber_field="号码")
    header = "号码,time,kind".encode("gbk")

    assert check(mapping, [line("漫游", "gbk")], header=header).batch.subscriber.tolist() == [861]


def test_a_line_s_length_is_that_of_the_bytes_that_came() -> None:
    mapping: dict[str, Any] = {**LINES, "line_bytes_max": 64}
    short, long = line("ü" * 39, "latin-1"), line("ü" * 40, "latin-1")

    assert (len(short), len(long)) == (64, 65)
    assert code_of(short, **mapping, encoding="latin-1") == "event"
    assert code_of(long, **mapping, encoding="latin-1") == "line_too_long"
    of_four_bytes = "\x80" * 11
    assert len(line(of_four_bytes, "gb18030")) > 64 > len(line(of_four_bytes, "utf-8"))
    assert code_of(line(of_four_bytes, "gb18030"), **mapping, encoding="gb18030") == "line_too_long"


def test_an_encoding_that_is_not_read_is_told() -> None:
    with pytest.raises(ValidationError, match="should be 'utf-8', 'utf-16', 'gb18030'"):
        Mapping.model_validate({"encoding": "utf-7"})


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"861,2008-11-04T09:00:00Z,a,\xff", "event"),
        (b'861,2008-11-04T09:00:00Z,a,"\xff,\xfe"', "event"),
        (b"861,2008-11-04T09:00:00Z,\xff,b", "invalid_utf8 kind"),
        (b"861,2008\xff,a,b", "invalid_utf8 time"),
        (b"86\xed\xa0\x80,2008-11-04T09:00:00Z,a,b", "invalid_utf8 msisdn"),
        (b"861,2008-11-04T09:00:00Z,a,\xff,b", "column_count"),
    ],
)
def test_bytes_of_no_letter_may_be_ignored_where_nothing_reads_them(raw: bytes, expected: str) -> None:
    mapping = {**LINES, "columns": ("msisdn", "time", "kind", "remark")}

    assert code_of(raw, **mapping, ignore_unread_bytes=True) == expected
    assert code_of(raw, **mapping) == "invalid_utf8"


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(get_args(Encoding)), st.booleans())
def test_the_scanner_agrees_with_the_strict_path_in_every_encoding(
    data: st.DataObject, encoding: Any, delimited: bool
) -> None:
    pieces = st.one_of(st.binary(max_size=6), st.text(max_size=4).map(lambda text: text.encode(encoding, "ignore")))
    texts = [data.draw(pieces).replace(b"\n", b"") for _ in range(5)]
    head = b"861,2008-11-04T09:00:00Z," if delimited else b'{"type":"call",%s,"kind":"' % HEAD
    lines = [head + text + (b"" if delimited else b'"}') for text in texts]
    lenient = len(texts[0]) % 2 == 0
    settings = {**LINES, "ignore_unread_bytes": lenient} if delimited else {}
    mapping = Mapping(**settings, encoding=encoding)

    check(mapping, lines)
    unended = chunk_of(b"\n".join(lines))
    fast = Decoder(mapping, SCHEMA).decode(unended, AT_MS_MAX)
    strict = decode_strictly(Decoder(mapping, SCHEMA).plan, unended, AT_MS_MAX)
    assert (fast.offsets.tolist(), fast.dead, fast.lines) == (strict.offsets.tolist(), strict.dead, strict.lines)


SIGNS = ("||", "|~|", ";;;", "=>")


@pytest.mark.parametrize("delimiter", SIGNS)
def test_values_may_stand_between_several_signs(delimiter: str) -> None:
    mapping = Mapping(**LINES, delimiter=delimiter)
    good = delimiter.join(("861", " 2008-11-04T09:00:00Z ", "a" + delimiter[0] + "b")).encode()
    quoted = delimiter.join(("861", "2008-11-04T09:00:00Z", f'"a{delimiter}b"')).encode()

    decoded = check(mapping, [good, quoted, good])

    texts = {text.decode() for _, text in decoded.batch.texts.pairs()}
    assert texts == {f"a{delimiter[0]}b", f"a{delimiter}b"}
    assert (decoded.slow, decoded.offsets.tolist()) == (1, [0, len(good) + 1, len(good) + len(quoted) + 2])
    short = Mapping(**LINES, delimiter=delimiter, line_bytes_max=64)
    assert [letter.code for letter in check(short, [good + b"x" * (65 - len(good))]).dead] == [Code.LINE_TOO_LONG]


@pytest.mark.parametrize("delimiter", ["", "|" * 9, "| ", "|\t", "a|", '"|', "||\n", "、、"])
def test_a_delimiter_that_cannot_be_is_told(delimiter: str) -> None:
    with pytest.raises(ValidationError, match="delimiter="):
        Mapping(**LINES, delimiter=delimiter)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from([*SIGNS, "|", ";", '"', "\x1f", "a", " ", "é", "861", "2008-11-04T09:00:00Z"]), max_size=9
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(SIGNS),
    st.booleans(),
    st.sampled_from(["utf-8", "gbk"]),
)
def test_the_scanner_agrees_with_the_strict_path_on_whatever_stands_between_the_signs(
    pieces: list[list[str]], delimiter: str, quotes: bool, encoding: Any
) -> None:
    mapping = Mapping(**LINES, delimiter=delimiter, quotes=quotes, encoding=encoding)
    head = f"861{delimiter}2008-11-04T09:00:00Z{delimiter}"

    check(
        mapping,
        [
            ("".join(some) if number % 2 else head + "".join(some)).encode(encoding, "ignore")
            for number, some in enumerate(pieces)
        ],
    )
