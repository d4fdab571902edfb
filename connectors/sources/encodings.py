"""Lines as the scanner reads them: UTF-8, one sign between two values; made so at once, line by line where that fails.

In each of the encodings the byte 10 is a line end and nothing else, so that lines stay lines. A delimiter of several
signs becomes one that no text has; a line that has it, or a quote in which the delimiter may be a text, is left to the
strict path. Places in a chunk are always those of the bytes that came.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from connectors.sources.contract import Chunk, padded
from connectors.sources.mapping import Mapping

_UNREADABLE = b"\xff"  # no UTF-8: the scanner leaves such a line to the strict path
_LINE_END = 10
_SEPARATOR = "\x1f"
"""What stands for a delimiter of several signs: the unit separator of ASCII."""


class _UnreadableError(ValueError):
    """Lines cannot be rewritten at once."""


def one_sign(delimiter: str) -> str:
    """Return the sign that stands for a delimiter."""
    return delimiter if len(delimiter) == 1 else _SEPARATOR


def is_plain(mapping: Mapping) -> bool:
    """Return whether the scanner reads the lines of a source as they come."""
    return mapping.line_encoding == "utf-8" and (mapping.format != "delimited" or len(mapping.delimiter) == 1)


def plain(chunk: Chunk, starts: NDArray[np.int64], mapping: Mapping) -> Chunk:
    """Return a chunk of the same lines as the scanner reads them; one that cannot be, or is too long, is no UTF-8.

    `starts` are the chunk's `line_starts`.
    """
    raw = chunk.data[: chunk.length].tobytes()
    longest = int(np.diff(starts).max(initial=0))
    try:
        text = _rewritten(raw, mapping) if longest <= mapping.line_bytes_max else None
    except (UnicodeDecodeError, _UnreadableError):
        text = None
    if text is None:
        text = b"\n".join(_line(line, mapping) for line in raw.split(b"\n"))
    return replace(chunk, data=padded(text), length=len(text))


def _rewritten(raw: bytes, mapping: Mapping) -> bytes:
    text = raw if mapping.line_encoding == "utf-8" else raw.decode(mapping.line_encoding).encode()
    if mapping.format != "delimited" or len(mapping.delimiter) == 1:
        return text
    if _SEPARATOR.encode() in text or (mapping.quotes and b'"' in text):
        raise _UnreadableError
    return text.replace(mapping.delimiter.encode(), _SEPARATOR.encode())


def line_starts(chunk: Chunk) -> NDArray[np.int64]:
    """Return where each line of a chunk begins, and where one after the last would."""
    ends = np.flatnonzero(chunk.data[: chunk.length] == _LINE_END) + 1
    last = [] if chunk.length == 0 or chunk.data[chunk.length - 1] == _LINE_END else [chunk.length + 1]
    return np.concatenate([[0], ends, last]).astype(np.int64)


def _line(raw: bytes, mapping: Mapping) -> bytes:
    if len(raw) > mapping.line_bytes_max:
        return _UNREADABLE
    try:
        return _rewritten(raw, mapping)
    except (UnicodeDecodeError, _UnreadableError):
        return _UNREADABLE
