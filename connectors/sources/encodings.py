"""Lines that are not UTF-8, made UTF-8 for the scanner: the block at once, line by line only where that fails.

In each of these encodings the byte 10 is a line end and nothing else, so that lines stay lines. Places in a chunk are
always those of the bytes that came.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from connectors.sources.contract import Chunk, padded
from connectors.sources.mapping import Encoding

_UNREADABLE = b"\xff"  # no UTF-8: the scanner leaves such a line to the strict path
_LINE_END = 10


def in_utf8(chunk: Chunk, starts: NDArray[np.int64], encoding: Encoding, line_bytes_max: int) -> Chunk:
    """Return a chunk of the same lines in UTF-8; one that cannot be read, or is too long, is no UTF-8 there either.

    `starts` are the chunk's `line_starts`.
    """
    raw = chunk.data[: chunk.length].tobytes()
    longest = int(np.diff(starts).max(initial=0))
    try:
        text = raw.decode(encoding).encode() if longest <= line_bytes_max else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        text = b"\n".join(_line(line, encoding, line_bytes_max) for line in raw.split(b"\n"))
    return replace(chunk, data=padded(text), length=len(text))


def line_starts(chunk: Chunk) -> NDArray[np.int64]:
    """Return where each line of a chunk begins, and where one after the last would."""
    ends = np.flatnonzero(chunk.data[: chunk.length] == _LINE_END) + 1
    last = [] if chunk.length == 0 or chunk.data[chunk.length - 1] == _LINE_END else [chunk.length + 1]
    return np.concatenate([[0], ends, last]).astype(np.int64)


def _line(raw: bytes, encoding: Encoding, line_bytes_max: int) -> bytes:
    if len(raw) > line_bytes_max:
        return _UNREADABLE
    try:
        return raw.decode(encoding).encode()
    except UnicodeDecodeError:
        return _UNREADABLE
