"""What a Parquet file says of itself, checked before its pages are unpacked: no few bytes may take much memory.

Every page that will be read is visited by its header alone. `DELTA_BYTE_ARRAY`, in which a few bytes write a long text
again and again, is not read.
"""

import os
from typing import Any

from connectors.sources.columns.compact import page_header
from connectors.sources.columns.footer import PARQUET
from connectors.sources.columns.messages import BrokenError

FOOTER_BYTES_MAX = 64 << 20
PAGE_BYTES_MAX = 64 << 20
"""Bytes of a page, unpacked."""
ROWS_A_BYTE_MAX = 256
"""Rows that one byte of a group may stand for: an event has a subscriber and a time, so a true one has far fewer."""
_HEADER_BYTES = 1 << 12
_HEADER_BYTES_MAX = 1 << 20
_DELTA_BYTE_ARRAY = 7


def check_footer(descriptor: int, size: int) -> None:
    """Raise BrokenError where a file has no footer, or one beyond the bound."""
    end = os.pread(descriptor, 8, max(0, size - 8))
    if end[4:] != PARQUET or size < 12:
        raise BrokenError(
            f"file ends with {end[4:].hex()}, must end with {PARQUET.hex()}: it is cut off, or no Parquet"
        )
    length = int.from_bytes(end[:4], "little")
    if length > min(FOOTER_BYTES_MAX, size - 12):
        raise BrokenError(f"footer length={length} must be <= {min(FOOTER_BYTES_MAX, size - 12)}")


def check_group(descriptor: int, size: int, group: Any, columns: list[int]) -> None:
    """Raise BrokenError where a group of rows, or a page of one of the columns, is beyond a bound."""
    total = 0
    for number in columns:
        column = group.column(number)
        start = column.data_page_offset
        dictionary = column.dictionary_page_offset
        if dictionary is not None and 0 < dictionary < start:
            start = dictionary
        end = start + column.total_compressed_size
        if not 0 <= start <= end <= size:
            raise BrokenError(
                f"column {column.path_in_schema!r} lies at {start} to {end}, must lie within {size} bytes"
            )
        total += end - start
        _check_pages(descriptor, start, end, column.path_in_schema)
    if group.num_rows < 0 or group.num_rows > ROWS_A_BYTE_MAX * total:
        raise BrokenError(f"rows={group.num_rows} of {total} bytes must be <= {ROWS_A_BYTE_MAX * total}")


def _check_pages(descriptor: int, start: int, end: int, name: str) -> None:
    at = start
    while at < end:
        try:
            page = page_header(os.pread(descriptor, min(_HEADER_BYTES, end - at), at))
        except IndexError:
            page = _long_header(descriptor, at, end, name)
        if not 0 <= page.unpacked <= PAGE_BYTES_MAX or not 0 <= page.packed <= end - at - page.length:
            bytes_ = f"{page.packed} bytes that unpack to {page.unpacked}"
            raise BrokenError(f"column {name!r}: a page of {bytes_} must be within its column and <= {PAGE_BYTES_MAX}")
        if page.encoding == _DELTA_BYTE_ARRAY:
            raise BrokenError(f"column {name!r}: encoding DELTA_BYTE_ARRAY is not read")
        at += page.length + page.packed


def _long_header(descriptor: int, at: int, end: int, name: str) -> Any:
    try:
        return page_header(os.pread(descriptor, min(_HEADER_BYTES_MAX, end - at), at))
    except IndexError as fault:
        raise BrokenError(
            f"column {name!r}: the header of a page at byte {at} does not read as one: {fault}"
        ) from fault
