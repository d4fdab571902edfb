"""The decoder says of every line what the strict path says, whatever the line."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.sources.contract import chunk_of
from connectors.sources.dead_letter import Code
from connectors.sources.decoder import Decoder
from connectors.sources.mapping import Mapping
from tests.connectors.sources.decoding import (
    AT_MS_MAX,
    COLUMNS,
    DELIMITED,
    HEAD,
    NULLS,
    ROW,
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
        (b'{"type":"call",%s,"kind":"a","fee":1e999}' % HEAD, "out_of_range fee"),
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
        (delimited((6, b" 61")), "event"),
        (delimited((0, b" call\t"), (1, b"  8613800000001"), (2, b"2008-11-04 09:00:00 "), (8, b"true  ")), "event"),
        (delimited((5, b' "local" ')), "event"),
        (delimited((5, b" ")), "missing_field kind"),
        (delimited((6, b'" 61"'), (7, b'" "'), (8, b'"true "')), "event"),
        (delimited((6, b"6 1")), "wrong_type seconds"),
        (delimited((5, b'" "x')), "bad_syntax"),
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


def test_blanks_that_pad_a_column_are_none_of_its_value() -> None:
    mapping = Mapping(format="delimited", columns=COLUMNS, delimiter="|", time_offset="+08:00")
    padding = [b"", b" ", b"  \t ", b"\t"]
    lines = [b"|".join(before + value + after for value in ROW) for before in padding for after in padding]
    decoded = check(mapping, lines)

    first, *others = [(row[:5], row[6]) for row in rows(decoded)]
    assert others == [first] * 15
    assert (decoded.slow, {text for _, text in decoded.batch.texts.pairs()}) == (0, {b"local"})


def test_blanks_inside_quotes_are_the_value_s_own() -> None:
    mapping = Mapping(format="delimited", columns=COLUMNS, time_offset="+08:00")
    decoded = check(mapping, [delimited((5, b'" a "')), delimited((5, b' " a " '))])

    assert {text for _, text in decoded.batch.texts.pairs()} == {b" a "}
    assert decoded.slow == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (delimited((3, b"-"), (6, b" NULL "), (7, b"\\N"), (8, b'"-"'), (9, b"NULL")), "event"),
        (delimited((6, b"null")), "wrong_type seconds"),
        (delimited((5, b"NULL")), "missing_field kind"),
        (delimited((0, b"-")), "missing_type type"),
        (delimited((1, b"861")), "missing_subscriber msisdn"),
        (delimited((2, b"\\N")), "missing_time time"),
    ],
)
def test_null_words_mean_no_value_in_every_column(line: bytes, expected: str) -> None:
    assert code_of(line, **DELIMITED, columns=COLUMNS, null_words=NULLS) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            b'{"type":"call",%s,"kind":"a","seconds":"NULL","paid":"-","ended_at":"\\\\N","id":"-","x":"-"}' % HEAD,
            "event",
        ),
        (b'{"type":"call",%s,"kind":"NULL"}' % HEAD, "missing_field kind"),
        (b'{"type":"call",%s,"kind":"a","kind":"-"}' % HEAD, "duplicate_key kind"),
        (b'{"type":"NULL",%s,"kind":"a"}' % HEAD, "missing_type type"),
        (b'{"type":"call","msisdn":"861","time":"2008-11-04T09:00:00Z","kind":"a"}', "missing_subscriber msisdn"),
        (b'{"type":"call","msisdn":861,"time":"2008-11-04T09:00:00Z","kind":"a"}', "event"),
        (b'{"type":"profile",%s,"services":["-"]}' % HEAD, "event"),
    ],
)
def test_null_words_mean_no_value_in_every_member(line: bytes, expected: str) -> None:
    assert code_of(line, null_words=NULLS) == expected


def test_lines_with_null_words_are_still_read_fast() -> None:
    lines = [b'{"type":"call",%s,"kind":"a","seconds":"-","id":"NULL"}' % HEAD]
    rows_ = [delimited((3, b"-"), (6, b"NULL"), (9, b"-"))]

    assert check(Mapping(null_words=NULLS), lines * 9).slow == 0
    assert check(Mapping(**DELIMITED, columns=COLUMNS, null_words=NULLS), rows_ * 9).slow == 0


def test_a_quote_is_a_letter_where_the_mapping_has_no_quotes() -> None:
    mapping = Mapping(**DELIMITED, columns=COLUMNS, quotes=False)
    lines = [delimited((5, text)) for text in (b'a"b', b'"a', b'"a"', b' "a" ')]
    decoded = check(mapping, lines)

    assert {text for _, text in decoded.batch.texts.pairs()} == {b'a"b', b'"a', b'"a"'}
    assert decoded.slow == 0
    assert code_of(delimited((4, b'"a, b"')), **DELIMITED, columns=COLUMNS, quotes=False) == "column_count"


def test_numbers_in_quotes_are_read_where_the_mapping_has_them() -> None:
    line = b'{"type":"call",%s,"kind":"007","seconds":"0061","fee":"1.50","paid":"True"}' % HEAD
    batch = check(Mapping(numbers_in_quotes=True), [line] * 3).batch
    plain = check(Mapping(), [line.replace(b'"0061"', b"61").replace(b'"1.50"', b"1.5").replace(b'"True"', b"true")])

    assert batch.cells[:, 0].tolist() == plain.batch.cells[:, 0].tolist()
    assert check(Mapping(numbers_in_quotes=True), [line] * 3).slow == 0
    assert code_of(line) == "wrong_type seconds"


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        (b'"seconds":" 61 "', "event"),
        (b'"seconds":61', "event"),
        (b'"seconds":""', "event"),
        (b'"seconds":null', "event"),
        (b'"seconds":"6.1"', "wrong_type seconds"),
        (b'"seconds":"x"', "wrong_type seconds"),
        (b'"seconds":"' + b"9" * 5000 + b'"', "out_of_range seconds"),
        (b'"fee":"1e999"', "out_of_range fee"),
        (b'"paid":"yes"', "wrong_type paid"),
        (b'"kind":5', "wrong_type kind"),
        (b'"services":"mms"', "event"),
        (b'"name":5', "event"),
    ],
)
def test_a_text_that_writes_no_number_is_a_dead_letter(member: bytes, expected: str) -> None:
    rest = b"" if b"kind" in member else b',"kind":"a"'
    assert code_of(b'{"type":"call",%s,%s%s}' % (HEAD, member, rest), numbers_in_quotes=True) == expected


def test_null_words_must_differ() -> None:
    with pytest.raises(ValidationError, match=r"null_words=\['-', '-'\] must differ"):
        Mapping(null_words=("-", "-"))


@pytest.mark.parametrize("number", [b"9" * 5000, b"-" + b"9" * 5000, b"9" * 5000 + b".5", b"1e5000", b"1" * 400])
def test_a_number_beyond_all_bounds_is_a_dead_letter_that_names_field_and_value(number: bytes) -> None:
    start = number[:200].decode()
    for place, name in ((6, "seconds"), (7, "fee"), (8, "paid"), (9, "ended_at"), (0, "type"), (1, "msisdn")):
        (dead,) = check(Mapping(**DELIMITED, columns=COLUMNS), [delimited((place, number))]).dead
        assert (dead.field, dead.value, bool(dead.reason)) == (name, start, True)
    good = {"msisdn": b"1", "time": b'"2008-11-04T09:00:00Z"', "kind": b'"a"'}
    for name in ("seconds", "fee", "paid", "kind", "ended_at", "msisdn", "time", "id"):
        values = {**good, name: number}
        line = b'{"type":"call",%s}' % b",".join(b'"%s":%s' % (key.encode(), value) for key, value in values.items())
        (dead,) = check(Mapping(), [line]).dead
        assert (dead.code, dead.field, dead.value, bool(dead.reason)) == (Code.OUT_OF_RANGE, name, start, True)


def test_a_whole_number_may_have_any_number_of_leading_zeros() -> None:
    line = delimited((6, b"-" + b"0" * 5000 + b"61"))

    assert check(Mapping(**DELIMITED, columns=COLUMNS), [line]).batch.cells[1].tolist() == [-61]


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
