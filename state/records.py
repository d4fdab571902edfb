"""One record of a segment as bytes, and how whole records are told from a torn tail and from rot.

    length u32 | crc32 u32 | position i64 | durable i64 | append_ms i64 | payload, padded to eight bytes

The checksum covers everything after it. `durable` is the highest position known to be on disk when the record was
written: a whole record that follows a broken one and says that the broken one was durable proves that bytes rotted.

Files are not opened here: see `state.segment_files`.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from state.disk import Buffer, File

RECORD_BYTES_MAX = 1 << 30

HEADER_BYTES = 32
_HEADER = struct.Struct("<IIqqq")
_UNCHECKED = struct.Struct("<II")
_CHECKED = struct.Struct("<qqq")
_WINDOW_BYTES = 4 << 20
NO_END = 1 << 62


@dataclass(frozen=True, slots=True)
class Record:
    """One record as read; `offset` and `end` say where in its file it stands, padding included."""

    position: int
    append_ms: int
    payload: memoryview
    offset: int
    end: int


def payload_length(parts: Sequence[Buffer]) -> int:
    """Return the bytes of a payload; ValueError when it is too long for a record."""
    length = sum(memoryview(part).nbytes for part in parts)
    if not 0 <= length <= RECORD_BYTES_MAX:
        raise ValueError(f"record length={length} must be <= {RECORD_BYTES_MAX}")
    return length


def record_bytes(length: int) -> int:
    """Return the bytes that a record with a payload of `length` bytes takes in a file."""
    return _padded(HEADER_BYTES + length)


def encode_record(parts: Sequence[Buffer], length: int, position: int, durable: int, append_ms: int) -> list[Buffer]:
    """Return what to write for a record whose payload has `length` bytes; the payload is not copied."""
    checked = _CHECKED.pack(position, durable, append_ms)
    crc = zlib.crc32(checked)
    for part in parts:
        crc = zlib.crc32(part, crc)
    return [_UNCHECKED.pack(length, crc) + checked, *parts, bytes(record_bytes(length) - HEADER_BYTES - length)]


def first_of(head: bytes) -> tuple[int, int]:
    """Return position and append time that the first bytes of a file name; -1 and -1 where it has too few."""
    _, _, position, _, append_ms = _HEADER.unpack(head.ljust(HEADER_BYTES, b"\xff"))
    return position, append_ms


def records(file: File, offset: int, position: int, end: int = NO_END) -> Iterator[Record]:
    """Yield checked records from `offset`, the first of them at `position`, until one does not check or `end` comes."""
    window, base = b"", offset
    while True:
        record = _parse(window, base, offset - base, position)
        if record is None:
            window, base = _window(file, offset, end), offset
            record = _parse(window, base, 0, position)
            if record is None:
                return
        yield record
        offset, position = record.end, position + 1


def spans_with_content(file: File, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of the span that are not all zeros."""
    for offset in range(start, end, _WINDOW_BYTES):
        data = file.read(offset, min(_WINDOW_BYTES, end - offset))
        if data.count(0) != len(data):
            yield offset, offset + len(data)


def proof_of_durability(data: bytes, broken: int) -> int | None:
    """Return the position of a whole record in `data` that was written when `broken` was durable, if there is one.

    Records are aligned, so their positions stand at words; those that could be one are checked.
    """
    words = np.frombuffer(data, np.int64, len(data) // 8)
    position, durable = words[1:-1], words[2:]
    likely = np.flatnonzero((position > broken) & (durable >= broken) & (durable < position))
    for word in likely.tolist():
        if _parse(data, 0, word * 8, int(position[word])) is not None:
            return int(position[word])
    return None


def _padded(length: int) -> int:
    return (length + 7) & ~7


def _parse(window: bytes, base: int, at: int, position: int) -> Record | None:
    """Return the whole, checked record that begins at `window[at]`, or None; `base` is where the window begins."""
    if at + HEADER_BYTES > len(window):
        return None
    length, crc, written, _, append_ms = _HEADER.unpack_from(window, at)
    end = at + HEADER_BYTES + length
    if written != position or end > len(window):
        return None
    view = memoryview(window)
    if zlib.crc32(view[at + 8 : end]) != crc:
        return None
    return Record(position, append_ms, view[at + HEADER_BYTES : end], base + at, base + at + _padded(end - at))


def _window(file: File, offset: int, end: int) -> bytes:
    """Read ahead from `offset`, no further than `end`, at least the whole record that seems to begin there."""
    window = file.read(offset, max(0, min(_WINDOW_BYTES, end - offset)))
    if len(window) == _WINDOW_BYTES:
        need = HEADER_BYTES + _HEADER.unpack_from(window)[0]
        if _WINDOW_BYTES < need <= HEADER_BYTES + RECORD_BYTES_MAX:
            return file.read(offset, need)
    return window


assert _HEADER.size == HEADER_BYTES
