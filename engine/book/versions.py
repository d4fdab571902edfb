"""The versions of a book that a shelf keeps: which there are, what changed between two, and an earlier one put back.

`roll_back` writes the texts of an earlier version into the book's folder, whole, where a running engine finds them
within a second. What stands in the folder must be kept already, or it would be lost: a book that was never in force, or
is not one, needs `force`.
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

from engine.book.shelf import BookShelf
from rules.diagnostics import BookErrors
from rules.load import book_files, is_book_file, read_folder, version_of


class VersionError(Exception):
    """There is no such version, or it may not be put back; the text says why."""


def versions(shelf: BookShelf) -> list[str]:
    """Return every version kept, the oldest first."""
    return [path.stem for path in sorted(shelf.folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)]


def kept(shelf: BookShelf, begin: str) -> dict[str, str]:
    """Return the texts of the version that begins so, tables too; VersionError where there is none, or several."""
    found = [version for version in versions(shelf) if version.startswith(begin)]
    if len(found) != 1:
        what = "is none that was kept" if not found else f"may be {' or '.join(found)}"
        raise VersionError(f"version={begin!r} {what}; `opportune books list` shows all")
    return {name: text for name, text in shelf.sources(found[0]).items() if is_book_file(name)}


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a unified diff of all files."""
    for name in sorted({*old, *new}):
        before, after = old.get(name, "").splitlines(), new.get(name, "").splitlines()
        yield from difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm="")


def roll_back(folder: Path, shelf: BookShelf, begin: str, *, force: bool = False) -> str:
    """Write a version's texts into the book's folder; return what was done. VersionError where it may not be."""
    texts = kept(shelf, begin)
    wanted = version_of(texts)
    try:
        present = version_of(read_folder(folder))
    except BookErrors:
        present = ""
    if present == wanted:
        return f"{folder} holds version {present} already"
    if not force and present not in versions(shelf):
        raise VersionError(f"{folder} holds a book that was never in force, and would be lost: save it, or say --force")
    for name, text in texts.items():
        draft = folder / f".{name}.draft"
        draft.write_text(text, encoding="utf-8")
        draft.rename(folder / name)
    for path in book_files(folder):
        if path.name not in texts:
            path.unlink()
    return f"{folder} holds version {wanted} again; a running engine takes it up within a second"
