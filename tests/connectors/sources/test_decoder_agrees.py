"""The scanner and the strict path agree on hostile lines: drawn one slip away from good, or broken by dice.

Which code a fault has is said in `test_decoder`; here both ways need only say the same.
"""

import random
from typing import Any

import orjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.sources.decoder import Decoder
from connectors.sources.mapping import Mapping
from tests.connectors.sources.decoding import COLUMNS, NULLS, ROW, SCHEMA, check

NAMES = [
    "type",
    "msisdn",
    "time",
    "id",
    "kind",
    "seconds",
    "fee",
    "paid",
    "ended_at",
    "name",
    "services",
    "tags",
    "apn",
    "x",
]
NAMES += ["bytes_received_over_the_air", "a key of more than sixteen bytes", "名字", 'q"', "\\", ""]
TEXTS = st.one_of(
    st.sampled_from(
        ["call", "data", "profile", "list", "local", "", "2008-11-04T09:00:00.001+08:00", "+8613800000001"]
    ),
    st.sampled_from(
        [
            "8613800000001",
            "NULL",
            "-",
            "861",
            "炫铃",
            "12593",
            "\x00",
            "\x7f",
            "é" * 20,
            "a" * 40,
            '"',
            "\\",
            "\n",
            "😀",
        ]
    ),
    st.text(max_size=20),
)
NUMBERS = st.one_of(
    st.sampled_from(["0", "-0", "-0.0", "0.0", "1e5", "1E-7", "01", "-", "1.", ".5", "+1", "1_0", "NaN", "Infinity"]),
    st.sampled_from(["9223372036854775807", "9223372036854775808", "-9223372036854775808", "99999999999999999999"]),
    st.sampled_from(["8613800000001", "999999999999999", "1000000000000000", "123456789012345678", "1e400", "5e-324"]),
    st.integers(-(1 << 70), 1 << 70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(-(10**6), 10**6, allow_nan=False, places=3).map(str),
)
VALUES = st.recursive(
    st.one_of(TEXTS.map(lambda text: orjson.dumps(text, default=str).decode()), NUMBERS,
              st.sampled_from(["true", "false", "null", "tru", "nulll", '"\\u0041"', '"', "", "{}", "[]"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]"),
        st.lists(inner, max_size=2).map(lambda items: "[" + ", ".join(items) + " ]"),
        inner.map(lambda item: '{"kind":' + item + "}"),
    ),
    max_leaves=4,
)  # fmt: skip
GOOD = {
    "type": st.sampled_from(['"call"', '"data"', '"profile"']),
    "msisdn": st.one_of(st.integers(1, 10**15 - 1).map(str), st.integers(1, 10**15 - 1).map(lambda n: f'"+{n}"')),
    "time": st.sampled_from(
        ['"2008-11-04T09:00:00.001+08:00"', '"2012-02-29T23:59:59Z"', '"2008-11-05 09:00:00-03:30"']
    ),
    "id": st.one_of(st.integers(0, 1 << 60).map(str), st.just('"abc-1"'), st.just('""')),
    "kind": st.sampled_from(['"local"', '"long_distance_of_a_long_name"', '"漫游"']),
    "seconds": st.one_of(
        st.integers(-(10**18) + 1, 10**18 - 1).map(str), st.integers(-(10**19), 10**19).map(lambda n: f'"{n:04}"')
    ),
    "fee": st.decimals(-(10**9), 10**9, allow_nan=False, places=4).map(str),
    "paid": st.sampled_from(["true", "false", '"true"', '"FALSE"', '"0"', '"x"']),
    "ended_at": st.just('"2008-11-04T09:00:00+08:00"'),
    "services": st.sampled_from(['["12593"]', '["12593","mms","炫铃"]', "[]", '["none"]']),
    "tags": st.sampled_from(['["t0"]', '["t61","t62"]', "[]", '["t129", "t124","t0","none"]', "null"]),
    "bytes_received_over_the_air": st.integers(0, 10**9).map(str),
    "extra": st.sampled_from(["1", '"x"', "true", "null", "2.5", "-3"]),
}


@st.composite
def json_lines(draw: st.DrawFn) -> bytes:
    """Lines from good to hopeless: most are one slip away from good."""
    names = draw(st.permutations(sorted(GOOD))) if draw(st.booleans()) else list(GOOD)
    pairs = [
        (name, draw(GOOD[name])) for name in names if name in {"type", "msisdn", "time", "kind"} or draw(st.booleans())
    ]
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(pairs)))
        pairs[place : place + draw(st.integers(0, 1))] = [(draw(st.sampled_from(NAMES)), draw(VALUES))]
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (",", " :"), (" ,", ":  ")]))
    text = comma.join(orjson.dumps(name).decode() + colon + value for name, value in pairs)
    line = bytearray(("{" + text + "}").encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(line) - 1))
        line[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(line).replace(b"\n", b"") + draw(st.sampled_from([b"", b"", b"\r", b" ", b"\r\r"]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(json_lines(), min_size=1, max_size=12), st.sampled_from(["iso8601", "compact", "epoch_ms", "epoch_s"]))
@example([b'{"type":"call"'], "iso8601")
def test_the_scanner_agrees_with_the_strict_path_on_json(lines: list[bytes], time_format: Any) -> None:
    null_words = NULLS if len(lines) % 2 else ()
    time_format = time_format if len(lines) % 3 == 0 else "iso8601"
    check(Mapping(time_format=time_format, null_words=null_words, numbers_in_quotes=len(lines) % 4 > 1), lines)


def test_a_seeded_storm_of_broken_lines_is_counted_to_the_last() -> None:
    dice = random.Random(3)
    good = [
        b'{"type":"call","id":%d,"msisdn":86138%08d,"time":"2008-11-04T09:%02d:%02d.%03d+08:00","kind":"local","seconds":%d,'
        b'"fee":%d.%02d,"paid":true}' % (n, n, n % 60, n % 60, n % 1000, n, n, n % 100)
        for n in range(200)
    ]
    decoder = Decoder(Mapping(), SCHEMA)
    accepted = 0
    for _ in range(6):
        lines = []
        for _ in range(400):
            line = bytearray(dice.choice(good))
            for _ in range(dice.choice((0, 1, 1, 2, 5))):
                place = dice.randrange(len(line))
                what = dice.randrange(4)
                if what == 0:
                    line[place] = dice.randrange(256)
                elif what == 1:
                    del line[place : place + dice.randrange(20)]
                elif what == 2:
                    line[place:place] = line[dice.randrange(len(line)) :][: dice.randrange(30)]
                else:
                    line[place] = dice.choice(b'"{}[],:\\0123456789.-+eE tfn\x00\x80\xff')
                line = line or bytearray(b"x")
            lines.append(bytes(line).replace(b"\n", b" "))
        accepted += check(Mapping(), lines, decoder).batch.n

    assert 600 < accepted < 2000


PIECES = st.one_of(
    st.sampled_from(ROW),
    st.sampled_from(
        [b"", b'""', b'"a"', b'"a""b"', b'"a,b"', b'a"', b"+5", b"-0", b"00", b"1e5", b"5.", b".5", b"TRUE"]
    ),
    st.sampled_from(
        [b"data", b"profile", b"0", b"1", b"2008-11-04T09:00:00.5+08:00", "漫游".encode(), b"\xed\xa0\x80"]
    ),
    st.sampled_from([b"999999999999999", b"9999999999999999", b"+86138", b"123456789012345678", b"\r", b"\x00", b" "]),
    st.sampled_from([b"NULL", b"-", b"\\N", b"861", b'"NULL"']),
    st.binary(max_size=9),
    st.integers(-(10**20), 10**20).map(lambda number: str(number).encode()),
)


PADDING = st.sampled_from([b"", b"", b"", b" ", b"\t", b"  "])


@st.composite
def delimited_lines(draw: st.DrawFn, delimiter: bytes) -> bytes:
    row = list(ROW)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(row) - 1))
        row[place : place + draw(st.sampled_from([1, 1, 1, 1, 0, 2]))] = [draw(PADDING) + draw(PIECES) + draw(PADDING)]
    quoted = draw(st.booleans())
    return delimiter.join(b'"%s"' % value if quoted and draw(st.booleans()) else value for value in row).replace(
        b"\n", b""
    ) + draw(st.sampled_from([b"", b"", b"\r", b"\r\r", delimiter]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from([",", "|", "\t", ";", "+", "-", "."]), st.booleans())
def test_the_scanner_agrees_with_the_strict_path_on_delimited_lines(
    data: st.DataObject, delimiter: str, offset: bool
) -> None:
    lines = data.draw(st.lists(delimited_lines(delimiter.encode()), min_size=1, max_size=12))
    time_offset = "+08:00" if offset else ""
    settings: Any = {"columns": COLUMNS, "delimiter": delimiter, "time_offset": time_offset}
    settings["quotes"] = len(lines) % 4 > 1
    check(Mapping(format="delimited", null_words=NULLS if len(lines) % 2 else (), **settings), lines)
