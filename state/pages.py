"""Subscribers as bytes: pages of 64 neighbouring slots, and single rows for those that sleep.

Packed bytes name the layout they were written under (which column of which feature, born when, how wide) and carry a
stamp: the log position up to which every event is in them. A page of a moment when redo is still running holds, slot by
slot, how far it is ahead of that. Columns are matched by key when bytes are read back, so a book that changed keeps the
history of what did not change: a column that memory has and the bytes lack stays zero, one that only the bytes have is
skipped, or made where the caller asks for it (`adopt`).

The bytes end with the texts that the columns name by their hashes (`state.held_texts`); how many bytes that are stands
in the head, in the high half of the word that says how long the columns are. Format 1 has none.

The squeezing itself is in `state.page_packing` and `state.row_packing`; what is written when, and where, in
`state.flusher`.
"""

import hashlib
import itertools
import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import orjson
from numpy.typing import NDArray

from state.columns import PAGE_SLOTS, Key, Table
from state.contacts import Contacts
from state.features import ColumnSpec
from state.page_packing import HEADER_BYTES, LANE_BYTES_MAX, SLACK_BYTES, Bytes, Int64s, pack_pages, unpack_page
from state.row_packing import pack_rows, unpack_rows

_HEADER = struct.Struct("<qqqq")
_SLACK = bytes(SLACK_BYTES)
_NO_STAMPS = np.zeros(0, np.int64)
_NO_COLUMNS = np.zeros((0, 2), np.int64)
_OUT_BYTES = 1 << 20
_TEXTS_BITS = 32
"""Where the length of the texts stands in the word that begins with that of the columns."""
_LANES_MASK = (1 << _TEXTS_BITS) - 1


class PageError(Exception):
    """Bytes are not a page or a row of this layout."""


@dataclass(frozen=True, slots=True)
class Column:
    """One array of a feature.

    `fingerprint` and `born` name the feature's columns, `part` is its index among them, `dtype` numpy's name of its
    elements.
    """

    fingerprint: str
    born: int
    part: int
    dtype: str
    row_bytes: int

    @property
    def key(self) -> Key:
        """The feature's key in the table."""
        return (self.fingerprint, self.born)

    @property
    def lane(self) -> int:
        """Bytes that are packed together."""
        item = np.dtype(self.dtype).itemsize
        return next(size for size in (8, 4, 1) if self.row_bytes % size == 0 and (item in (size, 1)))

    @property
    def spec(self) -> ColumnSpec:
        """What the table is asked for."""
        return ColumnSpec(self.dtype, self.row_bytes // np.dtype(self.dtype).itemsize)


@dataclass(frozen=True)
class Layout:
    """The columns that packed bytes consist of, in their order."""

    columns: tuple[Column, ...]

    def encode(self) -> bytes:
        """Return the layout as JSON."""
        return orjson.dumps([[c.fingerprint, c.born, c.part, c.dtype, c.row_bytes] for c in self.columns])

    @cached_property
    def id(self) -> int:
        """A number that differs where the layout differs."""
        return int.from_bytes(hashlib.blake2b(self.encode(), digest_size=8).digest(), "little") >> 1

    def specs(self) -> dict[Key, list[ColumnSpec]]:
        """What the table is asked for, by feature."""
        specs: dict[Key, list[ColumnSpec]] = {}
        for column in sorted(self.columns, key=lambda column: column.part):
            specs.setdefault(column.key, []).append(column.spec)
        return specs


def decode_layout(data: bytes) -> Layout:
    """Return the layout that `Layout.encode` wrote."""
    return Layout(tuple(Column(*fields) for fields in orjson.loads(data)))


class Pages:
    """Packs and unpacks the rows of one table and its contacts; used by one thread at a time."""

    def __init__(self, table: Table, contacts: Contacts) -> None:
        self.table = table
        self.contacts = contacts
        self._arrays: list[NDArray[np.generic]] = []
        self._layout = Layout(())
        self._out: Bytes = np.zeros(_OUT_BYTES, np.uint8)
        self._plans: dict[int, Int64s] = {}
        self._addresses = self._describe()

    def layout(self) -> Layout:
        """Return the table's present layout, which `pack` and `pack_rows` write.

        Call it before a run of `unpack` or `unpack_rows`: it notices columns that were made, widened or dropped.
        """
        infos = self.table.layout()
        same = len(infos) == len(self._arrays) and all(
            info.array is array for info, array in zip(infos, self._arrays, strict=True)
        )
        if not same:
            self._arrays = [info.array for info in infos]
            self._layout = Layout(
                tuple(Column(*info.key, info.part, info.array.dtype.str, info.row_bytes) for info in infos)
            )
            self._addresses = self._describe()
            self._plans.clear()
        return self._layout

    def pack(self, pages: Int64s, position: int, stamps: Int64s | None = None) -> list[bytes | None]:
        """Return each page as bytes, None for a page without subscribers.

        `position`: every event up to it is folded. `stamps`: of each slot, where redo may have left it ahead of that.
        """
        layout = self.layout()
        ends = np.zeros(pages.shape[0], np.int64)
        lanes = 1 + int((self._addresses[:, 1] // self._addresses[:, 2]).sum())
        packed: list[bytes | None] = []
        while len(packed) < pages.shape[0]:
            taken = len(packed)
            count = pack_pages(
                pages[taken:], position, layout.id, _NO_STAMPS if stamps is None else stamps, self.table.subs,
                self._addresses, lanes, self.contacts.arrays, self._out, ends,
            )  # fmt: skip
            firsts = pages[taken : taken + count] * PAGE_SLOTS
            for page in self._cut(ends[:count], firsts, PAGE_SLOTS, redoing=stamps is not None):
                packed.append(page if _HEADER.unpack_from(page)[3] else None)
            if count == 0:
                self._grow()
        return packed

    def pack_rows(self, slots: NDArray[np.int32], position: int, stamps: Int64s | None = None) -> list[bytes]:
        """Return each slot's row as bytes, stamped with `position` or with what redo left it at, if that is higher."""
        layout = self.layout()
        ends = np.zeros(slots.shape[0], np.int64)
        words = int(((self._addresses[:, 1] + 7) // 8).sum())
        packed: list[bytes] = []
        while len(packed) < slots.shape[0]:
            count = pack_rows(
                slots[len(packed) :], position, layout.id, _NO_STAMPS if stamps is None else stamps, self.table.subs,
                self._addresses, words, self.contacts.arrays, self._out, ends,
            )  # fmt: skip
            firsts = slots[len(packed) : len(packed) + count].astype(np.int64)
            packed.extend(self._cut(ends[:count], firsts, 1, redoing=stamps is not None))
            if count == 0:
                self._grow()
        return packed

    def unpack(self, page: int, data: bytes, layout: Layout, stamps: Int64s) -> None:
        """Load a page into its slots, which are empty; `stamps` of its slots, zero before, become theirs.

        The caller rebuilds the table's index when all pages are loaded. Raises PageError.
        """
        layout_id, stamp, lanes_bytes, texts = self._head(data, layout)
        if not 0 <= page < self.table.capacity // PAGE_SLOTS:
            raise PageError(f"page={page} must be >= 0 and < {self.table.capacity // PAGE_SLOTS}")
        end = len(data) - texts
        result = unpack_page(
            np.frombuffer(data[:end] + _SLACK, np.uint8), page, stamp, lanes_bytes, stamps,
            self._plan(layout_id, layout), self.contacts.arrays,
        )  # fmt: skip
        if result == -2:
            raise PageError(f"page={page} has more contacts than contacts_max={self.contacts.entries_max}")
        if result != 0:
            raise PageError(f"page={page} does not read back as it was written")
        if texts and not self._take([data[end:]]):
            raise PageError(f"texts of page={page} do not read back as they were written")

    def unpack_rows(self, slots: NDArray[np.int32], rows: list[bytes], layout: Layout) -> Int64s:
        """Load rows of one layout into slots, which are empty but for their subscribers; return the rows' stamps.

        `seen` of the slots stays as it is. Raises PageError.
        """
        stamps = np.zeros(slots.shape[0], np.int64)
        seen = self.table.seen[slots]
        loaded = unpack_rows(
            np.frombuffer(b"".join((*rows, _SLACK)), np.uint8), np.cumsum([len(row) for row in rows]), slots,
            self._plan(layout.id, layout), self.table.subs, stamps, self.contacts.arrays,
        )  # fmt: skip
        self.table.seen[slots] = seen
        if loaded < slots.shape[0]:
            subscriber = int(self.table.subs[slots[loaded]])
            raise PageError(
                f"row of subscriber={subscriber} does not read back as it was written, or has more contacts than "
                f"contacts_max={self.contacts.entries_max}"
            )
        texts = [row[len(row) - length :] for row in rows if (length := _HEADER.unpack_from(row)[2] >> _TEXTS_BITS)]
        if texts and not self._take(texts):
            raise PageError("texts of a row do not read back as they were written")
        return stamps

    def adopt(self, layout: Layout) -> None:
        """Make the columns of `layout` that the table lacks."""
        for key, specs in layout.specs().items():
            self.table.ensure(key, specs)

    def _describe(self) -> Int64s:
        """Return address, row bytes and lane of `subs`, `seen` and every column."""
        table = self.table
        rows = [(_address(table.subs), 8, 8), (_address(table.seen), 8, 8)]
        for array, column in zip(self._arrays, self._layout.columns, strict=True):
            rows.append((_address(array), column.row_bytes, column.lane))
        return np.array(rows, np.int64)

    def _plan(self, layout_id: int, layout: Layout) -> Int64s:
        """Return where each packed column goes: address, row bytes there, row bytes as packed, lane."""
        plan = self._plans.get(layout_id)
        if plan is None:
            self.layout()
            held = set(self.table.keys())
            for key, specs in layout.specs().items():
                if key in held:
                    self.table.ensure(key, specs)  # a column that was packed wider than ours is widened
            self.layout()
            targets = {
                (c.key, c.part, c.dtype): row
                for c, row in zip(self._layout.columns, self._addresses[2:].tolist(), strict=True)
            }
            rows = [[row[0], 8, 8, 8] for row in self._addresses[:2].tolist()]
            for column in layout.columns:
                address, row_bytes, _ = targets.get((column.key, column.part, column.dtype), (0, 0, 0))
                rows.append([address, row_bytes, column.row_bytes, column.lane])
            plan = self._plans[layout_id] = np.array(rows, np.int64)
        return plan

    def _take(self, texts: list[bytes]) -> bool:
        """Hold the texts of pages or rows; return whether they are whole."""
        ends = np.cumsum([len(one) for one in texts])
        begins = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
        return self.table.texts.take(np.frombuffer(bytearray(b"".join((*texts, _SLACK))), np.uint8), begins, ends)

    def _head(self, data: bytes, layout: Layout) -> tuple[int, int, int, int]:
        """Return a page's layout, stamp, length of lanes and of texts after checking them."""
        if len(data) < HEADER_BYTES:
            raise PageError(f"length={len(data)} must be >= {HEADER_BYTES}")
        layout_id, stamp, lengths, _ = _HEADER.unpack_from(data)
        packed_bytes, texts = lengths & _LANES_MASK, lengths >> _TEXTS_BITS
        if layout_id != layout.id or not 0 < packed_bytes <= len(data) - HEADER_BYTES - texts or texts < 0:
            raise PageError(
                f"layout={layout_id:x} length={packed_bytes} do not fit layout={layout.id:x} in {len(data)}"
            )
        return layout_id, stamp, packed_bytes, texts

    def _cut(self, ends: Int64s, firsts: Int64s, slots: int, *, redoing: bool) -> list[bytes]:
        """Return the pieces of the output that end at `ends`, each with the texts of its `slots` after the first."""
        view = self._out.data
        bounds = [0, *ends.tolist()]
        columns = self._text_columns(redoing=redoing) if self.table.texts.count else _NO_COLUMNS
        if not columns.shape[0]:
            return [bytes(view[start:end]) for start, end in itertools.pairwise(bounds)]
        data, text_ends = self.table.texts.append(firsts, slots, columns)
        pieces = []
        text_bounds = [0, *text_ends.tolist()]
        texts = data.data
        for (start, end), (begin, after) in zip(
            itertools.pairwise(bounds), itertools.pairwise(text_bounds), strict=True
        ):
            head = _HEADER.unpack_from(view, start)
            _HEADER.pack_into(view, start, *head[:2], head[2] | (after - begin) << _TEXTS_BITS, head[3])
            pieces.append(b"".join((view[start:end], texts[begin:after])))
        return pieces

    def _text_columns(self, *, redoing: bool) -> Int64s:
        """Return address and row bytes of the columns that may hold hashes of texts.

        In redo, that of a book which redo has not come to may be there already: then any column of words may.
        """
        keys = self.table.text_keys
        rows = [
            row[:2]
            for row, column in zip(self._addresses[2:].tolist(), self._layout.columns, strict=True)
            if (redoing or column.key in keys) and np.dtype(column.dtype) == np.int64
        ]
        return np.array(rows, np.int64).reshape(-1, 2)

    def _grow(self) -> None:
        self._out = np.zeros(2 * self._out.shape[0], np.uint8)


def packed_layout(data: bytes) -> int:
    """Return the id of the layout that a packed page or row names."""
    return int(_HEADER.unpack_from(data)[0])


def packed_stamp(data: bytes) -> int:
    """Return the stamp of a packed page or row."""
    return int(_HEADER.unpack_from(data)[1])


def _address(array: NDArray[np.generic]) -> int:
    """Return where an array's memory begins; valid as long as the table has the array (`Pages.layout` looks)."""
    return int(array.__array_interface__["data"][0])


assert LANE_BYTES_MAX * 64 < _OUT_BYTES
