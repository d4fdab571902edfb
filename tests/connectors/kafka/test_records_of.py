"""Raw records become chunks of whole lines, and a row is known by the offset of its record."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.kafka.client import records_of
from connectors.sources.kafka.config import RawConfig

SINGLE = RawConfig(name="s", topic="raw")
BLOCKS = RawConfig(name="b", topic="raw", blocks=True)


def records(values, first=100, step=1):
    return [SimpleNamespace(offset=first + step * number, value=value) for number, value in enumerate(values)]


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=20), st.integers(1, 3))
def test_a_place_in_the_chunk_names_its_record(values, step):
    made = records_of(BLOCKS, 2, records(values, step=step), 0)

    places = [made.place_of(place) for place in range(made.chunk.length)]
    expected = [(100 + step * number, place) for number, value in enumerate(values) for place in range(len(value) + 1)]
    assert places == expected
    assert made.record_of(np.arange(made.chunk.length)).tolist() == [offset for offset, _ in expected]
    assert bytes(made.chunk.data[: made.chunk.length]) == b"".join(value + b"\n" for value in values)


def test_a_single_event_is_one_line_however_it_is_written():
    made = records_of(SINGLE, 2, records([b'{\n"a": 1,\r\n"b": 2\n}', b'{"c": 3}']), 5)

    assert bytes(made.chunk.data[: made.chunk.length]) == b'{ "a": 1,  "b": 2 }\n{"c": 3}\n'
    assert (made.chunk.key, made.chunk.end, made.chunk.received_ns) == ("raw/2", 102, 5)


def test_a_tombstone_holds_no_event():
    made = records_of(SINGLE, 0, records([None, b"{}"]), 0)

    assert bytes(made.chunk.data[: made.chunk.length]) == b"\n{}\n"
