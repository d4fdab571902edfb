"""One row of a table as names and values, the slow and obvious way, and as the JSON object that it stands for."""

import decimal
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.types as pt

from connectors.sources.columns.table import Table, is_text, lengths_of
from connectors.sources.objects import Decimal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS_A_SECOND = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}


class Unread:
    """The value of a column that is not read."""

    def __init__(self, type_: str) -> None:
        self._type = type_

    def __repr__(self) -> str:
        return f"a column of type {self._type}"


def pairs_of(table: Table, row: int) -> list[tuple[str, Any]]:
    """Return what a row says, column by column, None for no value."""
    read = [
        (str(name), _value(column[row]))
        for name, column in zip(table.batch.schema.names, table.batch.columns, strict=True)
    ]
    return [*read, *((name, Unread(type_)) for name, type_ in table.unread.items())]


def text_bytes(table: Table, row: int, names: Collection[str]) -> int:
    """Return how many bytes the texts of a row have together in some columns."""
    columns = zip(table.batch.schema.names, table.batch.columns, strict=True)
    return sum(int(lengths_of(column.slice(row, 1))[0]) for name, column in columns if name in names)


def json_of(pairs: list[tuple[str, Any]]) -> bytes:
    """Return a row as one JSON object, without what has no value or is not read."""
    known = {name: _shown(value) for name, value in pairs if value is not None and not isinstance(value, Unread)}
    try:
        return orjson.dumps(known)
    except orjson.JSONEncodeError:  # bytes that are no letters, or a number beyond 64 bits
        return orjson.dumps({name: _plain(value) for name, value in known.items()})


def _value(scalar: Any) -> Any:  # noqa: PLR0911 a way for each form
    type_ = scalar.type
    if pt.is_dictionary(type_):
        return _value(scalar.value) if scalar.is_valid else None
    if not scalar.is_valid:
        return None
    if pt.is_timestamp(type_):
        return _moment(int(scalar.value), type_)
    if pt.is_date32(type_) or pt.is_time(type_):
        return str(scalar.cast(pa.string()).as_py())
    if is_text(type_):
        value = scalar.as_buffer().to_pybytes() if hasattr(scalar, "as_buffer") else scalar.as_py()
        return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
    if pt.is_list(type_) or pt.is_large_list(type_):
        return [_value(one) for one in scalar]
    value = scalar.as_py()
    if isinstance(value, decimal.Decimal):
        return int(value) if type_.scale <= 0 else Decimal(str(value))
    return value


def _moment(value: int, type_: Any) -> str:
    """Return a timestamp as ISO 8601, to the millisecond; a moment that has no date as its number."""
    try:
        moment = _EPOCH + timedelta(milliseconds=value * 1000 // UNITS_A_SECOND[type_.unit])
    except OverflowError:
        return str(value)
    text = moment.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return text if type_.tz is None else f"{text}Z"


def _shown(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return repr(value) if isinstance(value, float) and value - value != 0 else value


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return [_plain(one) for one in value] if isinstance(value, list) else str(value)
