"""A piece of a record batch, and its columns in the few forms that are read.

    whole numbers, floats, bools, texts (also as a dictionary's), timestamps, decimals, lists of texts

Texts in binary columns are texts where they are UTF-8; dates and times of day are texts as Arrow writes them. Other
columns are not read: a field that the book has there is a dead letter that names the type.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from connectors.sources.columns.kernel import bounds_of_texts
from state.raw import PADDING

COLUMNS_MAX = 512
NO_PLACES = np.zeros(0, np.int32)
NO_BITS = np.zeros(0, np.uint8)
_ASCII_MAX = 127


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a file. `batch` is a record batch of readable columns, checked; `unread` the types of the others."""

    batch: Any
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.batch.num_rows)

    def piece(self, start: int, rows: int) -> "Table":
        """Return some of the rows; nothing is copied."""
        return Table(self.batch.slice(start, rows), self.unread)


def freeze(*arrays: NDArray[Any]) -> None:
    """Make arrays read-only, as those are that lie in a file's buffers: kernels are compiled for one kind alone."""
    for array in arrays:
        array.flags.writeable = False


@dataclass(frozen=True, slots=True)
class Bits:
    """Which rows have a value: bit `first` + i of `data` for row i; no `data` where all have."""

    data: NDArray[np.uint8]
    first: int

    def __post_init__(self) -> None:
        freeze(self.data)


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of a column: number i lies in `data` from `starts[i]` to `starts[i + 1]`, `PADDING` bytes after the last.

    `places` int32[rows] says which text each row has; empty where row i has text i. `high`: some byte is not ASCII.
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int32]
    places: NDArray[np.int32]
    bits: Bits
    high: int
    longest_bytes: int

    def __post_init__(self) -> None:
        freeze(self.data, self.starts, self.places)

    @property
    def is_shared(self) -> bool:
        """Return whether rows share texts, so that there are fewer of those."""
        return bool(2 * self.starts.shape[0] < self.places.shape[0])


def is_text(type_: Any) -> bool:
    """Return whether a column holds texts, or a dictionary's."""
    if pt.is_dictionary(type_):
        return bool(not pt.is_dictionary(type_.value_type) and is_text(type_.value_type))
    return bool(
        pt.is_string(type_) or pt.is_large_string(type_) or pt.is_binary(type_) or pt.is_large_binary(type_)
        or pt.is_string_view(type_)
    )  # fmt: skip


def is_list_of_texts(type_: Any) -> bool:
    """Return whether a column holds lists of texts."""
    of_lists = pt.is_list(type_) or pt.is_large_list(type_)
    return bool(of_lists and is_text(type_.value_type) and not pt.is_dictionary(type_.value_type))


def is_readable(type_: Any) -> bool:
    """Return whether a column of a type is read."""
    return bool(
        is_text(type_) or pt.is_integer(type_) or pt.is_floating(type_) or pt.is_boolean(type_) or pt.is_null(type_)
        or pt.is_timestamp(type_) or pt.is_date32(type_) or pt.is_time(type_) or pt.is_decimal128(type_)
        or is_list_of_texts(type_)
    )  # fmt: skip


def bits_of(column: Any) -> Bits:
    """Return which rows of a column have a value."""
    if pt.is_null(column.type):
        return Bits(np.zeros(len(column) // 8 + 1, np.uint8), 0)
    found = column.buffers()[0]
    return Bits(NO_BITS if found is None else np.frombuffer(found, np.uint8), column.offset)


def texts_of(column: Any) -> Texts | None:
    """Return a column's texts; None where it holds none."""
    type_ = column.type
    if pt.is_dictionary(type_) and is_text(type_):
        data, starts, high = _plain(column.dictionary)
        return Texts(data, starts, places_of(column), bits_of(column), high, _longest(starts))
    if is_text(type_) or pt.is_date32(type_) or pt.is_time(type_):
        column = column if pt.is_string(type_) or pt.is_binary(type_) else column.cast(pa.string())
        data, starts, high = _plain(column)
        return Texts(data, starts, NO_PLACES, bits_of(column), high, _longest(starts))
    return None


def _longest(starts: NDArray[np.int32]) -> int:
    freeze(starts)
    return int(bounds_of_texts(starts)[1])


def places_of(column: Any) -> NDArray[np.int32]:
    """Return the place of each row's text in a column's dictionary; anything where a row has no value."""
    return numbers_of(column.indices).astype(np.int32, copy=False)


def numbers_of(column: Any) -> NDArray[Any]:
    """Return the values of a column of numbers or moments as they lie there, whatever stands where there is none."""
    width = column.type.bit_width // 8
    kind = "f" if pt.is_floating(column.type) else "u" if pt.is_unsigned_integer(column.type) else "i"
    return words_of(column, 1, f"{kind}{width}", len(column))


def words_of(column: Any, number: int, form: str, count: int) -> NDArray[Any]:
    """Return words of a column's buffer from its first row on; zeros where it has no such buffer."""
    found, kind = column.buffers()[number], np.dtype(form)
    if found is None or count == 0:
        return np.zeros(count, kind)
    return np.frombuffer(found, kind, count, column.offset * kind.itemsize)


def lengths_of(column: Any) -> NDArray[np.int64]:
    """Return the bytes of each row's text, int64[rows]; 0 where a column holds no texts or a row has none."""
    type_ = column.type
    if pt.is_dictionary(type_):
        of_text = lengths_of(column.dictionary)
        places = pc.fill_null(column.indices.cast(pa.int64()), len(of_text)).to_numpy()
        return np.asarray(np.append(of_text, 0)[places], np.int64)
    if not is_text(type_):
        return np.zeros(len(column), np.int64)
    plain = column.cast(pa.binary()) if pt.is_string_view(type_) else column
    return np.asarray(pc.fill_null(pc.binary_length(plain), 0).to_numpy(zero_copy_only=False), np.int64)


def _plain(column: Any) -> tuple[NDArray[np.uint8], NDArray[np.int32], int]:
    """Return the bytes, starts, and whether some byte is not ASCII; copied where nothing may be read beyond them."""
    if not (pt.is_string(column.type) or pt.is_binary(column.type)):
        column = column.cast(pa.binary())
    count = len(column)
    data = column.buffers()[2]
    if count == 0 or data is None:
        return np.zeros(PADDING, np.uint8), np.zeros(count + 1, np.int32), 0
    bounds = words_of(column, 1, "i4", count + 1)
    first, last = int(bounds[0]), int(bounds[-1])
    every = np.frombuffer(data, np.uint8)
    high = int(every[first:last].max(initial=0) > _ASCII_MAX)
    if last + PADDING <= data.size:
        return every, bounds, high
    copied = np.zeros(last - first + PADDING, np.uint8)
    copied[: last - first] = every[first:last]
    return copied, bounds - np.int32(first), high
