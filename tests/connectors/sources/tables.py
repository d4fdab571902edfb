"""Tables decoded as columns, for tests: what that gives, after it was compared with the same rows as JSON lines."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.sources.columns.rows import json_of, pairs_of
from connectors.sources.columns.table import Table
from connectors.sources.contract import Chunk, Decoded, chunk_of
from connectors.sources.decoder import Decoder
from connectors.sources.mapping import Mapping
from connectors.sources.strict import decode_strictly
from tests.connectors.sources.decoding import AT_MS_MAX, SCHEMA

FORMS = ("stream", "file", "packed file", "parquet")


def rows_of(decoded: Decoded) -> list[tuple[Any, ...]]:
    batch = decoded.batch
    columns = (batch.subscriber, batch.at_ms, batch.type, batch.id, batch.present)
    return list(zip(*(column.tolist() for column in columns), batch.cells.T.tolist(), strict=True))


def chunk_with(table: Table, start: int = 0) -> Chunk:
    end = start + table.rows
    return Chunk("test", "", np.zeros(0, np.uint8), 0, start, end, True, False, 5_000_000, start + 1, b"", table)


def check(mapping: Mapping, batch: Any) -> Decoded:
    """Decode a record batch and the JSON lines of its rows; return what the columns gave."""
    table = Table(batch)
    fast = Decoder(mapping, SCHEMA).decode(chunk_with(table), AT_MS_MAX)
    lines = b"\n".join(json_of(pairs_of(table, row)) for row in range(table.rows))
    plan = Decoder(mapping, SCHEMA).plan
    strict = decode_strictly(plan, chunk_of(lines, received_ns=5_000_000), AT_MS_MAX)
    assert rows_of(fast) == rows_of(strict)
    assert [(one.code, one.field, one.line, one.raw) for one in fast.dead] == [
        (one.code, one.field, one.line, one.raw) for one in strict.dead
    ]
    assert fast.lines == table.rows == fast.batch.n + len(fast.dead)
    told = dict(fast.batch.texts.pairs())
    assert all(told.get(hashed) == text for hashed, text in strict.batch.texts.pairs())
    return fast


def code_of(mapping: Mapping, batch: Any) -> str:
    dead = check(mapping, batch).dead
    return f"{dead[0].code} {dead[0].field}".strip() if dead else "event"


def write(path: Path, table: Any, form: str, rows: int = 1000) -> None:
    """Write a table in one of the forms, in batches of so many rows."""
    if form == "parquet":
        pq.write_table(table, path, row_group_size=rows, compression="zstd")
        return
    options = pa.ipc.IpcWriteOptions(compression="zstd" if form == "packed file" else None)
    new = pa.ipc.new_stream if form == "stream" else pa.ipc.new_file
    with new(str(path), table.schema, options=options) as writer:
        writer.write_table(table, rows)
