"""The books of a data directory: every version that was ever activated, by name of its content.

An activation record in the log names a version; the shelf holds the texts it was made of, so that a redo, a rehearsal
or an answer to "why" years later reads the rules as they were. A book is written before the log speaks of it.
"""

import threading
from pathlib import Path

import orjson

from engine.compiled import Compile, CompiledBook, compile_texts
from state.disk import Disk, RealDisk, read_whole, write_whole

KEPT_MAX = 8
"""Compiled books in memory: the one in force, and those whose decisions are still read."""


class BookShelf:
    """Books in `folder`; those used last are kept compiled. Thread-safe.

    Raises:
        KeyError: when a version is asked for that was never put.
    """

    def __init__(self, folder: Path, disk: Disk | None = None, compile_: Compile = compile_texts) -> None:
        self.folder = folder
        self.compile = compile_
        self._disk = disk or RealDisk()
        self._disk.make_folder(folder)
        self._disk.sync_folder(folder)  # a name that a killed process left may not be durable yet
        self._guard = threading.Lock()
        self._compiled: dict[str, CompiledBook] = {}

    def put(self, compiled: CompiledBook) -> None:
        """Keep a book durably."""
        book = compiled.book
        if f"{book.version}.json" not in self._disk.names(self.folder):
            record = {"version": book.version, "sources": dict(book.sources)}
            write_whole(self._disk, self._path(book.version), orjson.dumps(record, option=orjson.OPT_INDENT_2))
        self._keep(book.version, compiled)

    def get(self, version: str) -> CompiledBook:
        """Return the compiled book of a version."""
        compiled = self._compiled.get(version)
        if compiled is None:
            if f"{version}.json" not in self._disk.names(self.folder):
                raise KeyError(version)
            record = orjson.loads(read_whole(self._disk, self._path(version)))
            compiled = self.compile(record["sources"], None)
        return self._keep(version, compiled)

    def _keep(self, version: str, compiled: CompiledBook) -> CompiledBook:
        """Make a book the one used last, and let the one go that was not used for longest."""
        with self._guard:
            kept = self._compiled.pop(version, compiled)
            self._compiled[version] = kept
            if len(self._compiled) > KEPT_MAX:
                del self._compiled[next(iter(self._compiled))]
        return kept

    def _path(self, version: str) -> Path:
        return self.folder / f"{version}.json"
