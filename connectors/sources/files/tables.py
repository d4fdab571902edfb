"""Pieces of the tables of one file of columns: positions count rows, and a dead letter names the row.

A file with a footer, or a stream whose end is marked, is finished at its end. A stream without a mark is read as far as
it is whole, and read on when it has grown.
"""

import os
from collections.abc import Iterator

import numpy as np

from connectors.sources.columns.footer import has_footer
from connectors.sources.columns.opening import Tables
from connectors.sources.columns.table import Table
from connectors.sources.contract import Chunk
from connectors.sources.files.config import FilesConfig
from connectors.sources.files.entries import Stat, open_file
from connectors.sources.files.lines import ReplacedError
from connectors.sources.files.names import File

ROWS = 1 << 15
"""Rows of a chunk."""
_NO_BYTES = np.zeros(0, np.uint8)


class TableReader:
    """The rows of one open file from where it was left. OSError when another file has taken its name since `stat`."""

    def __init__(self, config: FilesConfig, file: File, stat: Stat) -> None:
        self.file = file
        self._config = config
        self._stat = stat
        self._file = open_file(file.path, config.follow_links)
        try:
            if os.fstat(self._file.fileno()).st_ino != stat.inode:
                raise ReplacedError(f"inode={stat.inode} has another name now")
            self._tables = Tables(self._file, config.mapping, file.position)
        except BaseException:
            self._file.close()
            raise
        self._pieces = self._cut()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def next_chunk(self, bytes_max: int, received_ns: int) -> Chunk | None:  # noqa: ARG002 rows bound a chunk here
        """Return the next rows; None when there are none now. An unreadable file raises what is wrong with it."""
        piece = next(self._pieces, None)
        if piece is None:
            return self._end(received_ns)
        table, length = piece
        return self._chunk(table, length, received_ns)

    def _cut(self) -> Iterator[tuple[Table, int]]:
        for table in self._tables:
            bytes_a_row = table.batch.nbytes // table.rows + 1
            for start in range(0, table.rows, ROWS):
                piece = table.piece(start, min(ROWS, table.rows - start))
                yield piece, bytes_a_row * piece.rows

    def _end(self, received_ns: int) -> Chunk | None:
        """Return a chunk without rows that says that the file is finished, once."""
        file = self.file
        file.seen, file.waiting = self._stat, False
        if file.finished or file.position == 0 or not self._is_finished():
            return None
        file.finished = True
        return self._chunk(None, 0, received_ns)

    def _is_finished(self) -> bool:
        return self._tables.ended or has_footer(self._file, self._stat.size)

    def _chunk(self, table: Table | None, length: int, received_ns: int) -> Chunk:
        file, start = self.file, self.file.position
        file.position += table.rows if table is not None else 0
        return Chunk(
            self._config.name,
            file.key,
            _NO_BYTES,
            length,
            start,
            ~file.position if file.finished else file.position,
            self._config.deduplicated,
            file.finished,
            received_ns,
            start + 1,
            b"",
            table,
        )
