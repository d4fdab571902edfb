"""From a folder of TOML files to a `Book`, or to every fault in them.

`load_book` reads a folder, `load_text` the same from texts; both are pure functions of the texts and of `before`, the
book that this one follows, which keeps the bits of sets (`rules.lineage`). The steps:

1. Read: each file to values (`rules.toml`). A file that is not TOML ends the reading here: without its names, half of
   what could be said of the others would be an echo.
2. Declare: events, attributes, lists, channels, campaigns, categories, areas, offers (`rules.catalogue`).
3. Features, then rules, then goals and tests, each on the names made before it (`rules.features`, `compile`, `goals`,
   `scenarios`).
4. All faults at once in `BookErrors`, or the frozen `Book`.

The grammar that authors write is told in `rules`. Nothing here is evaluated or compiled to machine code, so a reload
costs what its changed lines cost: see `rules.memory` and `rules.compile` for what is remembered.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType

from rules import memory
from rules.catalogue import declare
from rules.codes import Code
from rules.compile import RULES_MAX, compile_rules
from rules.diagnostics import BookErrors, Diagnostic, Place
from rules.features import compile_features
from rules.goals import compile_goals
from rules.implied import imply
from rules.lineage import LOCK_FILE, Lineage
from rules.model import Book
from rules.scenarios import compile_scenarios
from rules.shape import Faults, TooManyFaultsError
from rules.toml import Document, read_document
from rules.values import compile_values
from state import calendar
from state.collector import collector_at_rest

__all__ = ["BOOK_FILES", "FILE_BYTES_MAX", "book_files", "is_book_file", "load_book", "load_text", "read_folder"]

FILES_MAX = 1_000
FILE_BYTES_MAX = 16 << 20
BOOK_BYTES_MAX = 32 << 20
TESTS_MAX = 20_000
BOOK_FILES = (".toml", ".csv")
"""What the names of a book's files end with."""
BOM = "\ufeff"
"""What some editors put before the first line; it is no part of the text."""


def load_book(folder: Path, before: Book | None = None) -> Book:
    """The book in a folder's files; raises `BookErrors` with every fault, and changes nothing."""
    return load_text(read_folder(folder), before)


def load_text(sources: Mapping[str, str], before: Book | None = None) -> Book:
    """The book in these texts by file name. `before` is the book that this one follows, if there is one.

    `Book.sources` rebuilds the same book, bits of sets included.
    """
    texts = {name: text.removeprefix(BOM) for name, text in sorted(sources.items()) if name.endswith(BOOK_FILES)}
    version = version_of(texts)
    if before is not None and before.version == version:
        return before
    lineage = Lineage.read((before.sources if before is not None else sources).get(LOCK_FILE, ""))
    try:
        with collector_at_rest():
            return _read(version, texts, lineage, kept=before is None and LOCK_FILE in sources)
    finally:
        memory.turn()


def _read(version: str, texts: Mapping[str, str], lineage: Lineage, *, kept: bool) -> Book:
    """Steps 1 to 4; a book that is `kept` from before is not held against what only new books are asked for."""
    faults = Faults(kept=kept)
    try:
        return _steps(version, texts, lineage, faults)
    except TooManyFaultsError:
        raise BookErrors(faults.found, stopped=True) from None


def _steps(version: str, texts: Mapping[str, str], lineage: Lineage, faults: Faults) -> Book:
    documents = [read_document(name, text) for name, text in texts.items() if name.endswith(".toml")]
    for document in documents:
        faults.extend(document.faults)
    _check_amounts(documents, faults)
    if faults.found:
        raise BookErrors(faults.found)
    catalogue = declare(documents, lineage, faults, texts)
    features, names = compile_features(catalogue, documents, faults)
    imply(names, documents, features, faults)
    values = compile_values(documents, names, faults)
    rules, broken = compile_rules(documents, names, faults)
    goals = compile_goals(documents, names, rules, broken, faults)
    tests = compile_scenarios(documents, names, rules, broken, faults)
    if faults.found:
        raise BookErrors(faults.found)
    return Book(
        version=version,
        schema=catalogue.schema,
        zone=catalogue.zone,
        transitions=calendar.transitions(catalogue.zone),
        features=(*features, *names.timers),
        rules=rules,
        campaigns=MappingProxyType(catalogue.campaigns),
        channels=MappingProxyType(catalogue.channels),
        lists=MappingProxyType(catalogue.lists),
        areas=MappingProxyType(catalogue.areas),
        offers=MappingProxyType(catalogue.offers),
        tests=tests,
        caps=catalogue.caps,
        decisions_max=catalogue.decisions_max,
        holdout_ppm=catalogue.holdout_ppm,
        sources=MappingProxyType({**texts, LOCK_FILE: lineage.write()}),
        quiet=catalogue.quiet,
        categories=MappingProxyType(catalogue.categories),
        goals=goals,
        values=values,
    )


def _check_amounts(documents: list[Document], faults: Faults) -> None:
    """Count rules and tests before any is compiled."""
    rules, tests = sum(len(one.rules) for one in documents), sum(len(one.tests) for one in documents)
    for word, count, most in (("rules", rules, RULES_MAX), ("tests", tests, TESTS_MAX)):
        if count > most:
            faults.add(Code.OUT_OF_BOUNDS, documents[-1], (), f"{word}={count} must be <= {most}", key=True)


def version_of(texts: Mapping[str, str]) -> str:
    """Sixteen hex digits that differ where any file's name or text differs."""
    return blake2b(repr(sorted(texts.items())).encode(), digest_size=8).hexdigest()


def read_folder(folder: Path) -> dict[str, str]:
    """The texts of a folder's `*.toml` and `*.csv` files; raises `BookErrors` for what cannot be read.

    Only regular files are opened (a pipe would never end), and no more of one is read than a file may hold.
    """
    if not folder.is_dir():
        raise BookErrors([_whole(folder, "this is not a folder")])
    paths = book_files(folder)
    if len(paths) > FILES_MAX:
        raise BookErrors([_whole(folder, f"files={len(paths)} must be <= {FILES_MAX}")])
    faults: list[Diagnostic] = []
    texts: dict[str, str] = {}
    room = BOOK_BYTES_MAX
    for path in paths:
        try:
            data = _bytes_of(path)
            room -= len(data)
            if room < 0:
                raise BookErrors([_whole(folder, f"size of all files must be <= {BOOK_BYTES_MAX} bytes")])
            texts[path.name] = data.decode().removeprefix(BOM)
        except OSError as error:
            faults.append(_whole(path, f"this file cannot be read: {error.strerror}"))
        except UnicodeDecodeError as error:
            faults.append(_not_utf8(path.name, data, error.start))
        except _NotTakenError as error:
            faults.append(_whole(path, str(error)))
    if not any(name.endswith(".toml") for name in texts) and not faults:
        faults.append(_whole(folder, "there is no *.toml file in this folder", Code.EMPTY_BOOK))
    if faults:
        raise BookErrors(faults)
    return texts


class _NotTakenError(Exception):
    """A file that is no file of a book, whatever it holds."""


def _bytes_of(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        kind = os.fstat(descriptor)
        if not stat.S_ISREG(kind.st_mode):
            raise _NotTakenError("this is no regular file")
        if kind.st_size > FILE_BYTES_MAX:
            raise _NotTakenError(f"size={kind.st_size} bytes must be <= {FILE_BYTES_MAX}")
        return file.read(FILE_BYTES_MAX)


def book_files(folder: Path) -> list[Path]:
    """The files of a folder that belong to its book, by name: rules, and the tables beside them."""
    return sorted(path for path in folder.glob("*") if is_book_file(path.name))


def is_book_file(name: str) -> bool:
    """Whether a file of that name, in the folder itself, belongs to its book."""
    return name.endswith(BOOK_FILES) and name[0] != "." and "/" not in name and "\0" not in name


def _whole(path: Path, message: str, code: Code = Code.UNREADABLE) -> Diagnostic:
    return Diagnostic(code, message, Place(str(path), 1, 1))


def _not_utf8(file: str, data: bytes, at: int) -> Diagnostic:
    before = data[:at].rpartition(b"\n")[2].decode()
    message = f"this file is not UTF-8: byte 0x{data[at]:02x}"
    place = Place(file, data.count(b"\n", 0, at) + 1, len(before) + 1, 1, f"{before}\N{REPLACEMENT CHARACTER}")
    return Diagnostic(Code.UNREADABLE, message, place)
