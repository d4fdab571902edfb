"""Tables of a book: rows by a key, from a CSV file beside it or written out, for `lookup`.

`declare_tables` reads `[tables.ID]`. The first of `columns` is the key; each may be looked up. A file is a text of the
book like any other: it belongs to its version and is read again with it, and what was read is remembered
(`rules.memory`), so that a reload pays only for a file that changed. A fault of a file has its line and its cell.

What a table says is no history: where a `where` looks something up, a row of the log is judged by the table of the book
in force, and what was kept before stays.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from hashlib import blake2b
from typing import Any

from rules.codes import Code
from rules.diagnostics import Diagnostic, Place, nearest
from rules.expressions.lookups import Column
from rules.expressions.tree import INT_MAX, INT_MIN, Scalar
from rules.memory import remembered
from rules.sections import Declared, id_fault, sections
from rules.shape import Faults, TableShape, shown, type_word
from rules.toml import Document
from state.schema import Kind

__all__ = ["HOLIDAYS", "ROWS_MAX", "declare_tables"]

ROWS_MAX = 200_000
CELLS_MAX = 4_000_000
"""Cells of all tables of a book together; a file counts for each table that is read from it."""
INT_CHARS_MAX = 64
"""Of a whole number in a file, zeros before it included; Python reads no text of thousands of digits."""
FAULTS_MAX = 20
"""Faults of one file that are reported."""
HOLIDAYS = "holidays"
"""The table that `holiday()` asks."""
EPOCH = date(1970, 1, 1).toordinal()
KINDS = {"string": Kind.STRING, "int": Kind.INT, "float": Kind.FLOAT, "bool": Kind.BOOL, "date": Kind.INT}
KEY_KINDS = ("string", "int", "date")
_INT = re.compile(r"[+-]?\d+", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

Columns = dict[str, Column]
Words = tuple[tuple[str, str], ...]
"""The columns of a table by the words of the book: name and kind."""


class _BadFileError(Exception):
    """A file is no table; `found` says why."""

    def __init__(self, found: list[Diagnostic]) -> None:
        super().__init__(f"{len(found)} faults")
        self.found = found


def declare_tables(
    documents: list[Document], files: Mapping[str, str], faults: Faults, broken: set[str]
) -> dict[str, Columns]:
    """Return the columns of every table; `files` are the texts beside the book's by name."""
    found: dict[str, Columns] = {}
    cells = 0
    for one in sections("tables", TableShape, documents, faults, broken, id_fault, frozenset({"columns"})):
        before = cells
        cells += _lines(one.shape, files) * len(one.shape.columns)
        if cells > CELLS_MAX:
            if before <= CELLS_MAX:
                message = f"cells={cells} of the tables as far as this one must be <= {CELLS_MAX}"
                faults.add(Code.OUT_OF_BOUNDS, one.document, one.path, message, key=True)
            broken.add(one.name)
            continue
        words = _words(one, faults)
        columns = None if words is None else _columns(one, words, files, faults)
        if columns is None:
            broken.add(one.name)
        else:
            found[one.name] = columns
    return found


def _lines(shape: TableShape, files: Mapping[str, str]) -> int:
    """How many rows a table has at most, before it is read."""
    if shape.file is None:
        return len(shape.rows or ())
    text = files.get(shape.file, "")
    return max(text.count("\n"), text.count("\r"))


def _words(one: Declared[TableShape], faults: Faults) -> Words | None:
    """The columns' kinds, once each is a kind, and the first is one of a key."""
    before = len(faults.found)
    for at, (name, kind) in enumerate(one.shape.columns.items()):
        choices = KEY_KINDS if at == 0 else tuple(KINDS)
        if kind not in choices:
            what = "the key of a table" if at == 0 else f"column `{name}`"
            message = f"{name}={shown(kind)}: {what} must be one of {', '.join(choices)}"
            path = (*one.path, "columns", name)
            faults.add(Code.BAD_TABLE, one.document, path, message, hint=nearest(kind, choices))
    if (one.shape.file is None) is (one.shape.rows is None):
        message = f"table `{one.name}` must have either `file` or `rows`"
        faults.add(Code.CHOOSE_ONE, one.document, one.path, message, key=True)
    return tuple(one.shape.columns.items()) if len(faults.found) == before else None


def _columns(one: Declared[TableShape], words: Words, files: Mapping[str, str], faults: Faults) -> Columns | None:
    if one.shape.file is None:
        return _written_out(one, words, faults)
    text = files.get(one.shape.file)
    if text is None or one.shape.file.endswith(".toml"):
        message = f'file="{one.shape.file}" is no CSV file of the book\'s folder'
        others = [name for name in files if name.endswith(".csv")]
        hint = nearest(one.shape.file, others)
        faults.add(Code.BAD_TABLE, one.document, (*one.path, "file"), message, hint=hint)
        return None
    try:
        return _of_file(one.name, one.shape.file, text, words)
    except _BadFileError as error:
        faults.extend(error.found)
        return None


@remembered
def _of_file(table: str, file: str, text: str, words: Words) -> Columns:
    """The columns of a CSV file, whose first line names them."""
    lines = text.splitlines()
    found: list[Diagnostic] = []

    def fault(code: Code, line: int, cell: str, message: str, hint: str = "", column: int = 0) -> None:
        excerpt = lines[line - 1] if line <= len(lines) else ""
        is_plain = '"' not in excerpt
        at = sum(len(one) + 1 for one in excerpt.split(",")[:column]) if is_plain else max(excerpt.find(cell), 0)
        found.append(Diagnostic(code, message, Place(file, line, at + 1, max(len(cell), 1), excerpt), "", hint))

    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: dict[Any, list[Scalar | None]] = {}
    try:
        heads = next(reader, [])
        places = [heads.index(name) if name in heads else -1 for name, _ in words]
        for (name, _), place in zip(words, places, strict=True):
            if place < 0:
                message = f"the first line of this file names no column `{name}`"
                fault(Code.BAD_TABLE, 1, lines[0] if lines else "", message, nearest(name, heads))
        if found:
            raise _BadFileError(found)
        for cells in reader:
            if cells:
                _row(rows, words, cells, places, reader.line_num, fault)
            if len(rows) > ROWS_MAX:
                fault(Code.OUT_OF_BOUNDS, reader.line_num, "", f"rows={len(rows)} must be <= {ROWS_MAX}")
            if len(found) >= FAULTS_MAX or len(rows) > ROWS_MAX:
                break
    except csv.Error as error:
        fault(Code.BAD_TABLE, reader.line_num, "", f"this is no line of a CSV file: {error}")
    if found:
        raise _BadFileError(found)
    return _made(table, words, rows)


def _row(
    rows: dict[Any, list[Scalar | None]],
    words: Words,
    cells: list[str],
    places: list[int],
    line: int,
    fault: Callable[..., None],
) -> None:
    """Take one line; an empty cell says nothing, but a key must be there."""
    values: list[Scalar | None] = []
    for (name, kind), at in zip(words, places, strict=True):
        cell = cells[at] if at < len(cells) else ""
        value = _value(kind, cell) if cell else None
        if value is None and (cell or not values):
            what = f"`{cell}` is none" if cell else "it is empty"
            fault(Code.BAD_TABLE, line, cell, f"column `{name}` holds {_PLURALS[kind]}; {what}", column=at)
            return
        values.append(value)
    key = values[0]
    if key in rows:
        cell = cells[places[0]]
        fault(Code.DECLARED_TWICE, line, cell, f"the key `{cell}` stands twice in this file", column=places[0])
        return
    rows[key] = values


_PLURALS = {
    "string": "texts",
    "int": "whole numbers of 64 bits",
    "float": "numbers",
    "bool": "`true` and `false`",
    "date": "dates such as 2026-10-01",
}


def _value(kind: str, cell: str) -> Scalar | None:
    """A cell as its kind; None where it is none."""
    if kind == "string":
        return cell
    if kind == "int":
        short = len(cell) <= INT_CHARS_MAX and _INT.fullmatch(cell)
        return int(cell) if short and INT_MIN <= int(cell) <= INT_MAX else None
    if kind == "float":
        number = float(cell) if _FLOAT.fullmatch(cell) else math.inf
        return number if math.isfinite(number) else None
    if kind == "bool":
        return {"true": True, "false": False}.get(cell)
    try:
        return date.fromisoformat(cell).toordinal() - EPOCH
    except ValueError:
        return None


def _written_out(one: Declared[TableShape], words: Words, faults: Faults) -> Columns | None:
    """The columns of rows that stand in the book."""
    rows: dict[Any, list[Scalar | None]] = {}
    before = len(faults.found)
    kinds = dict(words)
    key_name = words[0][0]
    for at, row in enumerate(one.shape.rows or ()):
        path = (*one.path, "rows", at)
        for name in row:
            if name not in kinds:
                hint = nearest(name, kinds) or f"its columns: {', '.join(kinds)}"
                faults.add(
                    Code.UNKNOWN_COLUMN, one.document, (*path, name), f"unknown column `{name}`", hint=hint, key=True
                )
        values = [_fitted(kinds[name], row[name]) if name in row else None for name in kinds]
        for name, value in zip(kinds, values, strict=True):
            if value is None and (name in row or name == key_name):
                what = f"{name}={shown(row[name])} is {type_word(row[name])}" if name in row else "it is missing"
                message = f"column `{name}` holds {_PLURALS[kinds[name]]}; {what}"
                place = (*path, name) if name in row else path
                faults.add(Code.BAD_TABLE, one.document, place, message)
        if values[0] in rows:
            message = f"the key `{row[key_name]}` stands twice in this table"
            faults.add(Code.DECLARED_TWICE, one.document, (*path, key_name), message)
        rows[values[0]] = values
    return _made(one.name, words, rows) if len(faults.found) == before else None


def _fitted(kind: str, given: Any) -> Scalar | None:
    """A value of TOML as its kind; None where it is of another."""
    if isinstance(given, bool):
        return given if kind == "bool" else None
    if kind == "string":
        return given if isinstance(given, str) and given else None
    if kind == "float":
        return float(given) if isinstance(given, int | float) and math.isfinite(given) else None
    fits = isinstance(given, int) if kind == "int" else kind == "date" and isinstance(given, str | date)
    return _value(kind, str(given)) if fits else None


def _made(table: str, words: Words, rows: Mapping[Any, list[Scalar | None]]) -> Columns:
    """The columns of checked rows; the key is one of them."""
    keys = tuple(rows)
    content = blake2b(repr((words, list(rows.values()))).encode(), digest_size=8).hexdigest()
    columns: Columns = {}
    for at, (name, kind) in enumerate(words):
        values = {key: value for key, row in rows.items() if (value := row[at]) is not None}
        columns[name] = Column(table, name, KINDS[kind], KINDS[words[0][1]], content, keys, values)
    return columns
