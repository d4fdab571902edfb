"""One entry of the log as bytes: a batch of events in packed columns, or a tick, an activation, a control.

A frame is a header of 64 bytes, JSON of the source positions, the payload, texts, columns, and eight bytes of padding.
Columns are packed by frame of reference: the smallest value once, then each value's distance from it in as few bytes as
the largest distance needs (none at all where every value is the same); low bits that all values share are left out.
Type, subscriber, time and id are columns over all rows. Cells are columns per event type and slot, over the rows that
know the slot. STRING cells with few different values name them by number in a dictionary of their own.

Packing is lossless but for one thing: a cell that `present` does not name reads back as 0.

Checksums and files are not known here: see `state.segments`. The caller says which schema a fingerprint means.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import orjson
from numpy.typing import NDArray

from state.batch import Batch, Int64s
from state.formats import known, magic
from state.jit import kernel
from state.raw import (
    address_i32,
    address_i64,
    address_of,
    address_u8,
    load_i32,
    load_i64,
    load_u8,
    shift_right,
    store_i64,
    trailing_zeros,
)
from state.schema import Kind, Schema

ROWS_MAX = 1 << 22
"""Events one frame may carry."""

_MAGIC = b"OPF"
_HEADER = struct.Struct("<4sBBHqii16sIIIII4x")
_PADDING = 8
_COLUMN_BYTES = 16  # of a column's description: width, shift, dictionary size, smallest value
_BUCKETS = 4096  # of the table that builds a dictionary
_DICTIONARY_MAX = 2048


class FrameKind(IntEnum):
    """What a frame does."""

    EVENTS = 1
    TICK = 2
    ACTIVATION = 3
    CONTROL = 4


@dataclass(slots=True)
class Frame:
    """One entry of a partition's log.

    `sources`: position of each source after this frame. `payload`: of an activation the book, of a control the command.
    `dedupe`: the ids of this frame's events are checked against those seen before.
    """

    kind: FrameKind
    append_ms: int
    batch: Batch | None = None
    sources: dict[str, int] = field(default_factory=dict)
    dedupe: bool = False
    payload: bytes = b""


class FrameError(Exception):
    """Bytes are not a frame."""


class Encoder:
    """Turns frames into bytes in a buffer of its own; one for each thread that encodes."""

    def __init__(self) -> None:
        self._out = np.zeros(1 << 16, np.uint8)
        self._rows = np.zeros(0, np.int32)
        self._values = np.zeros(0, np.int64)
        self._codes = np.zeros(0, np.int64)
        self._table = np.zeros((2, _BUCKETS), np.int64)
        self._slots: dict[str, Int64s] = {}

    def encode(self, frame: Frame) -> memoryview:
        """Return the frame's bytes, valid until the next call; ValueError when it has too many rows."""
        batch = frame.batch
        n = 0 if batch is None else batch.n
        if n > ROWS_MAX:
            raise ValueError(f"rows of a frame={n} must be <= {ROWS_MAX}")
        meta = orjson.dumps(frame.sources) if frame.sources else b""
        texts = _encode_texts(batch.strings) if batch is not None else b""
        before = b"".join((meta, frame.payload, texts))
        start = _HEADER.size + len(before)
        columns = self._encode_columns(batch, start) if batch is not None and n > 0 else 0
        self._make_room(start + columns + _PADDING)
        fingerprint = b"" if batch is None else batch.schema.fingerprint.encode()
        _HEADER.pack_into(
            self._out.data, 0, magic(_MAGIC), frame.kind, frame.dedupe, 0, frame.append_ms, n, 0, fingerprint,
            len(meta), len(frame.payload), len(texts), len(batch.strings) if batch is not None else 0, columns,
        )  # fmt: skip
        end = start + columns
        self._out[_HEADER.size : start] = np.frombuffer(before, np.uint8)
        self._out[end : end + _PADDING] = 0
        return self._out.data[: end + _PADDING]

    def _encode_columns(self, batch: Batch, start: int) -> int:
        """Pack the columns to `self._out[start:]` and return their length."""
        n, width = batch.n, batch.cells.shape[0]
        slots = len(batch.schema.types) * (width + 1) + 4
        self._make_room(start + n * 8 * (width + 5) + slots * _COLUMN_BYTES + _PADDING)
        if self._rows.shape[0] < n:
            self._rows = np.zeros(2 * n, np.int32)
            self._values = np.zeros(2 * n, np.int64)
            self._codes = np.zeros(2 * n, np.int64)
        slots_of = self._slots.get(batch.schema.fingerprint)
        if slots_of is None:
            slots_of = self._slots[batch.schema.fingerprint] = slots_by_type(batch.schema)
        length = pack_columns(
            np.ascontiguousarray(batch.type), np.ascontiguousarray(batch.subscriber),
            np.ascontiguousarray(batch.at_ms), np.ascontiguousarray(batch.id), np.ascontiguousarray(batch.present),
            np.ascontiguousarray(batch.cells), slots_of, self._rows, self._values, self._codes, self._table,
            self._out, start,
        )  # fmt: skip
        if length < 0:
            raise ValueError(f"type of a row={batch.type.max()} must be < {len(batch.schema.types)}")
        return length

    def _make_room(self, length: int) -> None:
        if self._out.shape[0] < length:
            self._out = np.concatenate([self._out, np.zeros(2 * length - self._out.shape[0], np.uint8)])


def encode(frame: Frame) -> bytes:
    """Return the frame as bytes of their own; an `Encoder` is cheaper where many are encoded."""
    return bytes(Encoder().encode(frame))


def decode(data: bytes | memoryview, schema_of: Callable[[str], Schema]) -> Frame:
    """Return the frame in `data`; `schema_of` finds the schema with a fingerprint.

    Raises FrameError when `data` is not a frame, no byte of it is trusted; NewerFormatError when a later one's.
    """
    if len(data) < _HEADER.size + _PADDING:
        raise FrameError(f"frame length={len(data)} must be >= {_HEADER.size + _PADDING}")
    header = _HEADER.unpack_from(data)
    begin, kind, dedupe, _, append_ms, n, _, fingerprint, meta, payload, texts, texts_count, columns = header
    ends = np.cumsum([_HEADER.size, meta, payload, texts, columns]).tolist()
    if not known(_MAGIC, begin) or ends[-1] + _PADDING != len(data) or not 0 <= n <= ROWS_MAX:
        raise FrameError(f"frame magic={begin.hex()} rows={n} length={len(data)} do not agree with each other")
    try:
        sources = orjson.loads(data[ends[0] : ends[1]]) if meta else {}
        frame = Frame(FrameKind(kind), append_ms, None, sources, bool(dedupe), bytes(data[ends[1] : ends[2]]))
        strings = _decode_texts(data[ends[2] : ends[3]], texts_count)
    except ValueError as error:
        raise FrameError(f"frame header: {error}") from error
    if any(fingerprint):
        batch = _decode_columns(data, ends[3], columns, n, schema_of(fingerprint.decode("ascii", "replace")))
        batch.strings = strings
        frame.batch = batch
    return frame


def _decode_columns(data: bytes | memoryview, start: int, length: int, n: int, schema: Schema) -> Batch:
    batch = Batch(
        schema,
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.uint8),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty((schema.width, n), np.int64),
    )
    if n == 0:
        return batch
    fields = np.array([len(kind.fields) for kind in schema.types], np.int64)
    end = unpack_columns(
        np.frombuffer(data, np.uint8), start, length, fields,
        batch.type, batch.subscriber, batch.at_ms, batch.id, batch.present, batch.cells,
        np.empty(n, np.int32), np.empty(n, np.int64),
    )  # fmt: skip
    if end != length:
        raise FrameError(f"columns of schema={schema.fingerprint} rows={n} end at {end}, must end at {length}")
    return batch


def _encode_texts(strings: list[tuple[int, bytes]]) -> bytes:
    if not strings:
        return b""
    hashes = np.array([hashed for hashed, _ in strings], np.int64)
    lengths = np.array([len(text) for _, text in strings], np.int32)
    return b"".join((hashes.tobytes(), lengths.tobytes(), *(text for _, text in strings)))


def _decode_texts(data: bytes | memoryview, count: int) -> list[tuple[int, bytes]]:
    if 12 * count > len(data):
        raise ValueError(f"texts={count} must be <= {len(data) // 12}")
    hashes = np.frombuffer(data, np.int64, count)
    ends = np.cumsum(np.frombuffer(data, np.uint32, count, 8 * count).astype(np.int64)) + 12 * count
    if (ends[-1] if count else 0) != len(data):
        raise ValueError(f"texts={count} do not fill their {len(data)} bytes")
    starts = [12 * count, *ends.tolist()]
    return [(hashed, bytes(data[starts[i] : starts[i + 1]])) for i, hashed in enumerate(hashes.tolist())]


def slots_by_type(schema: Schema) -> Int64s:
    """Return int64[2, types]: each type's slots as bits, and those of kind STRING."""
    masks = np.zeros((2, len(schema.types)), np.int64)
    for code, kind in enumerate(schema.types):
        for slot, described in enumerate(kind.fields):
            masks[0, code] |= 1 << slot
            masks[1, code] |= (described.kind == Kind.STRING) << slot
    return masks


# ---- kernels: addresses point into arrays that the callers above have made large enough


@kernel
def pack_columns(
    type_: NDArray[np.uint8], subscriber: Int64s, at_ms: Int64s, id_: Int64s, present: Int64s, cells: Int64s,
    slots_of: Int64s, rows: NDArray[np.int32], values: Int64s, codes: Int64s, table: Int64s,
    out: NDArray[np.uint8], start: int,
) -> int:  # fmt: skip
    """Pack every column to `out[start:]` and return how many bytes that took, -1 when a type is unknown."""
    n = type_.shape[0]
    types = slots_of.shape[1]
    base = address_of(out) + start
    scratch = address_i64(values)
    types_at, rows_at, present_at = address_u8(type_), address_i32(rows), address_i64(present)
    for row in range(n):
        code = load_u8(types_at + row)
        store_i64(scratch + 8 * row, code)
        if code >= types:
            return -1
    at = pack_column(scratch, n, base)
    at = pack_column(address_of(subscriber), n, at)
    at = pack_column(address_of(at_ms), n, at)
    at = pack_column(address_of(id_), n, at)
    starts = np.zeros(257, np.int64)
    group_rows(type_, starts, rows)
    generation = 0
    for code in range(types):
        low, high = starts[code], starts[code + 1]
        if low == high:
            continue
        known = np.int64(0)
        some_at = rows_at + 4 * low
        for i in range(high - low):
            slots = load_i64(present_at + 8 * load_i32(some_at + 4 * i)) & slots_of[0, code]
            store_i64(scratch + 8 * i, slots)
            known |= slots
        at = pack_column(scratch, high - low, at)
        for slot in range(cells.shape[0]):
            if (known >> slot) & 1 == 0:
                continue
            column = address_i64(cells) + 8 * slot * n
            count = gather_known(some_at, high - low, present_at, column, slot, scratch)
            if (slots_of[1, code] >> slot) & 1 != 0:
                generation += 1
                at = pack_texts(scratch, count, address_i64(codes), address_i64(table), generation, at)
            else:
                at = pack_column(scratch, count, at)
    table[1, :] = 0
    return at - base


@kernel
def group_rows(type_: NDArray[np.uint8], starts: Int64s, rows: NDArray[np.int32]) -> None:
    """Write the rows of type t, in order, to `rows[starts[t]:starts[t + 1]]`; `starts` comes in as zeros."""
    n = type_.shape[0]
    for row in range(n):
        starts[type_[row] + 1] += 1
    for code in range(256):
        starts[code + 1] += starts[code]
    for row in range(n):
        code = type_[row]
        rows[starts[code]] = row
        starts[code] += 1
    for code in range(256, 0, -1):
        starts[code] = starts[code - 1]
    starts[0] = 0


@kernel
def gather_known(rows_at: int, n: int, present_at: int, column: int, slot: int, values: int) -> int:
    """Copy the column's cells of the rows that know the slot to address `values` and return how many there are."""
    count = 0
    for i in range(n):
        row = load_i32(rows_at + 4 * i)
        store_i64(values + 8 * count, load_i64(column + 8 * row))
        count += (load_i64(present_at + 8 * row) >> slot) & 1
    return count


@kernel
def pack_column(source: int, count: int, at: int) -> int:
    """Pack `count` int64 at address `source` to address `at`; return the address behind."""
    first = load_i64(source)
    low, high, differ = first, first, np.int64(0)
    for i in range(count):
        value = load_i64(source + 8 * i)
        low = min(low, value)
        high = max(high, value)
        differ |= value ^ first
    shift = trailing_zeros(differ) & 63
    width = byte_width(shift_right(high - low, shift))
    at = put_column(at, width, shift, 0, low)
    return pack_values(source, count, low, shift, width, at)


@kernel
def pack_texts(values: int, count: int, codes: int, table: int, generation: int, at: int) -> int:
    """Pack `count` int64 at address `values` through a dictionary where that is smaller, else as a plain column.

    A bucket of the table is a value, and _BUCKETS words behind it generation << 16 | code, so that it need not be
    cleared.
    """
    limit = min(_DICTIONARY_MAX, count // 2)
    dictionary = at + _COLUMN_BYTES
    size = 0
    for i in range(count):
        value = load_i64(values + 8 * i)
        bucket = value ^ shift_right(value, 32)
        while True:
            place = table + 8 * (bucket & (_BUCKETS - 1))
            used = load_i64(place + 8 * _BUCKETS)
            if shift_right(used, 16) != generation or load_i64(place) == value:
                break
            bucket += 1
        if shift_right(used, 16) != generation:
            if size == limit:
                return pack_column(values, count, at)
            used = (generation << 16) | size
            store_i64(place, value)
            store_i64(place + 8 * _BUCKETS, used)
            store_i64(dictionary + 8 * size, value)
            size += 1
        store_i64(codes + 8 * i, used & 0xFFFF)
    if size == 1:
        return put_column(at, 0, 0, 0, load_i64(values))
    width = byte_width(size - 1)
    put_column(at, width, 0, size, 0)
    return pack_values(codes, count, 0, 0, width, dictionary + 8 * size)


@kernel
def put_column(at: int, width: int, shift: int, size: int, low: int) -> int:
    """Write a column's description; return the address behind it."""
    store_i64(at, width | (shift << 8) | (size << 16))
    store_i64(at + 8, low)
    return at + _COLUMN_BYTES


@kernel
def pack_values(source: int, count: int, low: int, shift: int, width: int, at: int) -> int:
    """Write the distance of each value from `low` in `width` bytes; overwrites up to eight bytes behind the end."""
    if width > 0:
        for i in range(count):
            store_i64(at + i * width, shift_right(load_i64(source + 8 * i) - low, shift))
    return at + count * width


@kernel
def byte_width(value: int) -> int:
    """Return how many bytes the unsigned `value` needs; 0 for 0."""
    width = 0
    while value != 0:
        value = shift_right(value, 8)
        width += 1
    return width


@kernel
def unpack_columns(
    data: NDArray[np.uint8], start: int, length: int, fields: Int64s,
    type_: NDArray[np.uint8], subscriber: Int64s, at_ms: Int64s, id_: Int64s, present: Int64s, cells: Int64s,
    rows: NDArray[np.int32], values: Int64s,
) -> int:  # fmt: skip
    """Fill the columns from `length` bytes at `data[start:]`; return how many were read, -1 when it is none."""
    n = type_.shape[0]
    base = address_of(data) + start
    end = base + length
    scratch = address_of(values)
    at = unpack_column(base, end, n, scratch)
    if at < 0:
        return -1
    for row in range(n):
        if not 0 <= values[row] < fields.shape[0]:
            return -1
        type_[row] = values[row]
    at = unpack_column(at, end, n, address_of(subscriber))
    at = unpack_column(at, end, n, address_of(at_ms))
    at = unpack_column(at, end, n, address_of(id_))
    starts = np.zeros(257, np.int64)
    group_rows(type_, starts, rows)
    cells[:, :] = 0
    for code in range(fields.shape[0]):
        low, high = starts[code], starts[code + 1]
        if low == high:
            continue
        at = unpack_column(at, end, high - low, scratch)
        if at < 0:
            return -1
        known, shared = np.int64(0), np.int64(-1)
        for i in range(low, high):
            present[rows[i]] = values[i - low]
            known |= values[i - low]
            shared &= values[i - low]
        if shift_right(known, fields[code]) != 0:
            return -1
        for slot in range(fields[code]):
            if (shared >> slot) & 1 != 0:
                at = unpack_column(at, end, high - low, scratch)
                for i in range(low, high):
                    cells[slot, rows[i]] = values[i - low]
            elif (known >> slot) & 1 != 0:
                at = unpack_cells(at, end, rows, low, high, present, slot, cells, values)
    return at - base if at >= 0 else -1


@kernel
def unpack_cells(
    at: int, end: int, rows: NDArray[np.int32], low: int, high: int, present: Int64s, slot: int, cells: Int64s,
    values: Int64s,
) -> int:  # fmt: skip
    """Fill one slot of the rows that know it; return the address behind the column, -1 when it is none."""
    count = 0
    for i in range(low, high):
        count += (present[rows[i]] >> slot) & 1
    at = unpack_column(at, end, count, address_of(values))
    if at < 0:
        return -1
    taken = 0
    for i in range(low, high):
        row = rows[i]
        known = (present[row] >> slot) & 1
        cells[slot, row] = values[taken] * known
        taken += known
        if taken == count:
            break
    return at


@kernel
def unpack_column(at: int, end: int, count: int, target: int) -> int:
    """Unpack `count` values to int64 at address `target`; return the address behind the column, -1 when it is none."""
    if at < 0 or at + _COLUMN_BYTES > end:
        return -1
    head = load_i64(at)
    low = load_i64(at + 8)
    width, shift, size = head & 0xFF, (head >> 8) & 0xFF, shift_right(head, 16)
    at += _COLUMN_BYTES
    if width > 8 or shift > 63 or size > _DICTIONARY_MAX or at + 8 * size + count * width > end:
        return -1
    dictionary = at
    at += 8 * size
    mask = np.int64(-1) if width == 8 else (np.int64(1) << (8 * width)) - 1
    if width == 0:
        for i in range(count):
            store_i64(target + 8 * i, low)
    elif size == 0:
        for i in range(count):
            store_i64(target + 8 * i, low + ((load_i64(at + i * width) & mask) << shift))
    else:
        for i in range(count):
            code = load_i64(at + i * width) & mask
            if not 0 <= code < size:
                return -1
            store_i64(target + 8 * i, load_i64(dictionary + 8 * code))
    return at + count * width
