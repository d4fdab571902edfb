"""Watch the folder of the rule book and hand over every good change, whole.

The folder is looked at several times a second; a change is read once it has stood still for one look, so that a half
written file is not judged. A bad book leaves the running one serving: its faults are kept for status and said in the
log, and the folder is not read again until it changes.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from connectors.sources.mapping import MappingError
from engine.book.compiled import Compile, CompiledBook
from engine.book.loader import LoaderError
from rules.diagnostics import BookErrors
from rules.load import book_files, read_folder, version_of
from rules.model import Book

log = logging.getLogger("opportune.book")

Signature = tuple[tuple[str, int, int, int], ...]


class RefusedError(Exception):
    """A good book cannot be put in force here; the text says why."""


class BookWatcher:
    """Turns changes of a folder into books.

    Args:
        folder: the book's folder.
        compile_: makes a book of its texts.
        activate: called with every good book that differs from the last one; may raise RefusedError.
        reported: called with "ok" or "error" after every attempt.
    """

    def __init__(
        self,
        folder: Path,
        compile_: Compile,
        activate: Callable[[CompiledBook], None],
        reported: Callable[[str], None],
    ) -> None:
        self.folder = folder
        self.fault = ""
        self._compile = compile_
        self._activate = activate
        self._reported = reported
        self._seen: Signature | None = None
        self._read: Signature | None = None
        self._book: Book | None = None

    def begin(self, book: Book, fault: str = "") -> None:
        """Take the folder as it stands for read; `book` is the active one, `fault` what is wrong with the folder."""
        self._book = book
        self.fault = fault
        self._seen = self._read = signature(self.folder)

    def look(self) -> None:
        """Look at the folder once; read it when it changed and stood still since the last look."""
        now = signature(self.folder)
        settled, self._seen = now == self._seen, now
        if now == self._read or not settled:
            return
        self._read = now
        self.reload()

    def reload(self) -> None:
        """Read the book and activate it when it is good and new."""
        try:
            sources = read_folder(self.folder)
            if self._book is None or self._book.version != version_of(sources):
                compiled = self._compile(sources, self._book)
                self.fault = ""
                self._activate(compiled)
                self._book = compiled.book
                log.info("book %s with %d rules is in force", self._book.version, len(self._book.rules))
        except (BookErrors, LoaderError, MappingError, RefusedError, OSError) as fault:
            self._refuse(fault)
            return
        self.fault = ""
        self._reported("ok")

    def _refuse(self, fault: Exception) -> None:
        self.fault = str(fault)
        self._reported("error")
        log.error("the changed book is not used, the running one keeps serving:\n%s", fault)


def signature(folder: Path) -> Signature:
    """Return by what one state of the folder differs from another: names, sizes, times, file numbers."""
    found = []
    for path in book_files(folder):
        try:
            stat = path.stat()
        except OSError:  # gone, or a link to itself: reading the folder says what is wrong with it
            found.append((path.name, -1, 0, 0))
            continue
        found.append((path.name, stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return tuple(found)
