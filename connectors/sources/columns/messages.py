"""The messages of an Arrow IPC stream, each looked at before it is handed on.

What a message says of itself is not believed by half: its lengths are bounded, and so is what its compressed buffers
say they unpack to, so that no few bytes take much memory. The Arrow library, which reads from here, does the rest.

A file begins with a magic and then is a stream; its footer is not needed.
"""

import io
import struct
from collections import deque
from io import FileIO

import pyarrow as pa

from connectors.sources.columns.flat import Table
from connectors.sources.columns.footer import ARROW

METADATA_BYTES_MAX = 16 << 20
BODY_BYTES_MAX = 256 << 20
"""Bytes of one message, as it came and unpacked."""
ROWS_MAX = 1 << 24
_MAGIC_BYTES = 8
_NEXT = 0xFFFFFFFF
_SCHEMA, _DICTIONARY, _RECORDS = 1, 2, 3
_NOT_PACKED = -1
_VERSION_5 = 4  # before it compression was said elsewhere


class BrokenError(OSError):
    """A file is not what it says it is; the text says where."""


class CutError(EOFError):
    """A file ends within a message: it is cut, or still being written."""


class Messages(io.RawIOBase):
    """The stream of a file's messages, for the Arrow library to read from.

    `ended` says that the end of the stream was marked; without a mark it ends where the file does.
    """

    def __init__(self, source: FileIO) -> None:
        super().__init__()
        self.ended = False
        self._source = source
        self._number = 0
        self._left: deque[memoryview] = deque()
        begin = source.read(_MAGIC_BYTES)
        if not begin.startswith(ARROW):
            self._next(begin)

    def readable(self) -> bool:
        """Return true."""
        return True

    def read(self, size: int = -1) -> memoryview:
        """Return the next bytes, no more than are left of a part of a message: its head or its body."""
        if not self._left and not self.ended:
            self._next(self._source.read(8))
        if not self._left:
            return memoryview(b"")
        part = self._left.popleft()
        if 0 <= size < len(part):
            self._left.appendleft(part[size:])
            return part[:size]
        if len(part) < size and self._left:
            return memoryview(bytes(part) + bytes(self.read(size - len(part))))
        return part

    def _next(self, begin: bytes) -> None:
        """Take the next message, checked; nothing at the end of the file."""
        self._number += 1
        if not begin:
            return
        if len(begin) < 8:
            raise CutError(f"message {self._number} is cut off")
        mark, length = struct.unpack("<II", begin)
        if mark != _NEXT:
            told = f"begins with {begin.hex()}, must be Arrow IPC of release 0.15 or later"
            raise BrokenError(f"message {self._number} {told}")
        if length == 0:
            self.ended = True
            self._left.append(memoryview(begin))
            return
        metadata = bytes(self._take(length, METADATA_BYTES_MAX, "metadata"))
        try:
            body = self._checked(metadata)
        except (struct.error, IndexError) as fault:
            raise BrokenError(f"message {self._number}: metadata do not read as such: {fault}") from fault
        self._left.append(memoryview(begin + metadata))
        if body:
            self._left.append(body)

    def _checked(self, metadata: bytes) -> memoryview:
        """Return the body of a message once everything that its metadata say is within bounds."""
        message = Table.root(metadata)
        if message.short(0) < _VERSION_5:
            raise BrokenError(f"message {self._number} is of a format before version 5 (Arrow 1.0)")
        kind, length = message.byte(1), message.long(3)
        body = self._take(length, BODY_BYTES_MAX, "body")
        head = message.table(2)
        if head is None:
            raise IndexError("there is no header")
        if kind == _SCHEMA and head.short(0) != 0:
            raise BrokenError("byte order is big-endian, must be little-endian")
        if kind == _DICTIONARY and head.byte(2):
            raise BrokenError(f"message {self._number} is a delta of a dictionary, must be a whole one")
        records = head if kind == _RECORDS else head.table(1) if kind == _DICTIONARY else None
        if records is not None:
            self._check_records(records, body)
        return body

    def _check_records(self, records: Table, body: memoryview) -> None:
        rows = records.long(0)
        if not 0 <= rows <= ROWS_MAX:
            raise BrokenError(f"message {self._number}: rows={rows} must be >= 0 and <= {ROWS_MAX}")
        if records.table(3) is None:
            return
        unpacked = 0
        for at, length in records.pairs(2):
            if length >= 8 and at >= 0:
                size = struct.unpack_from("<q", body, at)[0]
                unpacked += length if size == _NOT_PACKED else size
                if not 0 <= size <= BODY_BYTES_MAX and size != _NOT_PACKED:
                    raise BrokenError(
                        f"message {self._number}: a buffer unpacks to {size} bytes, must be <= {BODY_BYTES_MAX}"
                    )
        if unpacked > BODY_BYTES_MAX:
            raise BrokenError(f"message {self._number} unpacks to {unpacked} bytes, must be <= {BODY_BYTES_MAX}")

    def _take(self, length: int, most: int, what: str) -> memoryview:
        if not 0 <= length <= most:
            raise BrokenError(f"message {self._number}: {what} length={length} must be >= 0 and <= {most}")
        # Arrow's memory is used again, where that of Python's bytes is given back and touched anew.
        found = memoryview(pa.allocate_buffer(length))
        filled = 0
        while filled < length and (count := self._source.readinto(found[filled:])):
            filled += count
        if filled < length:
            raise CutError(f"message {self._number} is cut off: {filled} of {length} bytes of its {what}")
        return found
