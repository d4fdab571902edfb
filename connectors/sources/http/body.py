"""A request's body, unpacked, in an array that grows with what came and that a kernel may read beyond.

    body = Body(bytes_max, hold)
    inflater = Inflater(body) if packed else body
    inflater.feed(block) ...; inflater.finish()
    body.data[:body.length]

Each growth asks `hold` first, so that bodies count against the intake's room while they are read, however small the
packed bytes are. A gzip body may have several members. One that is cut (also in its trailer or in a later member), has
a wrong checksum, or has something after its end raises BodyError, and nothing of it is to be kept.
"""

import zlib
from collections.abc import Callable
from typing import Protocol

import numpy as np

from connectors.sources.contract import Bytes
from state.raw import PADDING

FIRST_BYTES = 1 << 16
MEMBERS_MAX = 1024
_PIECE_BYTES = 1 << 18
_ANY_HEADER = 32 + zlib.MAX_WBITS
"""zlib's word for "a gzip or a zlib header, whichever comes"."""
PACKED = ("gzip", "x-gzip", "deflate")
"""Values of Content-Encoding that are unpacked."""


class BodyError(ValueError):
    """The body cannot be unpacked; the text says why."""


class TooLongError(Exception):
    """The body is longer than it may be."""


class Target(Protocol):
    """What takes a body's blocks as they come."""

    def feed(self, block: bytes) -> None:
        """Take the next bytes; BodyError or TooLongError."""

    def finish(self) -> None:
        """Take note of the end; BodyError when something is missing."""


class Body:
    """The bytes of a body.

    Args:
        bytes_max: TooLongError above it.
        hold: called with the size of the array before it is made or grows; raises when there is no room for it.
    """

    def __init__(self, bytes_max: int, hold: Callable[[int], None]) -> None:
        self.length = 0
        self._bytes_max = bytes_max
        self._hold = hold
        self.data: Bytes = self._array(min(FIRST_BYTES, bytes_max))

    def feed(self, block: bytes) -> None:
        """Append bytes."""
        needed = self.length + len(block)
        if needed > self._bytes_max:
            raise TooLongError
        if needed + PADDING > len(self.data):
            grown = self._array(min(2 * needed, self._bytes_max))
            grown[: self.length] = self.data[: self.length]
            self.data = grown
        self.data[self.length : needed] = np.frombuffer(block, np.uint8)
        self.length = needed

    def finish(self) -> None:
        """Do nothing: HTTP itself says when a plain body is cut."""

    def _array(self, size: int) -> Bytes:
        self._hold(size + PADDING)
        return np.zeros(size + PADDING, np.uint8)


class Inflater:
    """Unpacks a body's gzip members, or its zlib stream, into `body`."""

    def __init__(self, body: Body, packed_bytes_max: int) -> None:
        self._body = body
        self._left = packed_bytes_max
        self._member = zlib.decompressobj(_ANY_HEADER)
        self._members = 1

    def feed(self, block: bytes) -> None:
        """Unpack the next bytes."""
        self._left -= len(block)
        if self._left < 0:
            raise TooLongError
        while block:
            if self._member.eof:
                self._next_member()
            block = self._unpack(block)

    def finish(self) -> None:
        """Check that the last member is whole."""
        if not self._member.eof:
            raise BodyError("packed body is cut off")

    def _unpack(self, block: bytes) -> bytes:
        """Unpack what of `block` belongs to this member; return the rest."""
        member = self._member
        while True:
            try:
                piece = member.decompress(block, _PIECE_BYTES)
            except zlib.error as fault:
                raise BodyError(f"packed body is broken: {fault}") from fault
            self._body.feed(piece)
            block = member.unconsumed_tail
            if member.eof or (not block and len(piece) < _PIECE_BYTES):
                return member.unused_data

    def _next_member(self) -> None:
        self._members += 1
        if self._members > MEMBERS_MAX:
            raise BodyError(f"packed body must have <= {MEMBERS_MAX} members")
        self._member = zlib.decompressobj(_ANY_HEADER)
