"""Packed files by the ending of their names, as streams that unpack a block at a time: memory is bounded by the block.

Several packed files may stand one after the other in one. A file that is cut raises EOFError, one that is broken
OSError or zlib.error. What a dictionary of xz or a window of zstd may take is bounded too.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any, Protocol

DICTIONARY_BYTES_MAX = 192 << 20
"""Memory of an xz decoder; xz -9 needs 65 MiB. The library of zstd has a bound of its own, 128 MiB."""
_BLOCK_BYTES = 1 << 18
_CUT = "Truncated"


class Stream(Protocol):
    """What is read from: a plain file or an unpacked one."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the start of `buffer`; return the number of bytes, 0 at the end."""

    def close(self) -> None:
        """Close the file."""


class Source(Stream, Protocol):
    """A file as it lies there."""

    def read(self, size: int = -1, /) -> bytes | None:
        """Return at most so many bytes."""


class _Unpacked:
    """A file unpacked by decompressors of the standard library's form, one after the other."""

    def __init__(self, source: Source, make: Callable[[], Any]) -> None:
        self._source = source
        self._make = make
        self._one: Any = None
        self._left = b""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the start of `buffer`; return the number of bytes, 0 at the end."""
        while True:
            if (self._one is None or self._one.eof) and not self._begin():
                return 0
            block = b""
            if self._one.needs_input:
                block = self._left or self._source.read(_BLOCK_BYTES) or b""
                self._left = b""
                if not block:
                    raise EOFError("file ends before the end of what is packed in it")
            try:
                found = self._one.decompress(block, len(buffer))
            except lzma.LZMAError as fault:
                raise OSError(str(fault)) from fault
            if found:
                buffer[: len(found)] = found
                return len(found)

    def _begin(self) -> bool:
        """Begin with the next packed file in this one; false where there is none."""
        if self._one is not None:
            self._left = self._one.unused_data
        while True:
            # xz pads its files with zeros
            self._left = self._left.lstrip(b"\0") or self._source.read(_BLOCK_BYTES) or b""
            if not self._left:
                return False
            if self._left.strip(b"\0"):
                self._left = self._left.lstrip(b"\0")
                break
        self._one = self._make()
        return True

    def close(self) -> None:
        """Close the file."""
        self._source.close()


class _Zstd:
    """A file unpacked by the Arrow library."""

    def __init__(self, source: Source) -> None:
        import pyarrow as pa  # noqa: PLC0415 Arrow takes a while to import

        self._source = source
        self._stream = pa.CompressedInputStream(pa.PythonFile(source, mode="r"), "zstd")

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the start of `buffer`; return the number of bytes, 0 at the end."""
        try:
            found = self._stream.read(min(len(buffer), _BLOCK_BYTES))
        except OSError as fault:
            if _CUT in str(fault):
                raise EOFError("file ends before the end of what is packed in it") from fault
            raise
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        """Close the file."""
        self._source.close()


def _gzip(source: Source) -> Stream:
    file: Any = source  # its reader asks for less than its annotation says
    return gzip.GzipFile(fileobj=file, mode="rb")


def _bzip2(source: Source) -> Stream:
    return _Unpacked(source, bz2.BZ2Decompressor)


def _xz(source: Source) -> Stream:
    return _Unpacked(source, lambda: lzma.LZMADecompressor(memlimit=DICTIONARY_BYTES_MAX))


_OPENERS: dict[str, Callable[[Source], Stream]] = {".gz": _gzip, ".bz2": _bzip2, ".xz": _xz, ".zst": _Zstd}


def is_packed(name: str) -> bool:
    """Return whether the name is that of a packed file."""
    return name.endswith(tuple(_OPENERS))


def unpacked(name: str, source: Source) -> Stream:
    """Return a file as it is to be read: unpacked where its name says that it is packed."""
    return next((opener(source) for ending, opener in _OPENERS.items() if name.endswith(ending)), source)


def unpacked_start(name: str, start: bytes, length: int) -> bytes:
    """Return the first unpacked bytes of a packed file that begins with `start`; none of one that is broken."""
    found = bytearray()
    block = memoryview(bytearray(length))
    with suppress(OSError, EOFError, zlib.error):
        stream = unpacked(name, BytesIO(start))
        while len(found) < length and (count := stream.readinto(block[: length - len(found)])):
            found += block[:count]
    return bytes(found)
