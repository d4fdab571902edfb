"""Rows of Arrow and Parquet are events as the JSON objects of their values are; no file ends anything."""

import asyncio
import decimal
import os
import random
import struct
from collections.abc import Iterator
from datetime import UTC, date, datetime
from datetime import time as clock
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sources.columns.messages import Messages
from connectors.sources.columns.opening import Tables
from connectors.sources.columns.table import Table
from connectors.sources.contract import Chunk, chunk_of
from connectors.sources.decoder import Decoder
from connectors.sources.files.client import FilesSource
from connectors.sources.files.config import FilesConfig
from connectors.sources.mapping import Mapping
from connectors.sources.opened import replay_config
from connectors.sources.tcp.config import TcpConfig
from state.numbers import CHINA
from tests.connectors.sources.decoding import AT_MS_MAX, SCHEMA
from tests.connectors.sources.tables import FORMS, check, chunk_with, code_of, rows_of, write

ARROW = Mapping(format="arrow")
AT = datetime(2008, 11, 4, 1, tzinfo=UTC)


def batch(**columns: Any) -> Any:
    made = {name: one if isinstance(one, pa.Array) else pa.array(one) for name, one in columns.items()}
    return pa.RecordBatch.from_pydict(made)


def heads(rows: int = 1, type_: str = "call") -> dict[str, Any]:
    return {
        "type": [type_] * rows,
        "msisdn": [8613800000001 + n for n in range(rows)],
        "time": pa.array([AT] * rows, pa.timestamp("us", "UTC")),
    }


def call(**columns: Any) -> Any:
    rows = max([len(one) for one in columns.values()], default=1)
    return batch(**{**heads(rows), "kind": ["local"] * rows, **columns})


def feed(rows: int, seed: int) -> Any:
    """Return rows of two types, with nulls, in every kind of column."""
    rng = random.Random(seed)

    def some(make: Any) -> list[Any]:
        return [make() if rng.random() < 0.8 else None for _ in range(rows)]

    types = pa.array([rng.choice(("call", "data", "profile")) for _ in range(rows)])
    return pa.table(
        {
            "type": types.dictionary_encode() if seed % 2 else types,
            "msisdn": pa.array([8613800000001 + rng.randrange(50) for _ in range(rows)]),
            "time": pa.array([1225760400000 + n for n in range(rows)], pa.timestamp("ms", "UTC")),
            "id": pa.array(some(lambda: f"x{rng.randrange(1000)}")),
            "kind": pa.array(some(lambda: rng.choice(("local", "roam", "漫游")))),
            "seconds": pa.array(some(lambda: rng.randrange(900)), pa.int32()),
            "fee": pa.array(some(rng.random)),
            "paid": pa.array(some(lambda: rng.random() < 0.5)),
            "ended_at": pa.array(some(lambda: 1225760400 + rng.randrange(900)), pa.timestamp("s", "UTC")),
            "services": pa.array(some(lambda: rng.sample(["12593", "mms", "炫铃", "other"], 2))),
            "tags": pa.array(some(lambda: [f"t{rng.randrange(140)}"])),
            "bytes_received_over_the_air": pa.array(some(lambda: rng.randrange(1 << 40))),
            "apn": pa.array(some(lambda: "cmnet")).dictionary_encode(),
            "unread": pa.array(some(lambda: "x")),
        }
    )


def source(folder: Path, positions: dict[str, int] | None = None, **mapping: Any) -> FilesSource:
    config = FilesConfig.model_validate({"name": "cdr", "directory": folder, "mapping": {"format": "arrow", **mapping}})
    made = FilesSource(config, positions or {}, drain=True)
    asyncio.run(made.start())
    return made


def drained(made: FilesSource) -> Iterator[Chunk]:
    while (chunk := made.next_chunk(1 << 20)) is not None:
        yield chunk
    made.close()


def form_of(form: str) -> str:
    return "parquet" if form == "parquet" else "arrow"


# ---- rows


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 1000))
def test_a_row_is_the_event_that_the_json_object_of_its_values_is(seed: int) -> None:
    table = feed(200, seed)

    whole = check(ARROW, table.to_batches()[0])
    part = check(ARROW, table.to_batches()[0].slice(77, 60))  # bits of a slice begin within a byte

    assert 0 < whole.batch.n < 200
    assert {(one.code, one.field) for one in whole.dead} <= {
        ("missing_field", "kind"), ("missing_field", "bytes_received_over_the_air")
    }  # fmt: skip
    assert part.lines == 60


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"msisdn": [None]}, "missing_subscriber msisdn"),
        ({"msisdn": [0]}, "bad_subscriber msisdn"),
        ({"msisdn": [-5]}, "bad_subscriber msisdn"),
        ({"msisdn": [10**15]}, "bad_subscriber msisdn"),
        ({"msisdn": pa.array([1 << 63], pa.uint64())}, "bad_subscriber msisdn"),
        ({"msisdn": ["+8613800000001"]}, "event"),
        ({"msisdn": ["+86 138-0000-0001"]}, "event"),
        ({"msisdn": [b"8613800000001"]}, "event"),
        ({"msisdn": ["nobody"]}, "bad_subscriber msisdn"),
        ({"type": [None]}, "missing_type type"),
        ({"type": ["fax"]}, "unknown_type type"),
        ({"time": pa.array([None], pa.timestamp("s", "UTC"))}, "missing_time time"),
        ({"time": pa.array([1], pa.timestamp("s", "UTC"))}, "time_out_of_range time"),
        ({"time": pa.array([1 << 62], pa.timestamp("s", "UTC"))}, "bad_time time"),
        ({"time": ["2008-11-04T09:00:00+08:00"]}, "event"),
        ({"time": ["yesterday"]}, "bad_time time"),
        ({"kind": [None]}, "missing_field kind"),
        ({"kind": [5]}, "wrong_type kind"),
        ({"kind": [b"\xff"]}, "invalid_utf8 kind"),
        ({"kind": ["x" * 70_000]}, "line_too_long"),
        ({"seconds": ["61"]}, "wrong_type seconds"),
        ({"seconds": [1.0]}, "wrong_type seconds"),
        ({"seconds": pa.array([1 << 63], pa.uint64())}, "out_of_range seconds"),
        ({"seconds": pa.array([decimal.Decimal(61)], pa.decimal128(9, 0))}, "event"),
        ({"fee": [float("nan")]}, "out_of_range fee"),
        ({"fee": [3]}, "event"),
        ({"fee": pa.array([decimal.Decimal("1.10")], pa.decimal128(9, 2))}, "event"),
        ({"fee": ["1.5"]}, "wrong_type fee"),
        ({"paid": [1]}, "wrong_type paid"),
        ({"type": ["profile"], "services": ["mms"]}, "wrong_type services"),
        ({"type": ["profile"], "services": [["mms", None]]}, "wrong_type services"),
        ({"type": ["profile"], "services": [["mms", "other"]]}, "event"),
        ({"ended_at": [5]}, "bad_time ended_at"),
        ({"id": [7]}, "event"),
        ({"id": [""]}, "event"),
        ({"id": [1.5]}, "bad_id id"),
        ({"seconds": pa.nulls(1)}, "event"),
    ],
)
def test_what_is_wrong_with_a_row_is_told_by_field(columns: dict[str, Any], code: str) -> None:
    table = Table(call(**columns))
    decoded = Decoder(ARROW, SCHEMA).decode(chunk_with(table), AT_MS_MAX)

    assert [f"{one.code} {one.field}".strip() for one in decoded.dead] == ([code] if code != "event" else [])
    if "nan" not in str(columns) and code not in ("invalid_utf8 kind", "line_too_long"):
        assert code_of(ARROW, table.batch) == code


def test_a_column_that_is_not_read_is_a_dead_letter_where_the_book_reads_it() -> None:
    table = Table(call(), {"seconds": "struct<a: int64>"})

    (dead,) = Decoder(ARROW, SCHEMA).decode(chunk_with(table), AT_MS_MAX).dead

    assert (dead.code, dead.field, dead.value) == ("wrong_type", "seconds", "a column of type struct<a: int64>")


def test_national_numbers_local_times_epochs_and_null_words_are_read_as_in_lines() -> None:
    local = pa.array([datetime(2008, 7, 4, 9)], pa.timestamp("us"))
    berlin = Mapping(format="arrow", time_zone="Europe/Berlin", null_words=("NULL",), numbers_in_quotes=True)

    (at_ms,) = check(berlin, call(time=local, seconds=["NULL"], fee=["1.5"])).batch.at_ms.tolist()
    assert at_ms == datetime(2008, 7, 4, 7, tzinfo=UTC).timestamp() * 1000
    for form, value in (("epoch_ms", 1225760400000), ("epoch_s", 1225760400)):
        decoded = check(Mapping(format="arrow", time_format=form), call(time=[value]))
        assert decoded.batch.at_ms.tolist() == [1225760400000]
    plan = Decoder(ARROW, SCHEMA, CHINA)
    for number in (13800000001, "13800000001", "013800000001"):
        decoded = plan.decode(chunk_with(Table(call(msisdn=[number]))), AT_MS_MAX)
        assert decoded.batch.subscriber.tolist() == [8613800000001]


def test_derived_fields_are_made_of_columns_as_of_lines() -> None:
    derived = {"time": "{day} {at}", "kind": "{left(imei, 3)}-{lower(right(b, 2))}", "seconds": "mid(n, 2, 3)"}
    mapping = Mapping(format="arrow", derived=derived, time_offset="+08:00", null_words=("-",))
    rng = random.Random(4)
    texts = ["abcdef", "炫铃ABC", "X", "", "-", None, "0123456"]
    columns: dict[str, Any] = {name: [rng.choice(texts) for _ in range(300)] for name in ("imei", "b")}
    columns["imei"] = pa.array(columns["imei"]).dictionary_encode()
    columns["n"] = [rng.choice((12345, 7, None, -4)) for _ in range(300)]
    columns["day"] = pa.array([date(2008, 11, 4)] * 300)
    columns["at"] = pa.array([clock(9, 0, 1)] * 300, pa.time32("s"))
    made = {**heads(300), **columns}
    del made["time"]

    decoded = check(mapping, batch(**made))

    assert 0 < decoded.batch.n < 300
    assert decoded.slow < 300


# ---- files


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_read_once_and_from_its_middle_after_a_restart(tmp_path: Path, form: str) -> None:
    table = feed(900, 3)
    write(tmp_path / "a", table, form, 300)
    decoder = Decoder(Mapping(format=form_of(form)), SCHEMA)
    positions: dict[str, int] = {}
    rows: list[Any] = []
    for _ in range(5):  # every run takes one chunk and is killed
        made = source(tmp_path, positions, format=form_of(form))
        chunk = made.next_chunk(1 << 20)
        if chunk is not None:
            positions[chunk.key] = chunk.end
            rows += rows_of(decoder.decode(chunk, AT_MS_MAX))
        made.close()
        assert not made.faults

    assert list(positions.values()) == [~900]
    assert rows == rows_of(check(ARROW, table.combine_chunks().to_batches()[0]))


def test_a_stream_that_grows_is_read_on_and_half_a_message_waits(tmp_path: Path) -> None:
    write(tmp_path / "whole", feed(3000, 3), "stream")
    body = (tmp_path / "whole").read_bytes()
    (tmp_path / "whole").unlink()
    sizes = [len(body) // 3, 2 * len(body) // 3, len(body)]
    file = tmp_path / "a"
    file.write_bytes(b"")
    now = file.stat().st_mtime_ns
    config = FilesConfig.model_validate({"name": "cdr", "directory": tmp_path, "mapping": {"format": "arrow"}})
    made = FilesSource(config, {}, now_ns=lambda: now)
    read = 0
    for size in sizes:
        with file.open("ab") as stream:
            stream.write(body[file.stat().st_size : size])
        now += 10**9
        os.utime(file, ns=(now, now))
        while (chunk := made.next_chunk(1 << 20)) is not None:
            assert chunk.start == read or chunk.table is None
            read += chunk.table.rows if chunk.table else 0

    assert read == 3000
    assert not made.faults
    made.close()


def test_files_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    counted = pa.table({"n": pa.array(range(40_000)), **{k: pa.array(v) for k, v in heads(40_000).items()}})
    kinds = [pa.array([kind] * 40_000) for kind in ("local", "roam")]
    positions: dict[str, int] = {}
    for kind in kinds:
        write(tmp_path / "new", counted.append_column("kind", kind), "file", 40_000)
        (tmp_path / "new").rename(tmp_path / "a")
        made = source(tmp_path, positions)
        read = 0
        for chunk in drained(made):
            positions[chunk.key] = chunk.end
            read += chunk.table.rows if chunk.table else 0
        assert read == 40_000


@pytest.mark.parametrize("form", FORMS)
def test_a_cut_file_is_one_fault_and_never_an_end(tmp_path: Path, form: str) -> None:
    write(tmp_path / "a", feed(2000, 3), form)
    whole = (tmp_path / "a").read_bytes()
    for size in (1, 7, 9, 100, len(whole) // 2, len(whole) - 9):
        (tmp_path / "a").write_bytes(whole[:size])
        made = source(tmp_path, format=form_of(form))
        rows = sum(chunk.table.rows for chunk in drained(made) if chunk.table)
        assert rows < 2000 or form == "stream"
        assert len(made.faults) == 1, (size, made.faults)
        assert made.exhausted


@pytest.mark.parametrize("form", FORMS)
def test_a_file_with_any_bytes_turned_is_rows_or_a_fault(tmp_path: Path, form: str) -> None:
    write(tmp_path / "a", feed(300, 3), form, 100)
    whole = (tmp_path / "a").read_bytes()
    rng = random.Random(11)
    decoder = Decoder(Mapping(format=form_of(form)), SCHEMA)
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 8))):
            place = rng.randrange(len(broken))
            broken[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        (tmp_path / "a").write_bytes(broken)
        made = source(tmp_path, format=form_of(form))
        for chunk in drained(made):
            decoded = decoder.decode(chunk, AT_MS_MAX)
            assert decoded.lines == decoded.batch.n + len(decoded.dead)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"msisdn": None}, "there is no column 'msisdn' (subscriber_field)"),
        ({"time": None}, "there is no column 'time' (time_field)"),
        ({"type": None}, "there is no column 'type' (type_field)"),
        ({"msisdn": [1.5]}, "column 'msisdn' (subscriber_field) has type double, must be a whole number or a text"),
        ({"time": [5]}, "column 'time' (time_field) has type int64, must be a text or a timestamp"),
        ({"time": pa.array([AT], pa.timestamp("s"))}, "column 'time' (time_field) has type timestamp[s], must be"),
        ({"type": [1]}, "column 'type' (type_field) has type int64, must be a text"),
    ],
)
def test_a_file_whose_columns_cannot_be_events_is_one_fault(tmp_path: Path, columns: dict[str, Any], told: str) -> None:
    kept = {name: one for name, one in {**heads(), "kind": ["local"], **columns}.items() if one is not None}
    write(tmp_path / "a", pa.table(kept), "stream")

    made = source(tmp_path)

    assert list(drained(made)) == []
    assert told in made.faults[0].reason


def test_few_bytes_take_little_memory(tmp_path: Path) -> None:
    write(tmp_path / "a", pa.table({**heads(1000), "kind": ["local"] * 1000}), "packed file")
    body = (tmp_path / "a").read_bytes()
    frame = body.index(b"\x28\xb5\x2f\xfd")  # a zstd frame, after the size that it unpacks to
    (tmp_path / "a").write_bytes(body[: frame - 8] + struct.pack("<q", 1 << 40) + body[frame:])

    made = source(tmp_path)

    assert list(drained(made)) == []
    assert "unpacks to 1099511627776 bytes, must be <= " in made.faults[0].reason


def test_a_dictionary_of_long_texts_is_not_written_out_for_every_row() -> None:
    rows = 3000
    long = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 1_000_000]))
    mapping = Mapping(format="arrow", derived={"kind": "{left(a, 2)}{left(b, 2)}"})
    columns = {**heads(rows), "a": long, "b": pa.array(["y"] * rows)}
    before = pa.default_memory_pool().max_memory()

    decoded = Decoder(mapping, SCHEMA).decode(chunk_with(Table(batch(**columns).slice(0, 300))), AT_MS_MAX)

    assert {one.code for one in decoded.dead} == {"line_too_long"}
    assert pa.default_memory_pool().max_memory() < before + (64 << 20)


def test_metadata_that_promise_too_much_are_refused(tmp_path: Path) -> None:
    for begin in (struct.pack("<II", 0xFFFFFFFF, 1 << 31), struct.pack("<II", 64, 0), b"ARROW1\0\0" + b"\1" * 8):
        (tmp_path / "a").write_bytes(begin)
        with (tmp_path / "a").open("rb", buffering=0) as file, pytest.raises(OSError, match="must be"):
            Messages(file).read(8)


def test_columns_are_of_files_alone_and_their_letters_come_back_as_lines(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"mapping\.format='arrow' is read from files only"):
        TcpConfig.model_validate({"name": "x", "port": 0, "mapping": {"format": "arrow"}})
    (dead,) = check(ARROW, call(seconds=["61"])).dead
    replayed = replay_config(source(tmp_path).config, tmp_path)

    assert replayed.mapping.format == "ndjson"
    mended = chunk_of(dead.raw.replace(b'"61"', b"61"))
    assert Decoder(ARROW, SCHEMA).decode(mended, AT_MS_MAX).batch.n == 1
    assert (
        dead.raw
        == b'{"type":"call","msisdn":8613800000001,"time":"2008-11-04T01:00:00.000Z","kind":"local","seconds":"61"}'
    )


def test_tables_of_a_file_without_rows_are_none(tmp_path: Path) -> None:
    write(tmp_path / "a", pa.table({**heads(), "kind": ["local"]}).slice(0, 0), "stream")

    with (tmp_path / "a").open("rb", buffering=0) as file:
        assert list(Tables(file, ARROW, 0)) == []
