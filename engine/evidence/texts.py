"""Rows as CSV and as NDJSON, so that what somebody else wrote cannot forge a cell, a line or a formula.

A cell of text that a spreadsheet would take for a formula, or for two cells, is preceded by an apostrophe; every other
character that does not show is written as its escape (`state.visible`). NDJSON reads back as it was.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from engine.evidence.rows import COLUMNS, Column, plain_rows
from state.visible import visible, visible_json

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", "|", "%")
"""What spreadsheets begin a formula with, wide letters included, or skip before one."""


def csv_lines(names: Sequence[str], rows: Iterable[Mapping[str, Any]], *, head: bool = True) -> Iterator[str]:
    """Yield lines of CSV, first the names; None is an empty cell."""
    if head:
        yield _line([cell(name) for name in names])
    for row in rows:
        yield _line([cell(row[name]) for name in names])


def ndjson_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line of JSON for each row."""
    for row in rows:
        yield visible_json(orjson.dumps(row).decode()) + "\n"


def cell(value: object) -> str:
    """Return a value as a cell of CSV."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value) if isinstance(value, float) else str(value)
    text = visible(value)
    return f"'{text}" if value.startswith(FORMULA) else text


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


class TextFile:
    """A file of CSV or NDJSON that is written block by block, as `parquet.ParquetFile` is."""

    def __init__(self, path: Path, kind: str) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._csv = kind == "csv"
        self._head = True

    def __enter__(self) -> "TextFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, columns: Mapping[str, Column]) -> None:
        """Write the columns of a block, as of `rows.Rows`."""
        rows = plain_rows(columns)
        self._file.writelines(csv_lines(COLUMNS, rows, head=self._head) if self._csv else ndjson_lines(rows))
        self._head = False
