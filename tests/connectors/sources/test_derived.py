"""Fields made of others: both decoders make the same, and nothing but a template can be written."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sources.decoder import Decoder
from connectors.sources.derived import DERIVED_MAX, template_of
from connectors.sources.mapping import Mapping, MappingError
from state.hashing import hash_text
from tests.connectors.sources.decoding import SCHEMA, check, code_of

DERIVED = {"kind": "{left(a, 3)}-{lower(right(b, 2))}", "seconds": "mid(n, 2, 3)"}
HEADS = {"type": "call", "msisdn": 8613800000001, "time": "2008-11-04T09:00:00+08:00"}
VALUES = st.sampled_from(
    ["abcdef", "炫铃ABC", "X", "", 'q"t', "-", " 12 ", "0123456", 12345, 1.5, True, None, -4, ["x"]]
)
PLAIN = st.sampled_from(["abcdef", "炫铃ABC", "X", "", '"q,t"', "-", " 12 ", "0123456", "12345"])
COLUMNS = ("type", "msisdn", "date", "clock", "a", "b", "n")


def kinds(decoded: Any) -> list[str]:
    told = dict(decoded.batch.texts.pairs())
    return [told[hashed].decode() for hashed in decoded.batch.cells[0].tolist()]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.permutations(["type", "msisdn", "time", "a", "b", "n", "kind"]), max_size=6), st.data())
def test_both_decoders_make_the_same_of_json(orders: list[list[str]], data: st.DataObject) -> None:
    mapping = Mapping(derived=DERIVED, null_words=("-",))
    lines = []
    for order in orders:
        record = {name: HEADS[name] if name in HEADS else data.draw(VALUES) for name in order}
        if data.draw(st.integers(0, 4)):
            del record["kind"]  # a line may not have what is derived
        lines.append(orjson.dumps(record))

    check(mapping, lines)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(PLAIN, PLAIN, PLAIN, st.sampled_from(["09:00:00", "", "x", "-"])), max_size=6))
def test_both_decoders_make_the_same_of_columns(rows: list[tuple[str, str, str, str]]) -> None:
    mapping = Mapping(
        format="delimited", columns=COLUMNS, time_offset="+08:00", null_words=("-",),
        derived={**DERIVED, "time": "{date} {clock}"},
    )  # fmt: skip

    check(mapping, [f"call,8613800000001,2008-11-04,{at},{a},{b},{n}".encode() for a, b, n, at in rows])


def test_a_derived_field_says_what_its_template_says() -> None:
    line = orjson.dumps({**HEADS, "a": "炫铃ABC", "b": "xYZ", "n": 12345})
    decoded = check(Mapping(derived=DERIVED), [line])

    assert kinds(decoded) == ["炫铃A-yz"]
    assert decoded.batch.cells[1].tolist() == [234]
    assert decoded.slow == 0


@pytest.mark.parametrize("head", ["msisdn", "time", "id"])
def test_subscriber_time_and_id_may_be_made_of_others(head: str) -> None:
    record: dict[str, Any] = {**HEADS, "kind": "local", "id": "a-1", "cc": 86, "rest": "13800000001", "d": "2008-11-04"}
    record |= {"t": "09:00:00+08:00", "x": "a", "y": 1}
    del record[head]
    derived = {"msisdn": "{cc}{rest}", "time": "{d}T{t}", "id": "{x}-{y}"}[head]
    decoded = check(Mapping(derived={head: derived}), [orjson.dumps(record)])

    assert decoded.batch.subscriber.tolist() == [8613800000001]
    assert decoded.batch.at_ms.tolist() == [1225760400000]
    assert decoded.batch.id.tolist() == [hash_text(b"a-1")]
    assert decoded.slow == 0


def test_more_than_fits_at_once_is_made_all_the_same() -> None:
    mapping = Mapping(derived={"kind": "{a}{a}{a}{a}"})
    lines = [orjson.dumps({**HEADS, "a": f"{number}" + "x" * 3000}) for number in range(300)]

    decoded = check(mapping, lines)

    assert [text[:4] for text in kinds(decoded)[10:12]] == ["10xx", "11xx"]
    assert decoded.slow == 0


def test_an_input_that_is_no_value_of_a_line_is_told() -> None:
    mapping = {"derived": {"kind": "left(a, 3)"}}

    assert code_of(orjson.dumps({**HEADS, "a": ["x"]}), **mapping) == "wrong_type a"
    assert code_of(orjson.dumps({**HEADS, "a": "x", "kind": "y"}), **mapping) == "duplicate_key kind"
    assert code_of(orjson.dumps(HEADS), **mapping) == "missing_field kind"
    assert code_of(orjson.dumps({**HEADS, "a": "x"})[:-1] + b',"a":"y"}', **mapping) == "duplicate_key a"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("left(imei)", "left must have 1 whole numbers >= 0 and <= 65536"),
        ("left(imei, -1)", "left must have 1 whole numbers"),
        ("left(imei, 99999)", "left must have 1 whole numbers"),
        ("mid(imei, 0, 2)", "mid counts letters from 1, first=0 must be >= 1"),
        ("upper(imei)", "'upper(imei)' is no name of a field"),
        ("__import__('os')", "is no name of a field"),
        ("{lac", "has a bracket at character 1 that is not closed"),
        ("lac}", "has a bracket at character 4 that was not opened"),
        ("{{lac}}", "names no field"),
        ("{}", "'' is no name of a field"),
        ("lower(lower(lower(lower(lower(x)))))", "has 5 functions around a name, must have <= 4"),
        ("{a}" * 17, "has 17 parts, must have <= 16"),
    ],
)
def test_a_template_that_cannot_be_is_refused_with_its_name(written: str, told: str) -> None:
    with pytest.raises(ValueError, match=r"derived\.cell=") as fault:
        template_of("cell", written)

    assert told in str(fault.value)


def test_settings_that_contradict_each_other_are_refused() -> None:
    for derived, told in (
        ({"type": "left(a, 1)"}, "derived.type is type_field"),
        ({"kind": "{seconds}", "seconds": "{a}"}, "derived.kind is made of 'seconds', which must not be derived"),
        ({f"f{number}": "{a}" for number in range(DERIVED_MAX + 1)}, "at most 32 items"),
    ):
        with pytest.raises(ValueError, match=told):
            Mapping(derived=derived)
    with pytest.raises(ValueError, match=r"derived\.a must not be one of columns"):
        Mapping(format="delimited", columns=("a",), derived={"a": "{b}"})
    with pytest.raises(MappingError, match="derived: no event type has a field 'cell'"):
        Decoder(Mapping(derived={"cell": "{lac}-{ci}"}), SCHEMA)
