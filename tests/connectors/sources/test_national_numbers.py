"""A feed may write numbers as they are dialled at home: both paths read the same subscriber."""

import pytest

from connectors.sources.decoder import Decoder
from connectors.sources.mapping import Mapping
from state.numbers import CHINA, NO_PLAN, NumberPlan
from tests.connectors.sources.decoding import SCHEMA, check

WRITTEN = """
8613800000001|13800000001|"13800000001"|"+13800000001"|"013800000001"|"+86 138 0000 0001"|"0086-138-0000-0001"
"１３８００００ ０００１"|"+86013800000001"|86013800000001|12345678901|1380000000|138000000011|"8613800000001"
"02112345678"|491512345678|15112345678|1501234567|15012345678|1|12|999999999999999|9999999999999999|"+861380000"
true|1.5|[]|"１"|"-1"|"abc"|"\\ud800"|"138\\u00300000001"
"""


@pytest.mark.parametrize("written", WRITTEN.replace("\n", "|").strip("|").split("|"))
@pytest.mark.parametrize("numbers", [NO_PLAN, CHINA, NumberPlan("49", {"15": 11, "150": 10, "17": 10})])
def test_a_number_of_any_form_is_the_same_subscriber_in_both_paths(numbers: NumberPlan, written: str) -> None:
    line = f'{{"type":"call","msisdn":{written},"time":"2008-11-04T09:00:00Z","kind":"a"}}'
    check(Mapping(), [line.encode()], Decoder(Mapping(), SCHEMA, numbers))
    bare = written.strip('"')
    columns = Mapping(format="delimited", type="call", columns=("msisdn", "time", "kind"))
    check(columns, [f"{bare},2008-11-04T09:00:00Z,a".encode()], Decoder(columns, SCHEMA, numbers))


def test_a_national_number_is_read_without_the_strict_path() -> None:
    lines = [
        b'{"type":"call","msisdn":%b,"time":"2008-11-04T09:00:00Z","kind":"a"}' % number
        for number in (b"13800000001", b'"13800000001"', b"8613800000001")
    ]
    decoded = check(Mapping(), lines, Decoder(Mapping(), SCHEMA, CHINA))

    assert (decoded.batch.subscriber.tolist(), decoded.slow) == ([8613800000001] * 3, 0)
