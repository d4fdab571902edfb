"""The decoder says of every line what the strict path says, and gives each fault its code."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from connectors.sources.contract import chunk_of
from connectors.sources.dead_letter import Code
from connectors.sources.decoder import Decoder
from connectors.sources.mapping import Mapping
from tests.connectors.sources.decoding import (
    AT_MS_MAX,
    COLUMNS,
    DELIMITED,
    HEAD,
    SCHEMA,
    check,
    code_of,
    delimited,
    rows,
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"type":"call",%s,"kind":"local"}' % HEAD, "event"),
        (b'{"kind":"local",%s,"type":"call"}' % HEAD, "event"),
        (b' { "type" : "call" , %s , "kind" : "local" } ' % HEAD, "event"),
        (b'{"type":"call",%s,"kind":"local","extra":{"a":[1,{"b":2}]}}' % HEAD, "event"),
        (b'{"type":"call",%s,"kind":"local","extra":1,"extra":2}' % HEAD, "event"),
        (b'{"type":"call",%s,"kind":"local","seconds":null}' % HEAD, "event"),
        (b'{"type":"call","msisdn":"+8613800000001","time":"2008-11-04 01:00:00Z","kind":""}', "event"),
        (b'\xef\xbb\xbf{"type":"call",%s,"kind":"local"}' % HEAD, "event"),
        (b'{"type":"profile",%s,"services":["12593","unheard of"]}' % HEAD, "event"),
        (b'{"type":"call",%s}' % HEAD, "missing_field kind"),
        (b'{"type":"call",%s,"kind":null}' % HEAD, "missing_field kind"),
        (b'{"type":"call",%s,"kind":"a","seconds":"5"}' % HEAD, "wrong_type seconds"),
        (b'{"type":"call",%s,"kind":"a","seconds":5.0}' % HEAD, "wrong_type seconds"),
        (b'{"type":"call",%s,"kind":"a","seconds":true}' % HEAD, "wrong_type seconds"),
        (b'{"type":"call",%s,"kind":["a"]}' % HEAD, "wrong_type kind"),
        (b'{"type":"call",%s,"kind":"a","seconds":9223372036854775808}' % HEAD, "out_of_range seconds"),
        (b'{"type":"call",%s,"kind":"a","fee":1e999}' % HEAD, "out_of_range"),
        (b'{"type":"call",%s,"kind":"a","ended_at":"soon"}' % HEAD, "bad_time ended_at"),
        (b'{"type":"call",%s,"kind":"a","kind":"a"}' % HEAD, "duplicate_key kind"),
        (b'{"type":"call","type":"call",%s,"kind":"a"}' % HEAD, "duplicate_key type"),
        (b'{"type":"fax",%s}' % HEAD, "unknown_type type"),
        (b'{"type":"outcome",%s}' % HEAD, "unknown_type type"),
        (b"{%s}" % HEAD, "missing_type type"),
        (b'{"type":"call","time":"2008-11-04T09:00:00Z","kind":"a"}', "missing_subscriber msisdn"),
        (b'{"type":"call","msisdn":0,"time":"2008-11-04T09:00:00Z","kind":"a"}', "bad_subscriber msisdn"),
        (b'{"type":"call","msisdn":-5,"time":"2008-11-04T09:00:00Z","kind":"a"}', "bad_subscriber msisdn"),
        (
            b'{"type":"call","msisdn":1234567890123456,"time":"2008-11-04T09:00:00Z","kind":"a"}',
            "bad_subscriber msisdn",
        ),
        (b'{"type":"call","msisdn":"0571","time":"2008-11-04T09:00:00Z","kind":"a"}', "bad_subscriber msisdn"),
        (b'{"type":"call","msisdn":"","time":"2008-11-04T09:00:00Z","kind":"a"}', "bad_subscriber msisdn"),
        (b'{"type":"call","msisdn":"+","time":"2008-11-04T09:00:00Z","kind":"a"}', "bad_subscriber msisdn"),
        (b'{"type":"call","msisdn":1,"kind":"a"}', "missing_time time"),
        (b'{"type":"call","msisdn":1,"time":"2008-02-30T09:00:00Z","kind":"a"}', "bad_time time"),
        (b'{"type":"call","msisdn":1,"time":"2008-11-04T09:00:00","kind":"a"}', "bad_time time"),
        (b'{"type":"call","msisdn":1,"time":"2008-11-04T24:00:00Z","kind":"a"}', "bad_time time"),
        (b'{"type":"call","msisdn":1,"time":1225760400,"kind":"a"}', "bad_time time"),
        (b'{"type":"call","msisdn":1,"time":"1999-12-31T23:59:59Z","kind":"a"}', "time_out_of_range time"),
        (b'{"type":"call","msisdn":1,"time":"2999-12-31T23:59:59Z","kind":"a"}', "time_out_of_range time"),
        (b'{"type":"call",%s,"kind":"a","id":1.5}' % HEAD, "bad_id id"),
        (b'{"type":"call",%s,"kind":"a"} {}' % HEAD, "bad_syntax"),
        (b'{"type":"call",%s,"kind":"a"' % HEAD, "bad_syntax"),
        (b'{"type":"call",%s,"kind":"a",}' % HEAD, "bad_syntax"),
        (b'{"type":"call",%s,"kind":"a","seconds":01}' % HEAD, "bad_syntax"),
        (b'{"type":"call",%s,"kind":"a","seconds":5.}' % HEAD, "bad_syntax"),
        (b'{"type":"call",%s,"kind":"a\tb"}' % HEAD, "bad_syntax"),
        (b'{"type":"call",%s,"kind":"\\ud800"}' % HEAD, "bad_syntax"),
        (b'{"type":"call",%s,"kind":"a\xff"}' % HEAD, "invalid_utf8"),
        (b'{"type":"call",%s,"kind":"a","extra":"\xed\xa0\x80"}' % HEAD, "invalid_utf8"),
        (b"[1]", "not_an_object"),
        (b"[" * 3000 + b"]" * 3000, "too_deep"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "too_deep"),
        (b"x" * 100_000, "line_too_long"),
    ],
)
def test_every_fault_has_its_code(line: bytes, expected: str) -> None:
    assert code_of(line) == expected


@pytest.mark.parametrize(
    ("time_format", "time", "at_ms"),
    [
        ("iso8601", '"2008-11-04T09:00:00+08:00"', 1225760400000),
        ("iso8601", '"2008-11-04T09:00:00.123456789+08:00"', 1225760400123),
        ("iso8601", '"2008-11-04T01:00:00Z"', 1225760400000),
        ("iso8601", '"2008-11-04T01:00Z"', 1225760400000),
        ("iso8601", '"2008-11-03T20:30:00.5-0430"', 1225760400500),
        ("iso8601", '"2008-02-29T00:00:00-00:00"', 1204243200000),
        ("compact", '"20081104090000+08:00"', 1225760400000),
        ("epoch_ms", "1225760400000", 1225760400000),
        ("epoch_ms", '"1225760400000"', 1225760400000),
        ("epoch_s", "1225760400", 1225760400000),
        ("epoch_s", "1225760400.25", 1225760400250),
        ("epoch_s", '"1225760400.0019"', 1225760400001),
    ],
)
def test_a_time_means_the_same_however_it_is_written(time_format: Any, time: str, at_ms: int) -> None:
    line = f'{{"type":"call","msisdn":1,"time":{time},"kind":"a"}}'.encode()

    assert check(Mapping(time_format=time_format), [line, line]).batch.at_ms.tolist() == [at_ms, at_ms]


def test_a_time_without_a_zone_is_read_in_the_source_s_own() -> None:
    line = b'{"type":"call","msisdn":1,"time":"2008-11-04T09:00:00","kind":"a"}'

    assert check(Mapping(time_offset="+08:00"), [line]).batch.at_ms.tolist() == [1225760400000]


def test_dead_letters_name_line_and_position_and_blank_lines_are_none() -> None:
    good = b'{"type":"call",%s,"kind":"a"}' % HEAD
    decoded = check(Mapping(), [good, b"", b"bad", b" \t\r", good + b"\r", b"worse"])

    assert [(letter.line, letter.offset, letter.raw) for letter in decoded.dead] == [
        (3, len(good) + 2, b"bad"),
        (6, 2 * len(good) + 12, b"worse"),
    ]
    assert decoded.lines == 4
    assert decoded.offsets.tolist() == [0, len(good) + 10]


def test_a_feed_s_own_names_become_the_book_s() -> None:
    mapping = Mapping(
        type_field="evt",
        subscriber_field="calling",
        time_field="ts",
        time_format="epoch_s",
        id_field="",
        types={"MOC": "call", "GPRS": "data"},
        rename={"dur": "seconds", "call": {"svc": "kind"}, "data": {"volume": "bytes_received_over_the_air"}},
    )
    batch = check(
        mapping,
        [
            b'{"evt":"MOC","calling":"8613800000001","ts":1225760400,"svc":"local","dur":61,"id":{}}',
            b'{"evt":"GPRS","calling":"8613800000001","ts":1225760400,"volume":77}',
        ],
    ).batch

    assert [SCHEMA.types[code].name for code in batch.type] == ["call", "data"]
    assert batch.cells[1, 0] == 61
    assert batch.cells[0, 1] == 77


def test_every_chunk_brings_each_of_its_texts_once() -> None:
    decoder = Decoder(Mapping(), SCHEMA)
    for different in (20_000, 3, 20_000):
        lines = b"".join(b'{"type":"call",%s,"kind":"k%d"}\n' % (HEAD, number % different) for number in range(40_000))
        decoded = decoder.decode(chunk_of(lines), AT_MS_MAX)

        brought = sorted(text for _, text in decoded.batch.texts.pairs())
        assert brought == sorted(b"k%d" % number for number in range(different))
        assert decoded.slow == 0


def test_keys_that_the_book_does_not_know_do_not_stay_slow() -> None:
    decoder = Decoder(Mapping(), SCHEMA)
    lines = [
        b'{"type":"call","zone":%d,%s,"cell":"x","kind":"a","more_of_a_very_long_name":1.5}' % (n, HEAD)
        for n in range(99)
    ]
    for _ in range(3):
        check(Mapping(), lines, decoder)

    assert decoder._scanner._word(224) == 0
    assert decoder._scanner._word(232) < 20


def test_decoders_in_several_threads_do_not_disturb_each_other() -> None:
    lines = [
        b'{"type":"call","id":%d,%s,"kind":"k%d","seconds":%d}' % (n, HEAD, n % 977, n) if n % 13 else b"broken %d" % n
        for n in range(20_000)
    ]
    chunk = chunk_of(b"\n".join(lines))
    expected = rows(Decoder(Mapping(), SCHEMA).decode(chunk, AT_MS_MAX))

    with ThreadPoolExecutor(4) as pool:
        decoders = [Decoder(Mapping(), SCHEMA) for _ in range(4)]
        found = list(pool.map(lambda decoder: rows(decoder.decode(chunk, AT_MS_MAX)), decoders))

    assert all(one == expected for one in found)


# --- delimited lines


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (delimited(), "event"),
        (delimited((5, b'"a ""quoted"", text"')), "event"),
        (delimited((4, b'"a, b"'), (6, b"+007"), (7, b".5"), (8, b"FALSE")), "event"),
        (delimited((3, b""), (6, b""), (7, b""), (8, b"")), "event"),
        (delimited() + b"\r", "event"),
        (delimited((9, b'"2008-11-04T01:00:00Z"')) + b"\r", "event"),
        (delimited((5, "漫游".encode())), "event"),
        (delimited((5, b"")), "missing_field kind"),
        (delimited((6, b"6.1")), "wrong_type seconds"),
        (delimited((6, b" 61")), "wrong_type seconds"),
        (delimited((6, b"9223372036854775808")), "out_of_range seconds"),
        (delimited((7, b"1e999")), "out_of_range fee"),
        (delimited((8, b"yes")), "wrong_type paid"),
        (delimited((9, b"2008-11-31 09:00:00")), "bad_time ended_at"),
        (delimited((0, b"")), "missing_type type"),
        (delimited((0, b"fax")), "unknown_type type"),
        (delimited((1, b"")), "missing_subscriber msisdn"),
        (delimited((1, b"0571")), "bad_subscriber msisdn"),
        (delimited((2, b"")), "missing_time time"),
        (delimited((2, b"1998-11-04 09:00:00")), "time_out_of_range time"),
        (delimited((4, b"\xff")), "invalid_utf8"),
        (delimited((5, b'a"b')), "bad_syntax"),
        (delimited((5, b'"a"b')), "bad_syntax"),
        (delimited((9, b'"open')), "bad_syntax"),
        (delimited() + b",", "column_count"),
        (b"call", "column_count"),
    ],
)
def test_every_fault_of_a_delimited_line_has_its_code(line: bytes, expected: str) -> None:
    assert code_of(line, **DELIMITED, columns=COLUMNS) == expected


def test_columns_are_named_by_the_header_and_may_change_from_file_to_file() -> None:
    mapping = Mapping(format="delimited", header=True, type="call", delimiter="|", set_delimiter=";")
    decoder = Decoder(mapping, SCHEMA)
    first = check(mapping, [b"861|2008-11-04T09:00:00Z|local|5"] * 3, decoder, b"msisdn|time|kind|seconds\r")
    second = check(mapping, [b"7|x|roam|862|2008-11-04T09:00:00Z"] * 3, decoder, b"seconds|?|kind|msisdn|time")
    twice = check(mapping, [b"7|x|roam|862|2008-11-04T09:00:00Z"], decoder, b"seconds|kind|kind|msisdn|time")

    assert (first.batch.subscriber.tolist(), first.batch.cells[1].tolist(), first.slow) == ([861] * 3, [5] * 3, 0)
    assert (second.batch.subscriber.tolist(), second.batch.cells[1].tolist(), second.slow) == ([862] * 3, [7] * 3, 0)
    assert [letter.code for letter in twice.dead] == [Code.DUPLICATE_KEY]


def test_a_set_is_written_with_its_own_delimiter() -> None:
    mapping = Mapping(format="delimited", type="profile", columns=("msisdn", "time", "services"))
    lines = [
        b"1,2008-11-04T09:00:00Z,12593|mms",
        "1,2008-11-04T09:00:00Z,|炫铃||none".encode(),
        b"1,2008-11-04T09:00:00Z,",
    ]

    batch = check(mapping, lines).batch

    assert batch.cells[1].tolist() == [3, 4, 0]
    assert batch.present.tolist() == [2, 2, 0]


def test_codes_are_for_ever() -> None:
    assert [str(code) for code in Code] == [
        "line_too_long", "invalid_utf8", "bad_syntax", "not_an_object", "too_deep", "duplicate_key", "column_count",
        "missing_type", "unknown_type", "missing_subscriber", "bad_subscriber", "missing_time", "bad_time",
        "time_out_of_range", "bad_id", "missing_field", "wrong_type", "out_of_range", "not_a_frame", "not_a_record",
        "unknown_list", "batch_unreadable",
    ]  # fmt: skip
