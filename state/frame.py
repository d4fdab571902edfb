"""One entry of the log as bytes: a batch of events in packed columns, or a tick, an activation, a control.

A frame is a header of 64 bytes, JSON of the sources, the payload, columns, and eight bytes of padding.
Columns are packed by frame of reference: the smallest value once, then each value's distance from it in as few bytes as
the largest distance needs (none at all where every value is the same); low bits that all values share are left out.
Type, subscriber, time and id are columns over all rows. Cells are columns per event type and slot, over the rows that
know the slot. A STRING column carries its own texts, each different one once, and codes of them; the hash of a cell is
made from its text, so a frame is read without any table of texts. A mask in the header names further columns over all
rows: the log time, left out where every row has the frame's, and the four of a cause, left out where no row has one. A
word of the header says what kind of key the rows have (`state.key_kinds`): 0, subscribers.

Format 1 has no such column, and its JSON holds the positions alone: its rows have the frame's append time as log time.
Its STRING columns hold hashes, and a part before the columns those texts that its writer met for the first time; the
others are in `state.strings`, or in the topic `texts` of a cluster.

Packing is lossless but for one thing: a cell that `present` does not name reads back as 0.

The packing itself is in `state.column_packing`; checksums and files are in `state.segments`. The caller says which
schema a fingerprint means.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import orjson

from state.batch import NO_CAUSE, Batch, Int64s
from state.column_packing import pack_columns, unpack_columns
from state.formats import format_of, magic
from state.key_kinds import KIND_MAX, SUBSCRIBER
from state.schema import Kind, Schema
from state.text_packing import TextSource, TextTarget
from state.texts import SLACK_BYTES, Texts, decode_texts
from state.value_packing import COLUMN_BYTES

ROWS_MAX = 1 << 22
"""Events one frame may carry."""

_MAGIC = b"OPF"
_HEADER = struct.Struct("<4sBBHqiI16sIIIII4x")
_PADDING = 8

LOG_MS, CAUSE = 1, 2
"""Bits of the header's mask: the frame has a column of log times, four of causes."""


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
    `dedupe`: the ids of this frame's events are checked against those seen before. `clocks`: the state of each source's
    running clock after this frame, where it has one (`state.log_clock`). `key_kind`: what its rows are about.
    """

    kind: FrameKind
    append_ms: int
    batch: Batch | None = None
    sources: dict[str, int] = field(default_factory=dict)
    dedupe: bool = False
    payload: bytes = b""
    clocks: dict[str, list[int]] = field(default_factory=dict)
    key_kind: int = SUBSCRIBER


class FrameError(Exception):
    """Bytes are not a frame."""


class Encoder:
    """Turns frames into bytes in a buffer of its own; one for each thread that encodes."""

    def __init__(self) -> None:
        self._out = np.zeros(1 << 16, np.uint8)
        self._rows = np.zeros(0, np.int32)
        self._values = np.zeros(0, np.int64)
        self._codes = np.zeros(0, np.int64)
        self._order = np.zeros(0, np.int64)
        self._lengths = np.zeros(0, np.int64)
        self._marks = np.zeros(0, np.int64)
        self._generation = np.zeros(1, np.int64)
        self._written = np.zeros(2, np.int64)
        self._slots: dict[str, Int64s] = {}

    def encode(self, frame: Frame) -> memoryview:
        """Return the frame's bytes, valid until the next call; ValueError when it has too many rows."""
        batch = frame.batch
        n = 0 if batch is None else batch.n
        if n > ROWS_MAX:
            raise ValueError(f"rows of a frame={n} must be <= {ROWS_MAX}")
        meta = _encode_meta(frame)
        before = meta + frame.payload
        start = _HEADER.size + len(before)
        columns = mask = 0
        self._written[:] = 0
        if batch is not None and n > 0:
            mask = LOG_MS if batch.log_ms.any() and (batch.log_ms != frame.append_ms).any() else 0
            mask |= CAUSE if batch.cause.any() else 0
            columns = self._encode_columns(batch, start, mask)
        self._make_room(start + columns + _PADDING)
        fingerprint = b"" if batch is None else batch.schema.fingerprint.encode()
        _HEADER.pack_into(
            self._out.data, 0, magic(_MAGIC), frame.kind, frame.dedupe, mask, frame.append_ms, n, frame.key_kind,
            fingerprint, len(meta), len(frame.payload), int(self._written[1]), int(self._written[0]), columns,
        )  # fmt: skip
        end = start + columns
        self._out[_HEADER.size : start] = np.frombuffer(before, np.uint8)
        self._out[end : end + _PADDING] = 0
        return self._out.data[: end + _PADDING]

    def _encode_columns(self, batch: Batch, start: int, mask: int) -> int:
        """Pack the columns to `self._out[start:]` and return their length."""
        n, width = batch.n, batch.cells.shape[0]
        slots = len(batch.schema.types) * (width + 1) + 5
        size = n * 8 * (width + 10) + (slots + 4) * COLUMN_BYTES
        slots_of = self._slots.get(batch.schema.fingerprint)
        if slots_of is None:
            slots_of = self._slots[batch.schema.fingerprint] = slots_by_type(batch.schema)
        # Every text may stand in every column of texts, once; a row then has its length and its code there.
        here = np.flatnonzero(np.bincount(batch.type, minlength=slots_of.shape[1])[: slots_of.shape[1]])
        columns = int(np.bitwise_count(slots_of[1, here]).sum())
        size += columns * (int(batch.texts.starts[-1]) + 2 * COLUMN_BYTES + SLACK_BYTES) + n * 8 * width
        self._make_room(start + size + _PADDING)
        self._make_scratch(n, batch.texts.count)
        length = pack_columns(
            np.ascontiguousarray(batch.type), np.ascontiguousarray(batch.subscriber),
            np.ascontiguousarray(batch.at_ms), np.ascontiguousarray(batch.id), np.ascontiguousarray(batch.present),
            np.ascontiguousarray(batch.cells),
            np.ascontiguousarray(batch.log_ms if mask & LOG_MS else batch.log_ms[:0]),
            np.ascontiguousarray(batch.cause) if mask & CAUSE else NO_CAUSE,
            slots_of, self._rows, self._values, self._codes, self._source(batch.texts), self._out, start,
        )  # fmt: skip
        if length < 0:
            raise ValueError(f"type of a row={batch.type.max()} must be < {len(batch.schema.types)}")
        return length

    def _source(self, texts: Texts) -> TextSource:
        return TextSource(
            texts.hashes, texts.starts, texts.data, texts.table,
            self._marks, self._order, self._lengths, self._generation, self._written,
        )  # fmt: skip

    def _make_scratch(self, rows: int, texts: int) -> None:
        if self._rows.shape[0] < rows:
            self._rows = np.zeros(2 * rows, np.int32)
            self._values, self._codes, self._order, self._lengths = np.zeros((4, 2 * rows), np.int64)
        if self._marks.shape[0] < texts:
            self._marks = np.zeros(2 * texts, np.int64)

    def _make_room(self, length: int) -> None:
        """Have a buffer of `length` bytes; a new one costs memory only where it is written."""
        if self._out.shape[0] < length:
            self._out = np.zeros(2 * length, np.uint8)


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
    begin, kind, dedupe, mask, append_ms, n, keys, fingerprint, meta, payload, texts, texts_count, columns = header
    version = format_of(_MAGIC, begin)
    ends = np.cumsum([_HEADER.size, meta, payload, texts if version == 1 else 0, columns]).tolist()
    if (
        not version
        or mask & ~(LOG_MS | CAUSE)
        or ends[-1] + _PADDING != len(data)
        or not 0 <= n <= ROWS_MAX
        or keys > KIND_MAX
    ):
        raise FrameError(f"frame magic={begin.hex()} rows={n} length={len(data)} do not agree with each other")
    try:
        sources, clocks = _decode_meta(data[ends[0] : ends[1]], version)
        frame = Frame(
            FrameKind(kind), append_ms, None, sources, bool(dedupe), bytes(data[ends[1] : ends[2]]), clocks, keys
        )
        before = decode_texts(data[ends[2] : ends[3]], texts_count) if version == 1 else None
    except ValueError as error:
        raise FrameError(f"frame header: {error}") from error
    if any(fingerprint):
        schema = schema_of(fingerprint.decode("ascii", "replace"))
        room = (texts_count, texts) if version > 1 else None
        batch = _decode_columns(data, ends[3], columns, n, schema, mask, room)
        if not mask & LOG_MS:
            batch.log_ms[:] = append_ms
        if before is not None:
            batch.texts = before
        frame.batch = batch
    return frame


def _decode_columns(
    data: bytes | memoryview, start: int, length: int, n: int, schema: Schema, mask: int, room: tuple[int, int] | None
) -> Batch:
    """Return the rows; `room`: how many texts they have, and bytes of them, None where they have hashes alone."""
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
    if mask & CAUSE:
        batch.cause = np.empty((4, n), np.int64)
    fields = np.array([len(kind.fields) for kind in schema.types], np.int64)
    count, size = room or (0, 0)
    if not 0 <= count <= length or not 0 <= size <= length:
        raise FrameError(f"texts={count} of {size} bytes must be within columns of {length} bytes")
    texts = TextTarget(
        np.empty(count, np.int64),
        np.zeros(count + 1, np.int64),
        np.empty(size + SLACK_BYTES, np.uint8),
        np.zeros(2, np.int64),
    )
    texts_of = slots_by_type(schema)[1] if room is not None else np.zeros(len(schema.types), np.int64)
    end = unpack_columns(
        np.frombuffer(data, np.uint8), start, length, fields,
        batch.type, batch.subscriber, batch.at_ms, batch.id, batch.present, batch.cells,
        batch.log_ms if mask & LOG_MS else batch.log_ms[:0], batch.cause, np.empty(n, np.int32),
        np.empty(n, np.int64), np.empty(n, np.int64), texts_of, texts,
    )  # fmt: skip
    if end != length or texts.taken.tolist() != [count, size]:
        raise FrameError(f"columns of schema={schema.fingerprint} rows={n} end at {end}, must end at {length}")
    batch.texts = Texts(texts.hashes, texts.starts, texts.data)
    return batch


def _encode_meta(frame: Frame) -> bytes:
    if not frame.sources and not frame.clocks:
        return b""
    return orjson.dumps(
        {"sources": frame.sources, "clocks": frame.clocks} if frame.clocks else {"sources": frame.sources}
    )


def _decode_meta(data: bytes | memoryview, version: int) -> tuple[dict[str, int], dict[str, list[int]]]:
    """Return positions and clocks of the sources; ValueError when they are none."""
    meta = orjson.loads(data) if len(data) else {}
    if version == 1:
        meta = {"sources": meta}
    return meta.get("sources", {}), meta.get("clocks", {})


def slots_by_type(schema: Schema) -> Int64s:
    """Return int64[2, types]: each type's slots as bits, and those of kind STRING."""
    masks = np.zeros((2, len(schema.types)), np.int64)
    for code, kind in enumerate(schema.types):
        for slot, described in enumerate(kind.fields):
            masks[0, code] |= 1 << slot
            masks[1, code] |= (described.kind == Kind.STRING) << slot
    return masks
