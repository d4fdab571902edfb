"""The books of a data directory: every version that was ever activated, by name of its content.

An activation record in the log names a version; the shelf holds the texts it was made of, so that a redo, a rehearsal
or an answer to "why" years later reads the rules as they were. A book is written before the log speaks of it.
"""

from pathlib import Path

import orjson

from engine.compiled import CompiledBook, compile_book
from rules.load import load_text
from rules.model import Book
from state.disk import Disk, RealDisk, read_whole, write_whole


class BookShelf:
    """Books in `folder`, compiled on demand and kept.

    Raises:
        KeyError: when a version is asked for that was never put.
    """

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self.folder = folder
        self._disk = disk or RealDisk()
        self._disk.make_folder(folder)
        self._disk.sync_folder(folder)  # a name that a killed process left may not be durable yet
        self._compiled: dict[str, CompiledBook] = {}

    def put(self, book: Book) -> CompiledBook:
        """Keep a book durably and return it compiled."""
        compiled = self._compiled.get(book.version)
        if compiled is None:
            compiled = compile_book(book)
            if f"{book.version}.json" not in self._disk.names(self.folder):
                record = {"version": book.version, "sources": dict(book.sources)}
                write_whole(self._disk, self._path(book.version), orjson.dumps(record, option=orjson.OPT_INDENT_2))
            self._compiled[book.version] = compiled
        return compiled

    def get(self, version: str) -> CompiledBook:
        """Return the compiled book of a version."""
        compiled = self._compiled.get(version)
        if compiled is None:
            if f"{version}.json" not in self._disk.names(self.folder):
                raise KeyError(version)
            record = orjson.loads(read_whole(self._disk, self._path(version)))
            compiled = compile_book(load_text(record["sources"]))
            self._compiled[version] = compiled
        return compiled

    def _path(self, version: str) -> Path:
        return self.folder / f"{version}.json"
