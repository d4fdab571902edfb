"""Whether a file of columns has the footer that its beginning promises: without it the file is still being written."""

import os
from io import FileIO

ARROW, PARQUET = b"ARROW1", b"PAR1"
"""What a file with a footer begins and ends with."""


def is_whole(file: FileIO, size: int) -> bool:
    """Return whether nothing can follow, or nothing needs to: it has its footer, or is a stream, which has none."""
    magic = _begins_with(file)
    return magic is None or _ends_with(file, size, magic)


def has_footer(file: FileIO, size: int) -> bool:
    """Return whether a file is of a kind that has a footer, and has it."""
    magic = _begins_with(file)
    return magic is not None and _ends_with(file, size, magic)


def _begins_with(file: FileIO) -> bytes | None:
    start = os.pread(file.fileno(), 8, 0)
    return next((magic for magic in (ARROW, PARQUET) if start.startswith(magic)), None)


def _ends_with(file: FileIO, size: int, magic: bytes) -> bool:
    return size > 2 * len(magic) and os.pread(file.fileno(), len(magic), size - len(magic)) == magic
