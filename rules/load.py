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

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType

from rules import memory
from rules.catalogue import declare
from rules.codes import Code
from rules.compile import compile_rules
from rules.diagnostics import BookErrors, Diagnostic, Place
from rules.features import compile_features
from rules.goals import compile_goals
from rules.lineage import LOCK_FILE, Lineage
from rules.model import Book
from rules.scenarios import compile_scenarios
from rules.shape import Faults
from rules.toml import read_document
from state import calendar
from state.collector import collector_at_rest

__all__ = ["FILE_BYTES_MAX", "load_book", "load_text", "read_folder"]

FILE_BYTES_MAX = 16 << 20
BOM = "\ufeff"
"""What some editors put before the first line; it is no part of the text."""


def load_book(folder: Path, before: Book | None = None) -> Book:
    """The book in a folder's `*.toml` files; raises `BookErrors` with every fault, and changes nothing."""
    return load_text(read_folder(folder), before)


def load_text(sources: Mapping[str, str], before: Book | None = None) -> Book:
    """The book in these texts by file name. `before` is the book that this one follows, if there is one.

    `Book.sources` rebuilds the same book, bits of sets included.
    """
    texts = {name: text.removeprefix(BOM) for name, text in sorted(sources.items()) if name.endswith(".toml")}
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
    documents = [read_document(name, text) for name, text in texts.items()]
    faults = Faults(kept=kept)
    for document in documents:
        faults.extend(document.faults)
    if faults.found:
        raise BookErrors(faults.found)
    catalogue = declare(documents, lineage, faults)
    features, names = compile_features(catalogue, documents, faults)
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
        features=features,
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
    )


def version_of(texts: Mapping[str, str]) -> str:
    """Sixteen hex digits that differ where any file's name or text differs."""
    return blake2b(repr(sorted(texts.items())).encode(), digest_size=8).hexdigest()


def read_folder(folder: Path) -> dict[str, str]:
    """The texts of a folder's `*.toml` files; raises `BookErrors` for what cannot be read."""
    if not folder.is_dir():
        raise BookErrors([_whole(folder, "this is not a folder")])
    faults: list[Diagnostic] = []
    texts: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        if path.name.startswith("."):
            continue
        try:
            data = path.read_bytes()
            if len(data) > FILE_BYTES_MAX:
                faults.append(_whole(path, f"size={len(data)} bytes must be <= {FILE_BYTES_MAX}"))
                continue
            texts[path.name] = data.decode().removeprefix(BOM)
        except OSError as error:
            faults.append(_whole(path, f"this file cannot be read: {error.strerror}"))
        except UnicodeDecodeError as error:
            faults.append(_not_utf8(path.name, data, error.start))
    if not texts and not faults:
        faults.append(_whole(folder, "there is no *.toml file in this folder", Code.EMPTY_BOOK))
    if faults:
        raise BookErrors(faults)
    return texts


def _whole(path: Path, message: str, code: Code = Code.UNREADABLE) -> Diagnostic:
    return Diagnostic(code, message, Place(str(path), 1, 1))


def _not_utf8(file: str, data: bytes, at: int) -> Diagnostic:
    before = data[:at].rpartition(b"\n")[2].decode()
    message = f"this file is not UTF-8: byte 0x{data[at]:02x}"
    place = Place(file, data.count(b"\n", 0, at) + 1, len(before) + 1, 1, f"{before}\N{REPLACEMENT CHARACTER}")
    return Diagnostic(Code.UNREADABLE, message, place)
