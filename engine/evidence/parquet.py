"""Columns as a Parquet file, a row group a block: what DuckDB, pandas and Spark read as it stands."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.evidence.rows import AMOUNTS, COLUMNS, NUMBERS, TIMES, Column

TIME = pa.timestamp("ms", tz="UTC")


def _schema() -> pa.Schema:
    kinds = dict.fromkeys(NUMBERS, pa.int64()) | dict.fromkeys(TIMES, TIME) | dict.fromkeys(AMOUNTS, pa.float64())
    return pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])


SCHEMA = _schema()


class ParquetFile:
    """A file that is written block by block; zstd, texts in dictionaries."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")

    def __enter__(self) -> "ParquetFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, columns: Mapping[str, Column]) -> None:
        """Write the columns of a block, as of `rows.Rows`."""
        arrays = [_array(name, columns[name]) for name in COLUMNS]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))


def write_groups(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of a report."""
    pq.write_table(pa.Table.from_pylist([dict(one) for one in records]), path, compression="zstd")


def _array(name: str, column: Column) -> pa.Array:
    kind = SCHEMA.field(name).type
    if name in TIMES:
        times = np.asarray(column, np.int64)
        return pa.array(times, pa.int64(), mask=times == 0).cast(TIME)
    if name in NUMBERS or name in AMOUNTS:
        return pa.array(np.asarray(column), kind)
    return pa.array(column, kind)
