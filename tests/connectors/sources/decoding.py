"""Lines decoded both ways, for tests: what the fast way gives, after it was compared with the strict path."""

from typing import Any

import numpy as np

from connectors.sources.contract import Decoded, chunk_of
from connectors.sources.decoder import Decoder
from connectors.sources.mapping import Mapping
from connectors.sources.strict import decode_strictly
from state.schema import EventType, Field, Kind, make_schema
from state.sets import set_fields

AT_MS_MAX = 2_000_000_000_000
SCHEMA = make_schema(
    (
        Field("name", Kind.STRING),
        Field("services", Kind.SET, members=("12593", "mms", "炫铃")),
        *set_fields("tags", tuple(f"t{number}" for number in range(130))),
    ),
    (
        EventType(
            "call",
            (
                Field("kind", Kind.STRING, required=True),
                Field("seconds", Kind.INT),
                Field("fee", Kind.FLOAT),
                Field("paid", Kind.BOOL),
                Field("ended_at", Kind.TIME),
            ),
        ),
        EventType("data", (Field("bytes_received_over_the_air", Kind.INT, required=True), Field("apn", Kind.STRING))),
    ),
)
HEAD = b'"msisdn":8613800000001,"time":"2008-11-04T09:00:00+08:00"'
NULLS = ("NULL", "\\N", "-", "861")


def rows(decoded: Decoded) -> list[tuple[Any, ...]]:
    batch = decoded.batch
    columns = (batch.subscriber, batch.at_ms, batch.type, batch.id, batch.present, decoded.offsets)
    cells = batch.cells.T.tolist()
    return list(zip(*(column.tolist() for column in columns), cells, strict=True))


def check(mapping: Mapping, lines: list[bytes], decoder: Decoder | None = None, header: bytes = b"") -> Decoded:
    """Decode lines both ways, compare everything, and return what the fast way gave."""
    decoder = decoder or Decoder(mapping, SCHEMA)
    chunk = chunk_of(b"\n".join(lines) + b"\n", received_ns=5_000_000, header=header)
    # What lies after the chunk must not matter.
    chunk.data[chunk.length :] = np.frombuffer(b'"}' * 32, np.uint8)
    fast = decoder.decode(chunk, AT_MS_MAX)
    strict = decode_strictly(decoder.plan, chunk, AT_MS_MAX)
    assert rows(fast) == rows(strict)
    assert fast.dead == strict.dead
    assert fast.lines == strict.lines == fast.batch.n + len(fast.dead)
    told = dict(fast.batch.texts.pairs())
    for hashed, text in strict.batch.texts.pairs():
        assert told.get(hashed) == text
    return fast


def code_of(line: bytes, **settings: Any) -> str:
    dead = check(Mapping(**settings), [line]).dead
    return f"{dead[0].code} {dead[0].field}".strip() if dead else "event"


DELIMITED = {"format": "delimited", "time_offset": "+08:00"}
COLUMNS = ("type", "msisdn", "time", "id", "", "kind", "seconds", "fee", "paid", "ended_at")
ROW = [b"call", b"8613800000001", b"2008-11-04 09:00:00", b"a1", b"skipped", b"local", b"61", b"1.5", b"true", b""]


def delimited(*changes: tuple[int, bytes], delimiter: bytes = b",") -> bytes:
    row = list(ROW)
    for place, value in changes:
        row[place] = value
    return delimiter.join(row)
