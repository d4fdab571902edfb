"""A file in UTF-16 as the same text in UTF-8: its line ends are no single bytes, and all that follows cuts by those.

A mark of byte order says which end comes first; without one it is the small end. Half a letter at the end waits for its
rest. What is no letter becomes bytes that are no UTF-8, so that its line is told as such.
"""

import codecs

from connectors.sources.files.packing import Stream

_BLOCK_BYTES = 1 << 16


class Recoded:
    """A stream of UTF-8 from one in another encoding."""

    def __init__(self, source: Stream, encoding: str) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._block = bytearray(_BLOCK_BYTES)
        self._left = b""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the start of `buffer`; return the number of bytes, 0 at the end."""
        while not self._left:
            count = self._source.readinto(memoryview(self._block)) or 0
            if not count:
                return 0
            self._left = self._decoded(bytes(self._block[:count])).encode("utf-8", "surrogatepass")
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def _decoded(self, block: bytes) -> str:
        try:
            return self._decoder.decode(block)
        except UnicodeDecodeError as fault:
            raise OSError(f"is no {fault.encoding}: {fault.reason}") from fault

    def close(self) -> None:
        """Close the file."""
        self._source.close()
