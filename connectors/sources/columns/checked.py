"""Whether the columns of a record batch lie within their buffers: the Arrow library does not look when it reads them.

Texts need not be UTF-8: the rows whose are not become dead letters. ArrowInvalid or BrokenError says what is wrong.
"""

from typing import Any

import pyarrow.types as pt

from connectors.sources.columns.kernel import bounds_of_texts, is_valid_rows
from connectors.sources.columns.messages import BrokenError
from connectors.sources.columns.table import bits_of, freeze, numbers_of, words_of


def check(batch: Any) -> None:
    """Raise where some value of a batch does not lie within its buffers."""
    batch.validate()
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        type_ = column.type
        if pt.is_dictionary(type_):
            if column.dictionary.null_count:
                raise BrokenError(f"column {name!r}: its dictionary has an entry without a value, must have none")
            _check_texts(name, column.dictionary)
            _check_places(name, column.indices, len(column.dictionary))
        elif pt.is_string(type_) or pt.is_binary(type_):
            _check_texts(name, column)
        elif not (pt.is_integer(type_) or pt.is_floating(type_) or pt.is_boolean(type_) or pt.is_timestamp(type_)):
            column.validate(full=True)


def _check_texts(name: str, column: Any) -> None:
    if not (pt.is_string(column.type) or pt.is_binary(column.type)):
        column.validate(full=True)
        return
    data = column.buffers()[2]
    if len(column) == 0:
        return
    bounds = words_of(column, 1, "i4", len(column) + 1)
    freeze(bounds)
    if bounds[0] < 0 or bounds_of_texts(bounds)[0] < 0 or bounds[-1] > (0 if data is None else data.size):
        raise BrokenError(f"column {name!r}: places of its texts do not lie within its bytes")


def _check_places(name: str, indices: Any, count: int) -> None:
    places = numbers_of(indices)
    outside = (places < 0) | (places >= count)
    if indices.null_count:
        bits = bits_of(indices)
        outside &= is_valid_rows(bits.data, bits.first, len(indices))
    if outside.any():
        raise BrokenError(f"column {name!r}: places in its dictionary must be >= 0 and < {count}")
