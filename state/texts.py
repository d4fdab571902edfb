"""Texts as columns: what the hashes of a batch, a frame or a decision record stand for.

A STRING value is compared by its hash (`state.hashing.hash_text`); what it says travels beside it, with the rows that
have it and no further: `hashes`, where each text begins, and the bytes. A text may stand there twice. Nothing here
grows with the number of different values that a feed has: a batch has its own, and goes with them.

What a subscriber's columns hold longer than a batch is in `state.held_texts`.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from state.hashing import hash_address, hash_text
from state.jit import kernel, part
from state.raw import address_of, load_i64, store_i64

SLACK_BYTES = 8
"""Bytes after the last text that may be read and written: copies move eight at a time."""

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]
Bytes = NDArray[np.uint8]


class Lookup(Protocol):
    """Finds a text by its hash."""

    def text(self, hashed: int) -> bytes | None:
        """Return the text, None when it is not kept."""


class Texts:
    """Texts by their hashes.

    `hashes` int64[k]; `starts` int64[k + 1], where each text begins in `data`, which has SLACK_BYTES after the last.
    """

    __slots__ = ("_places", "_table", "data", "hashes", "starts")

    def __init__(self, hashes: Int64s, starts: Int64s, data: Bytes) -> None:
        self.hashes = hashes
        self.starts = starts
        self.data = data
        self._table: Int32s | None = None
        self._places: dict[int, int] | None = None

    @property
    def count(self) -> int:
        """Number of texts."""
        return int(self.hashes.shape[0])

    @property
    def lengths(self) -> Int64s:
        """Bytes of each text."""
        return np.diff(self.starts)

    @property
    def table(self) -> Int32s:
        """Where each hash stands in `hashes`: see `find_text`; made when it is first asked for."""
        if self._table is None:
            self._table = make_table(self.hashes)
        return self._table

    def text(self, hashed: int) -> bytes | None:
        """Return the text with this hash, None when it is not here."""
        # A dict and not `find_text`: a kernel gives the interpreter lock away, and each call waits to have it back.
        if self._places is None:
            self._places = dict(zip(reversed(self.hashes.tolist()), range(self.count - 1, -1, -1), strict=True))
        place = self._places.get(hashed)
        return self.data[self.starts[place] : self.starts[place + 1]].tobytes() if place is not None else None

    def pairs(self) -> list[tuple[int, bytes]]:
        """Return hashes and texts, in their order."""
        data, starts = self.data.tobytes(), self.starts.tolist()
        return [(hashed, data[starts[i] : starts[i + 1]]) for i, hashed in enumerate(self.hashes.tolist())]


class Chained:
    """Texts of several places; the first that has one answers."""

    def __init__(self, *places: Lookup) -> None:
        self._places = places

    def text(self, hashed: int) -> bytes | None:
        """Return the text, None when no place has it."""
        return next((text for place in self._places if (text := place.text(hashed)) is not None), None)


def texts_of(pairs: Iterable[tuple[int, bytes]]) -> Texts:
    """Return the (hash, text) pairs as columns."""
    every = list(pairs)
    starts = np.zeros(len(every) + 1, np.int64)
    np.cumsum([len(text) for _, text in every], out=starts[1:])
    data = np.frombuffer(b"".join(text for _, text in every) + bytes(SLACK_BYTES), np.uint8).copy()
    return Texts(np.array([hashed for hashed, _ in every], np.int64), starts, data)


def hashed_texts(texts: Iterable[bytes]) -> Texts:
    """Return texts with their hashes."""
    return texts_of((hash_text(text), text) for text in texts)


def hashes_of(texts: Sequence[bytes]) -> Int64s:
    """Return the hashes of many texts, int64[k]."""
    found = texts_of((0, text) for text in texts)
    hash_texts(found.data, found.starts, found.hashes)
    return found.hashes


NO_TEXTS = texts_of(())


def joined(parts: Sequence[Texts]) -> Texts:
    """Return the texts of all parts."""
    some = [one for one in {id(one): one for one in parts}.values() if one.count]
    if len(some) <= 1:
        return some[0] if some else NO_TEXTS
    starts = np.zeros(sum(one.count for one in some) + 1, np.int64)
    np.cumsum(np.concatenate([one.lengths for one in some]), out=starts[1:])
    data = [one.data[: one.starts[-1]] for one in some]
    return Texts(
        np.concatenate([one.hashes for one in some]),
        starts,
        np.concatenate([*data, np.zeros(SLACK_BYTES, np.uint8)]),
    )


def copied(hashes: Int64s, addresses: Int64s, lengths: Int64s) -> Texts:
    """Return texts copied from memory, where SLACK_BYTES after each can be read."""
    starts = np.zeros(hashes.shape[0] + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    data = np.empty(int(starts[-1]) + SLACK_BYTES, np.uint8)
    copy_texts(addresses, starts, data)
    return Texts(hashes, starts, data)


def encode_texts(texts: Texts) -> bytes:
    """Return texts as bytes: the hashes, the lengths, the texts."""
    if not texts.count:
        return b""
    lengths = texts.lengths.astype(np.uint32)
    return b"".join((texts.hashes.tobytes(), lengths.tobytes(), texts.data[: texts.starts[-1]].tobytes()))


def decode_texts(data: bytes | memoryview, count: int) -> Texts:
    """Return what `encode_texts` wrote of `count` texts; ValueError when it is none."""
    if not 0 <= 12 * count <= len(data):
        raise ValueError(f"texts={count} must be >= 0 and <= {len(data) // 12}")
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.frombuffer(data, np.uint32, count, 8 * count).astype(np.int64), out=starts[1:])
    if starts[-1] + 12 * count != len(data):
        raise ValueError(f"texts={count} do not fill their {len(data)} bytes")
    text = np.frombuffer(bytes(data[12 * count :]) + bytes(SLACK_BYTES), np.uint8).copy()
    return Texts(np.frombuffer(data, np.int64, count).copy(), starts, text)


def make_table(hashes: Int64s, size_min: int = 8) -> Int32s:
    """Return a table for `find_text`: a power of two, at most half full."""
    size = size_min
    while size < 2 * hashes.shape[0]:
        size *= 2
    table = np.zeros(size, np.int32)
    index_texts(hashes, hashes.shape[0], table)
    return table


@kernel
def index_texts(hashes: Int64s, count: int, table: Int32s) -> None:
    """Enter the first `count` hashes into a table of zeros; of equal ones the first."""
    mask = table.shape[0] - 1
    for i in range(count):
        at = hashes[i] & mask
        while table[at] != 0 and hashes[table[at] - 1] != hashes[i]:
            at = (at + 1) & mask
        if table[at] == 0:
            table[at] = i + 1


@kernel
def find_text(hashed: int, hashes: Int64s, table: Int32s) -> int:
    """Return the place of a hash, -1 when it is not there."""
    mask = table.shape[0] - 1
    at = hashed & mask
    while table[at] != 0:
        if hashes[table[at] - 1] == hashed:
            return int(table[at]) - 1
        at = (at + 1) & mask
    return -1


@kernel
def find_texts(wanted: Int64s, hashes: Int64s, table: Int32s, places: Int64s) -> None:
    """Write the place of each wanted hash, -1 for one that is not there."""
    for i in range(wanted.shape[0]):
        places[i] = find_text(wanted[i], hashes, table)


@kernel
def hash_texts(data: Bytes, starts: Int64s, hashes: Int64s) -> None:
    """Write the hash of each text in `data`."""
    base = address_of(data)
    for i in range(hashes.shape[0]):
        hashes[i] = hash_address(base + starts[i], starts[i + 1] - starts[i])


@kernel
def copy_texts(addresses: Int64s, starts: Int64s, data: Bytes) -> None:
    """Copy the text at each address to its place in `data`."""
    base = address_of(data)
    for i in range(addresses.shape[0]):
        copy_bytes(addresses[i], base + starts[i], starts[i + 1] - starts[i])


@part
def copy_bytes(source: int, target: int, length: int) -> None:
    """Copy bytes, eight at a time: up to seven more are read and overwritten."""
    for offset in range(0, length, 8):
        store_i64(target + offset, load_i64(source + offset))
