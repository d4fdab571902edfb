"""Raw records become chunks of whole lines, and a row is known by the offset of its record."""

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka import BrokerError
from connectors.sources.contract import Records
from connectors.sources.kafka.client import records_of
from connectors.sources.kafka.config import RawConfig
from tests.connectors.kafka.record_batches import batch, laid, mark

SINGLE = RawConfig(name="s", topic="raw")
BLOCKS = RawConfig(name="b", topic="raw", blocks=True)
GZIP = 1

values_of = st.lists(st.one_of(st.none(), st.binary(max_size=200)), min_size=1, max_size=12)


def chunk(source: RawConfig, values: Sequence[bytes | None], first: int = 100, **words: Any) -> Records:
    (one,) = laid(batch(values, first, **words), first, single=not source.blocks)
    return records_of(source, 2, one, 5)


@given(st.lists(values_of, min_size=1, max_size=5), st.sampled_from([0, GZIP]), st.integers(1, 3), st.integers(0, 70))
def test_bytes_are_read_as_aiokafka_reads_them(
    batches: Sequence[Sequence[bytes | None]], codec: int, step: int, first: int
) -> None:
    data, base = b"", 7
    for values in batches:
        data += batch(values, base, codec=codec, step=step, key=b"k" * (base % 3), headers=[("h", b"v")])
        base += step * len(values)
    expected, records = [], MemoryRecords(data)
    while records.has_next():
        expected += [(one.offset, one.value or b"") for one in records.next_batch() if one.offset >= first]

    found = laid(data + data[:40], first)
    lines = [bytes(one.text[: one.length]) for one in found]

    assert b"".join(lines) == b"".join(value + b"\n" for _, value in expected)
    assert [offset for one in found for offset in one.offsets.tolist()] == [offset for offset, _ in expected]
    assert found[-1].next_offset >= base - step + 1


@given(values_of, st.integers(1, 3))
def test_a_place_in_the_chunk_names_its_record(values: Sequence[bytes | None], step: int) -> None:
    made = chunk(BLOCKS, values, step=step)

    places = [made.place_of(place) for place in range(made.chunk.length)]
    lengths = [len(value or b"") + 1 for value in values]
    expected = [(100 + step * number, place) for number, length in enumerate(lengths) for place in range(length)]
    assert places == expected
    assert made.record_of(made.starts).tolist() == made.offsets.tolist()


def test_a_single_event_is_one_line_however_it_is_written() -> None:
    made = chunk(SINGLE, [b'{\n"a": 1,\r\n"b": 2\n}', b'{"c": 3}'])

    assert bytes(made.chunk.data[: made.chunk.length]) == b'{ "a": 1,  "b": 2 }\n{"c": 3}\n'
    assert (made.chunk.key, made.chunk.end, made.chunk.received_ns) == ("raw/2", 102, 5)


def test_a_tombstone_holds_no_event() -> None:
    made = chunk(SINGLE, [None, b"{}"])

    assert bytes(made.chunk.data[: made.chunk.length]) == b"\n{}\n"


def test_pieces_end_with_the_batch_that_fills_them() -> None:
    data = b"".join(batch([b"x"] * 3, base) for base in range(0, 30, 3))

    assert [one.offsets.shape[0] for one in laid(data, rows_max=6)] == [6] * 5
    assert [one.next_offset for one in laid(data, rows_max=7)] == [9, 18, 27, 30]


def test_damaged_bytes_are_refused_by_name() -> None:
    good = batch([b"value"] * 4, 0)
    for place in range(21, len(good)):
        with pytest.raises(BrokerError, match="raw/2, batch at offset 0: its checksum"):
            laid(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
    with pytest.raises(BrokerError, match="format=1 must be 2"):
        laid(good[:16] + b"\1" + good[17:])


def test_transactions_that_were_given_up_are_left_out_and_others_are_not() -> None:
    ours: dict[str, Any] = {"producer": 7, "transactional": True}
    data = (
        batch([b"given up"], 0, **ours)
        + batch([b"plain"], 1, producer=7)
        + batch([b"another's"], 2, producer=8, transactional=True)
        + mark(3, 7)
        + batch([b"committed"], 4, **ours)
        + mark(5, 7)
        + batch([b"given up too"], 6, **ours)
        + mark(7, 7)
    )
    found = laid(data, aborted=[(7, 6), (7, 0)])

    text = b"".join(bytes(one.text[: one.length]) for one in found)
    assert text == b"plain\nanother's\ncommitted\n"
    assert [offset for one in found for offset in one.offsets.tolist()] == [1, 2, 4]
    assert found[-1].next_offset == 8
