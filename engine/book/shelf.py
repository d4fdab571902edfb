"""Books by name of their content: every version that was ever activated, and those used last ready to run.

An activation record in the log names a version; the texts it was made of are kept, so that a redo, a rehearsal or an
answer to "why" years later reads the rules as they were. A book is written before the log speaks of it.

    BookShelf       texts as files of a data directory
    BooksInMemory   texts packed in memory, for a command that reads them from a topic

An unused book costs only its source text: it is compiled when somebody asks for it.
"""

import re
import threading
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import orjson
from cachetools import LRUCache

from engine.book.compiled import Compile, CompiledBook, compile_texts
from state.disk import Disk, RealDisk, read_whole, write_whole

VERSION = re.compile("[0-9a-f]{16}")
KEPT_MAX = 8
"""Compiled books in memory: the one in force, and those whose decisions are still read."""


class Books(ABC):
    """Books by version; those used last are kept compiled. Thread-safe."""

    def __init__(self, compile_: Compile) -> None:
        self.compile = compile_
        self._guard = threading.Lock()
        self._compiled: LRUCache[str, CompiledBook] = LRUCache(KEPT_MAX)

    @abstractmethod
    def keep(self, version: str, sources: Mapping[str, str]) -> None:
        """Keep a book's texts durably, or as long as this object; one that is kept already stays as it is."""

    @abstractmethod
    def sources(self, version: str) -> Mapping[str, str]:
        """Return a book's texts; KeyError when it is not kept."""

    def forget(self, version: str) -> None:
        """Let a book go that nothing names any more; one that is not kept may be forgotten, too."""
        with self._guard:
            self._compiled.pop(version, None)

    def put(self, compiled: CompiledBook) -> None:
        """Keep a book that is compiled already."""
        self.keep(compiled.book.version, compiled.book.sources)
        self._use(compiled.book.version, compiled)

    def get(self, version: str) -> CompiledBook:
        """Return the compiled book of a version; KeyError when it is not kept."""
        with self._guard:  # reading moves a book to the end of those that go
            compiled = self._compiled.get(version)
        return compiled or self._use(version, self.compile(self.sources(version), None))

    def _use(self, version: str, compiled: CompiledBook) -> CompiledBook:
        """Keep a book in memory; where another thread compiled it meanwhile, all go on with that one."""
        with self._guard:
            return self._compiled.setdefault(version, compiled)


class BookShelf(Books):
    """Books in `folder`, one file a version."""

    def __init__(self, folder: Path, disk: Disk | None = None, compile_: Compile = compile_texts) -> None:
        super().__init__(compile_)
        self.folder = folder
        self._disk = disk or RealDisk()
        self._disk.make_folder(folder)
        self._disk.sync_folder(folder)  # a name that a killed process left may not be durable yet

    def keep(self, version: str, sources: Mapping[str, str]) -> None:
        """Keep a book's texts durably."""
        if not self._has(version):
            self._write(version, sources)

    def _write(self, version: str, sources: Mapping[str, str]) -> None:
        record = {"version": version, "sources": dict(sources)}
        write_whole(self._disk, self._path(version), orjson.dumps(record, option=orjson.OPT_INDENT_2))

    def put(self, compiled: CompiledBook) -> None:
        """Keep a book that is about to be active, its file as the newest one, also where it was kept before."""
        self._write(compiled.book.version, compiled.book.sources)
        self._use(compiled.book.version, compiled)

    def newest(self) -> str | None:
        """Return the version that was put last, None where there is none."""
        found = [(path.stat().st_mtime_ns, path.stem) for path in self.folder.glob("*.json")]
        return max(found)[1] if found else None

    def sources(self, version: str) -> Mapping[str, str]:
        """Return a book's texts; KeyError when it was never kept, or is forgotten."""
        if not self._has(version):
            raise KeyError(version)
        sources: dict[str, str] = orjson.loads(read_whole(self._disk, self._path(version)))["sources"]
        return sources

    def forget(self, version: str) -> None:
        """Remove a book's file."""
        super().forget(version)
        if self._has(version):
            self._disk.remove(self._path(version))

    def _has(self, version: str) -> bool:
        return f"{version}.json" in self._disk.names(self.folder)

    def _path(self, version: str) -> Path:
        if not VERSION.fullmatch(version):
            raise ValueError(f"version={version!r} of a book must be 16 hex digits")
        return self.folder / f"{version}.json"


class BooksInMemory(Books):
    """Books of which the texts lie in memory, packed: the shipped book takes a few kilobytes."""

    def __init__(self, compile_: Compile = compile_texts) -> None:
        super().__init__(compile_)
        self._packed: dict[str, bytes] = {}

    def keep(self, version: str, sources: Mapping[str, str]) -> None:
        """Keep a book's texts as long as this object."""
        if version not in self._packed:
            self._packed[version] = zlib.compress(orjson.dumps(dict(sources)), 1)

    def sources(self, version: str) -> Mapping[str, str]:
        """Return a book's texts; KeyError when it was never kept, or is forgotten."""
        sources: dict[str, str] = orjson.loads(zlib.decompress(self._packed[version]))
        return sources

    def forget(self, version: str) -> None:
        """Let a book's texts go."""
        super().forget(version)
        self._packed.pop(version, None)
