"""The texts that a data directory of format 1 kept in one table: what the hashes of its frames and pages stand for.

Since format 2 whatever holds a hash carries its text (`state.texts`), and nothing is written here any more. The file is
one of blocks:

    length u32 | crc32 u32 of all that follows | count u32 | 0 u32
    count x (hash i64 | length u32)
    the texts, one after the other

In memory only a table from hash to offset is kept. A torn tail is left unread.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from state.disk import DamagedError, Disk, File
from state.texts import find_text, make_table

TEXT_BYTES_MAX = (1 << 16) - 1
"""Longer texts were cut."""

_MAGIC = b"OPTEXTS1"
_BLOCK = struct.Struct("<IIII")
_ENTRY = np.dtype([("hash", "<i8"), ("length", "<u4")])
_NONE = np.zeros(0, np.int64)


class Strings:
    """The texts file at `path`; none where the directory never had one.

    Raises:
        DamagedError: when the file is not one of texts.
    """

    def __init__(self, disk: Disk, path: Path) -> None:
        there = path.name in disk.names(path.parent)
        self._file: File | None = disk.open(path, writable=False) if there else None
        blocks = _blocks(self._file, path) if self._file is not None else []
        self._hashes = np.concatenate([_NONE, *(hashes for hashes, _, _ in blocks)])
        self._places = np.concatenate([_NONE, *(places for _, places, _ in blocks)])
        self._lengths = np.concatenate([_NONE, *(lengths for _, _, lengths in blocks)])
        self._table = make_table(self._hashes)

    def text(self, text_hash: int) -> bytes | None:
        """Return the text with this hash, or None."""
        place = find_text(text_hash, self._hashes, self._table) if self._file is not None else -1
        if place < 0 or self._file is None:
            return None
        return self._file.read(int(self._places[place]), int(self._lengths[place]))

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


def _blocks(file: File, path: Path) -> list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Return hashes, places and lengths of the texts of each whole block."""
    magic = file.read(0, len(_MAGIC))
    if magic != _MAGIC[: len(magic)]:
        raise DamagedError(f"texts file {path}: begins with {magic!r}, must be {_MAGIC!r}")
    blocks = []
    at, size = len(_MAGIC), file.size()
    while at + _BLOCK.size <= size:
        head = file.read(at, _BLOCK.size)
        length, crc, count, _ = _BLOCK.unpack(head)
        body = file.read(at + _BLOCK.size, length)
        if len(body) < length or zlib.crc32(body, zlib.crc32(head[8:])) != crc or length < count * _ENTRY.itemsize:
            break
        entries = np.frombuffer(body, _ENTRY, count)
        lengths = entries["length"].astype(np.int64)
        begin = at + _BLOCK.size + entries.nbytes
        blocks.append((entries["hash"].astype(np.int64), begin + np.cumsum(lengths) - lengths, lengths))
        at += _BLOCK.size + length
    return blocks
