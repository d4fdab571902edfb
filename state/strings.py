"""The texts behind the hashes: every STRING value that events brought, written once, found by its hash.

A file of blocks, one an `add` that brought something new:

    length u32 | crc32 u32 of all that follows | count u32 | 0 u32
    count x (hash i64 | length u32)
    the texts, one after the other

In memory only a table from hash to offset is kept. At most `strings_max` texts are stored; later ones are refused and
counted, and read as unknown. Opening for writing cuts a torn tail off. Other processes open the file read-only and see
what was added since when they miss a text. A crash may take the tail; the engine loses nothing by it, because frames
carry their texts, redo adds them again, and `sync` comes before redo begins after them (`state.flusher`).

A text's meaning and where a hash occurs are not known here; hashes are `state.hashing.hash_text`.
"""

import struct
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from state.disk import DamagedError, Disk, write_whole
from state.hashing import mix64
from state.jit import kernel

TEXT_BYTES_MAX = (1 << 16) - 1
"""Longer texts are cut."""

_MAGIC = b"OPTEXTS1"
_BLOCK = struct.Struct("<IIII")
_ENTRY = np.dtype([("hash", "<i8"), ("length", "<u4")])
_BLOCK_TEXTS_MAX = 4096
_LENGTH_BITS = 16
_SIZE_MIN = 1 << 10

Int64s = NDArray[np.int64]


class Strings:
    """The texts file at `path`, created when it is missing and `writable`.

    Raises:
        DamagedError: when the file is not one of texts.
        ValueError: when `strings_max` is below 1.
    """

    def __init__(self, disk: Disk, path: Path, strings_max: int, *, writable: bool = True) -> None:
        if strings_max < 1:
            raise ValueError(f"strings_max={strings_max} must be >= 1")
        self.strings_max = strings_max
        self.count = 0
        self.refused = 0
        self._path = path
        self._writable = writable
        self._lock = threading.Lock()
        self._hashes = np.zeros(_SIZE_MIN, np.int64)
        self._places = np.zeros(_SIZE_MIN, np.int64)
        if writable and path.name not in disk.names(path.parent):
            write_whole(disk, path, _MAGIC)
        elif writable:
            disk.sync_folder(path.parent)  # a name that a killed process left may not be durable yet
        self._file = disk.open(path, writable=writable)
        self._end = self._open()

    def add(self, pairs: Sequence[tuple[int, bytes]]) -> int:
        """Store the texts that are new; return their number. After DiskError the call may be repeated."""
        if not pairs:
            return 0
        with self._lock:
            new = self._unknown(dict(pairs))
            room = max(self.strings_max - self.count, 0)
            taken = new[:room]
            for start in range(0, len(taken), _BLOCK_TEXTS_MAX):
                self._write(taken[start : start + _BLOCK_TEXTS_MAX])
            self.refused += len(new) - len(taken)
            return len(taken)

    def text(self, text_hash: int) -> bytes | None:
        """Return the text with this hash, or None."""
        with self._lock:
            place = find_place(text_hash, self._hashes, self._places)
            if place == 0 and not self._writable and self._file.size() > self._end:
                self._end = self._scan(self._end)
                place = find_place(text_hash, self._hashes, self._places)
            if place == 0:
                return None
            return self._file.read(place >> _LENGTH_BITS, place & TEXT_BYTES_MAX)

    def sync(self) -> None:
        """Return when every text added before the call survives a crash."""
        self._file.sync()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _open(self) -> int:
        size = self._file.size()
        if self._writable and size < len(_MAGIC):
            self._file.truncate(0)
            self._file.write([_MAGIC], 0)
            self._file.sync()
            size = len(_MAGIC)
        magic = self._file.read(0, len(_MAGIC))
        if magic != _MAGIC:
            raise DamagedError(f"texts file {self._path}: begins with {magic!r}, must be {_MAGIC!r}")
        end = self._scan(len(_MAGIC))
        if self._writable and end < size:
            self._file.truncate(end)
        return end

    def _scan(self, at: int) -> int:
        """Take in the whole blocks from `at` on; return where they end."""
        size = self._file.size()
        while at + _BLOCK.size <= size:
            head = self._file.read(at, _BLOCK.size)
            length, crc, count, _ = _BLOCK.unpack(head)
            body = self._file.read(at + _BLOCK.size, length)
            if len(body) < length or zlib.crc32(body, zlib.crc32(head[8:])) != crc or length < count * _ENTRY.itemsize:
                break
            self._index(np.frombuffer(body, _ENTRY, count), at + _BLOCK.size)
            at += _BLOCK.size + length
        return at

    def _index(self, entries: NDArray[np.void], body_at: int) -> None:
        """Index a block's entries; their texts begin after them."""
        lengths = entries["length"].astype(np.int64)
        texts_at = body_at + entries.nbytes
        places = ((texts_at + np.cumsum(lengths) - lengths) << _LENGTH_BITS) | lengths
        while 2 * (self.count + entries.shape[0]) > self._hashes.shape[0]:
            hashes, old = self._hashes, self._places
            self._hashes = np.zeros(2 * hashes.shape[0], np.int64)
            self._places = np.zeros(2 * hashes.shape[0], np.int64)
            insert_places(hashes, old, self._hashes, self._places)
        self.count += insert_places(entries["hash"].astype(np.int64), places, self._hashes, self._places)

    def _unknown(self, texts: dict[int, bytes]) -> list[tuple[int, bytes]]:
        return [pair for pair in texts.items() if find_place(pair[0], self._hashes, self._places) == 0]

    def _write(self, texts: list[tuple[int, bytes]]) -> None:
        cut = [text[:TEXT_BYTES_MAX] for _, text in texts]
        entries = np.array([(pair[0], len(text)) for pair, text in zip(texts, cut, strict=True)], dtype=_ENTRY)
        body = entries.tobytes() + b"".join(cut)
        tail = struct.pack("<II", len(texts), 0)
        crc = zlib.crc32(body, zlib.crc32(tail))
        self._file.write([struct.pack("<II", len(body), crc) + tail, body], self._end)
        self._index(entries, self._end + _BLOCK.size)
        self._end += _BLOCK.size + len(body)


@kernel
def find_place(text_hash: int, hashes: Int64s, places: Int64s) -> int:
    """Return the place of a text, 0 when it is unknown."""
    mask = hashes.shape[0] - 1
    at = mix64(text_hash) & mask
    while places[at] != 0:
        if hashes[at] == text_hash:
            return int(places[at])
        at = (at + 1) & mask
    return 0


@kernel
def insert_places(new_hashes: Int64s, new_places: Int64s, hashes: Int64s, places: Int64s) -> int:
    """Insert hashes with their places (0: none, left out) into the table; return how many it did not have."""
    mask = hashes.shape[0] - 1
    added = 0
    for i in range(new_hashes.shape[0]):
        if new_places[i] == 0:
            continue
        at = mix64(new_hashes[i]) & mask
        while places[at] != 0 and hashes[at] != new_hashes[i]:
            at = (at + 1) & mask
        if places[at] == 0:
            hashes[at] = new_hashes[i]
            places[at] = new_places[i]
            added += 1
    return added
