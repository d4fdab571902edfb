"""A frame reads back as it was written, whatever its values, and no bytes make the reader fall."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.batch import Batch, Row, concat, empty, from_rows, select
from state.frame import ROWS_MAX, Encoder, Frame, FrameError, FrameKind, decode, encode
from state.key_kinds import PSEUDONYM
from state.schema import EventType, Field, Kind, Schema, make_schema
from state.texts import Texts, hashed_texts

SCHEMA = make_schema(
    (Field("name", Kind.STRING), Field("age", Kind.INT)),
    (
        EventType("call", (Field("kind", Kind.STRING), Field("seconds", Kind.INT), Field("cost", Kind.FLOAT))),
        EventType("blank", ()),
        EventType("wide", tuple(Field(f"f{i}", Kind(i % 6)) for i in range(62))),
    ),
)
ENDS = (0, 1, -1, 255, 256, 2**62, -(2**62), 2**63 - 1, -(2**63), 1_700_000_000_000)
COLUMNS = ("subscriber", "at_ms", "type", "id", "present", "cells", "log_ms")


def random_batch(seed: int, n: int) -> Batch:
    """Rows of every type; values from ranges that need 0 to 8 bytes; some slots unknown to some rows."""
    rng = np.random.default_rng(seed)
    batch = empty(SCHEMA, n)

    def values(count: int) -> np.ndarray:
        low, span = int(rng.choice(np.array(ENDS))), 1 << int(rng.integers(0, 64))
        spread = rng.integers(0, span, count, dtype=np.uint64).view(np.int64) << int(rng.integers(0, 4))
        few = rng.choice(spread, count) if count and rng.random() < 0.3 else spread
        return few + np.int64(low)

    batch.type[:] = rng.choice(rng.integers(0, len(SCHEMA.types), 3), n)
    for name in ("subscriber", "at_ms", "id", "log_ms"):
        getattr(batch, name)[:] = values(n)
    if not batch.log_ms.any():
        batch.log_ms[:] = 1  # times that are all 0 say that no log has stamped the rows
    for code, kind in enumerate(SCHEMA.types):
        rows = np.flatnonzero(batch.type == code)
        for slot in range(len(kind.fields)):
            known = rows if rng.random() < 0.5 else rows[rng.random(len(rows)) < rng.random()]
            batch.present[known] |= 1 << slot
            batch.cells[slot, known] = values(len(known))
    batch.texts = random_texts(rng, batch)
    if rng.random() < 0.3:
        batch.cause = np.stack([values(n) for _ in range(4)])
    return batch


def random_texts(rng: np.random.Generator, batch: Batch) -> Texts:
    """Texts for some of the STRING cells, which become their hashes; a few that no cell has."""
    found = [rng.bytes(int(length)) for length in rng.integers(0, 40, rng.integers(0, 400))]
    texts = hashed_texts(found)
    for code, kind in enumerate(batch.schema.types):
        for slot in (slot for slot, field in enumerate(kind.fields) if field.kind == Kind.STRING and found):
            known = np.flatnonzero((batch.type == code) & (batch.present >> slot & 1 != 0))
            some = known[rng.random(len(known)) < rng.choice([0.0, 0.9, 1.0])]
            batch.cells[slot, some] = rng.choice(texts.hashes, len(some))
    return texts


def said(batch: Batch) -> list[bytes | None]:
    """What each known STRING cell says."""
    return [
        batch.texts.text(int(batch.cells[slot, row]))
        for code, kind in enumerate(batch.schema.types)
        for slot, field in enumerate(kind.fields)
        if field.kind == Kind.STRING
        for row in np.flatnonzero((batch.type == code) & (batch.present >> slot & 1 != 0)).tolist()
    ]


def assert_same(left: Batch | None, right: Batch | None) -> None:
    assert left is not None
    assert right is not None
    for name in COLUMNS:
        a, b = getattr(left, name), getattr(right, name)
        assert a.dtype == b.dtype
        assert np.array_equal(a, b), name
    assert said(left) == said(right)
    assert left.cause.any() == right.cause.any()
    if left.cause.any():
        assert np.array_equal(left.cause, right.cause)


def schema_of(fingerprint: str) -> Schema:
    assert fingerprint == SCHEMA.fingerprint
    return SCHEMA


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.one_of(st.integers(0, 40), st.sampled_from([300, 5000])))
def test_every_batch_reads_back_as_it_was_written(seed: int, n: int) -> None:
    batch = random_batch(seed, n)
    frame = Frame(FrameKind.EVENTS, 17 + seed, batch, {"file:日": seed, "b": 0}, dedupe=bool(seed & 1))
    frame.clocks = {"b": [1, seed]} if seed & 2 else {}
    back = decode(encode(frame), schema_of)
    assert_same(batch, back.batch)
    assert back.clocks == frame.clocks
    assert (back.kind, back.append_ms, back.sources, back.dedupe, back.payload) == (
        FrameKind.EVENTS, 17 + seed, {"file:日": seed, "b": 0}, bool(seed & 1), b"",
    )  # fmt: skip


@pytest.mark.parametrize("kind", [FrameKind.TICK, FrameKind.ACTIVATION, FrameKind.CONTROL])
def test_frames_without_events_carry_their_payload(kind: FrameKind) -> None:
    back = decode(encode(Frame(kind, -5, payload=b'{"a":1}\0\xff')), schema_of)
    assert (back.kind, back.append_ms, back.batch, back.sources, back.payload) == (kind, -5, None, {}, b'{"a":1}\0\xff')


def test_one_encoder_serves_frames_of_every_size_one_after_the_other() -> None:
    encoder = Encoder()
    for seed, n in enumerate([5, 20_000, 0, 1, 300, 20_001]):
        batch = random_batch(seed, n)
        assert_same(batch, decode(bytes(encoder.encode(Frame(FrameKind.EVENTS, 0, batch))), schema_of).batch)


def test_cells_that_a_row_does_not_know_read_back_as_zero() -> None:
    batch = random_batch(3, 50)
    batch.cells[:] = 77
    batch.present[:] = 0
    back = decode(encode(Frame(FrameKind.EVENTS, 0, batch)), schema_of).batch
    assert back is not None
    assert not back.cells.any()


def test_known_bits_beyond_a_types_fields_are_left_out() -> None:
    batch = random_batch(3, 50)
    batch.type[:] = SCHEMA.code("blank")
    batch.present[:] = 0b1011
    back = decode(encode(Frame(FrameKind.EVENTS, 0, batch)), schema_of).batch
    assert back is not None
    assert not back.present.any()


def test_an_operators_batch_takes_less_than_25_bytes_an_event() -> None:
    rng = np.random.default_rng(1)
    batch = empty(SCHEMA, 8000)
    batch.type[:] = SCHEMA.code("call")
    batch.subscriber[:] = 8613800000000 + rng.integers(0, 1_000_000, 8000)
    batch.at_ms[:] = 1_700_000_000_000 + np.sort(rng.integers(0, 5000, 8000))
    batch.id[:] = rng.integers(-(2**63), 2**63 - 1, 8000)
    batch.present[:] = 7
    batch.texts = hashed_texts(b"kind %d" % number for number in range(5))
    batch.cells[0] = batch.texts.hashes[rng.integers(0, 5, 8000)]
    batch.cells[1] = rng.integers(1, 7200, 8000)
    batch.cells[2] = (rng.integers(0, 400, 8000) / 4).view(np.int64)
    assert len(encode(Frame(FrameKind.EVENTS, 0, batch))) < 25 * 8000


def test_a_row_of_an_unknown_type_or_too_many_rows_are_refused() -> None:
    batch = random_batch(1, 3)
    batch.type[1] = 200
    with pytest.raises(ValueError, match="type of a row=200 must be < 10"):
        encode(Frame(FrameKind.EVENTS, 0, batch))
    batch.subscriber = np.zeros(ROWS_MAX + 1, np.int64)
    with pytest.raises(ValueError, match=f"rows of a frame={ROWS_MAX + 1} must be <= {ROWS_MAX}"):
        encode(Frame(FrameKind.EVENTS, 0, batch))


def test_a_frame_has_the_texts_of_its_rows_and_no_others_each_once_a_column() -> None:
    batch = empty(SCHEMA, 100)
    batch.type[:] = SCHEMA.code("call")
    batch.texts = hashed_texts(b"text number %d" % number for number in range(1_000))
    batch.cells[0] = batch.texts.hashes[np.arange(100) % 7 * 11]
    batch.present[:] = 1
    data = encode(Frame(FrameKind.EVENTS, 0, batch))
    back = decode(data, schema_of).batch
    assert back is not None
    assert sorted(text for _, text in back.texts.pairs()) == sorted(b"text number %d" % (11 * n) for n in range(7))
    assert len(data) < 500


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    flips=st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(1, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 40),
)
def test_broken_bytes_are_refused_or_read_as_some_frame_but_never_fall(
    seed: int, flips: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(encode(Frame(FrameKind.EVENTS, 1, random_batch(seed, seed % 60), {"a": 1})))
    for place, bits in flips:
        data[place % len(data)] ^= bits
    try:
        frame = decode(bytes(data[: len(data) - cut]), lambda _: SCHEMA)
    except FrameError:
        return
    assert frame.batch is None or frame.batch.n <= ROWS_MAX


@given(st.binary(max_size=400))
def test_any_bytes_that_are_no_frame_are_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        decode(data, schema_of)


def test_log_times_that_are_the_frames_own_cost_nothing_and_a_column_of_others_comes_back() -> None:
    batch = random_batch(5, 100)
    batch.log_ms[:] = 9_000
    same, other = (encode(Frame(FrameKind.EVENTS, append_ms, batch)) for append_ms in (9_000, 9_001))
    assert len(other) - len(same) == 16
    for data in (same, other):
        assert_same(batch, decode(data, schema_of).batch)


def test_a_row_keeps_its_cause_and_rows_without_one_cost_nothing() -> None:
    rows = [Row("call", 8613800000001, 1), Row("call", 8613800000002, 2, cause=(3, 1 << 40, 17, 1 << 50))]
    batch = from_rows(SCHEMA, rows)
    back = decode(encode(Frame(FrameKind.EVENTS, 0, batch, key_kind=PSEUDONYM)), schema_of)
    assert back.key_kind == PSEUDONYM
    assert back.batch is not None
    assert back.batch.cause.T.tolist() == [[0, 0, 0, 0], [3, 1 << 40, 17, 1 << 50]]
    both = concat([select(back.batch, np.array([1], np.int32)), from_rows(SCHEMA, rows[:1])])
    assert both.cause.T.tolist() == [[3, 1 << 40, 17, 1 << 50], [0, 0, 0, 0]]
    plain = [from_rows(SCHEMA, rows[:1]), select(back.batch, np.array([0], np.int32))]
    assert len({len(encode(Frame(FrameKind.EVENTS, 0, one))) for one in plain}) == 1


def test_rows_that_no_log_has_stamped_read_back_with_the_time_of_their_frame() -> None:
    batch = random_batch(5, 3)
    batch.log_ms[:] = 0
    back = decode(encode(Frame(FrameKind.EVENTS, 9_000, batch)), schema_of).batch
    assert back is not None
    assert back.log_ms.tolist() == [9_000] * 3
