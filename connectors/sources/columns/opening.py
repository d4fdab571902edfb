"""A file of columns as record batches, every one validated, from the row where it was left.

    for table in Tables(file, mapping, rows_read): ...

A fault of the file is a `BrokenError` that says where, or a `CutError` where it only ends too early.
"""

import os
from collections.abc import Iterator
from io import FileIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.sources.columns.checked import check
from connectors.sources.columns.footer import is_whole
from connectors.sources.columns.messages import BrokenError, CutError, Messages
from connectors.sources.columns.pages import check_footer, check_group
from connectors.sources.columns.table import COLUMNS_MAX, Table, is_readable, is_text
from connectors.sources.mapping import Mapping

BATCH_ROWS = 1 << 16
_BUFFER_BYTES = 1 << 20
_FAULT_CHARS_MAX = 500


class Tables:
    """The tables of an open file after the first `skip` rows.

    To go through them raises BrokenError, or CutError where the file ends too early. `ended`: the end was marked.
    """

    def __init__(self, file: FileIO, mapping: Mapping, skip: int) -> None:
        self.ended = False
        self._file = file
        self._mapping = mapping
        self._skip = skip

    def __iter__(self) -> Iterator[Table]:
        """Yield the tables."""
        try:
            yield from self._parquet() if self._mapping.format == "parquet" else self._arrow()
        except (BrokenError, CutError):
            raise
        except (pa.ArrowException, ValueError, KeyError, IndexError, OverflowError) as fault:
            raise BrokenError(str(fault).partition("\n")[0][:_FAULT_CHARS_MAX]) from fault

    def _arrow(self) -> Iterator[Table]:
        if not is_whole(self._file, os.fstat(self._file.fileno()).st_size):
            raise CutError("file begins as one with a footer and has none: it is cut off")
        with pa.ipc.open_stream(Messages(self._file)) as stream:
            schema = stream.schema
        check_columns(schema, self._mapping)
        read = [number for number, one in enumerate(schema) if is_readable(one.type)]
        self._file.seek(0)
        messages = Messages(self._file)
        options = pa.ipc.IpcReadOptions(included_fields=read, use_threads=False)
        with pa.ipc.open_stream(messages, options=options) as stream:
            for batch in stream:
                yield from self._rest(batch, schema)
        self.ended = messages.ended

    def _parquet(self) -> Iterator[Table]:
        descriptor, size = self._file.fileno(), os.fstat(self._file.fileno()).st_size
        check_footer(descriptor, size)
        schema = pq.ParquetFile(pa.PythonFile(self._file, mode="r")).schema_arrow
        check_columns(schema, self._mapping)
        parquet = pq.ParquetFile(
            pa.PythonFile(self._file, mode="r"),
            read_dictionary=[one.name for one in schema if is_text(one.type)],
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
            coerce_int96_timestamp_unit="ms",
        )
        names = [one.name for one in schema if is_readable(one.type)]
        for number in range(parquet.metadata.num_row_groups):
            group = parquet.metadata.row_group(number)
            if self._skip >= group.num_rows:
                self._skip -= group.num_rows
                continue
            places = [at for at in range(group.num_columns) if group.column(at).path_in_schema.split(".")[0] in names]
            check_group(descriptor, size, group, places)
            for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[number], columns=names, use_threads=False):
                yield from self._rest(batch, schema)

    def _rest(self, batch: Any, schema: Any) -> Iterator[Table]:
        """Yield the rows of a batch that are not to be passed over, once nothing in it lies outside of it."""
        passed = min(self._skip, batch.num_rows)
        self._skip -= passed
        if passed < batch.num_rows:
            rest = batch.slice(passed)
            check(rest)
            yield Table(rest, {str(one.name): str(one.type) for one in schema if not is_readable(one.type)})


def check_columns(schema: Any, mapping: Mapping) -> None:
    """Raise BrokenError where a column that every event needs is missing, stands twice, or is of a type without one."""
    names = [str(name) for name in schema.names]
    if len(names) > COLUMNS_MAX:
        raise BrokenError(f"columns={len(names)} must be <= {COLUMNS_MAX}")
    every = [*names, *mapping.derived]
    doubled = sorted({name for name in names if every.count(name) > 1})
    if doubled:
        raise BrokenError(f"column {doubled[0]!r} stands more than once, or is derived too")
    heads = [] if mapping.type else [("type_field", mapping.type_field, is_text, "a text")]
    heads.append(("subscriber_field", mapping.subscriber_field, _is_subscriber, "a whole number or a text"))
    heads.append(("time_field", mapping.time_field, _is_time(mapping), _times(mapping)))
    for setting, name, fits, kinds in heads:
        if name in mapping.derived:
            continue
        if name not in names:
            raise BrokenError(f"there is no column {name!r} ({setting}), only {repr(names)[:_FAULT_CHARS_MAX]}")
        type_ = schema.field(name).type
        if not fits(type_):
            raise BrokenError(f"column {name!r} ({setting}) has type {type_}, must be {kinds}")


def _is_subscriber(type_: Any) -> bool:
    return is_text(type_) or bool(pa.types.is_integer(type_))


def _is_time(mapping: Mapping) -> Any:
    zoned = mapping.local_offset is not None

    def fits(type_: Any) -> bool:
        if mapping.time_format == "iso8601" and pa.types.is_timestamp(type_):
            return zoned or type_.tz is not None
        return is_text(type_) or (mapping.time_format.startswith("epoch") and bool(pa.types.is_integer(type_)))

    return fits


def _times(mapping: Mapping) -> str:
    if mapping.time_format == "iso8601":
        return "a text or a timestamp, of a zone where neither time_zone nor time_offset says one"
    if mapping.time_format.startswith("epoch"):
        return f"a whole number or a text, as time_format={mapping.time_format!r} says"
    return f"a text, as time_format={mapping.time_format!r} says"
