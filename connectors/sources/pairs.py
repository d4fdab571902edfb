"""A line as names and values, the slow and obvious way: its length, its letters, its form, and which values are none.

What the values must be is not asked here: see `strict`.
"""

from typing import Any

from connectors.sources.dead_letter import Code
from connectors.sources.delimited import BadQuotesError, split_line
from connectors.sources.mapping import Mapping
from connectors.sources.objects import Decimal, RefusedError, digits_of, members_of

BOM = "\ufeff"


class PairReader:
    """Reads the lines of one source."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._none = frozenset(mapping.null_words)
        self.delimited = mapping.format == "delimited"
        self._errors = "surrogateescape" if self.delimited and mapping.ignore_unread_bytes else "strict"

    def pairs(self, raw: bytes, columns: tuple[str, ...]) -> list[tuple[str, Any]]:
        """Return what a line without its end says, in order, None for no value; RefusedError says what is wrong."""
        limit = self._mapping.line_bytes_max
        if len(raw) > limit:
            raise RefusedError(Code.LINE_TOO_LONG, "", f"{len(raw)} bytes", f"line must be <= {limit} bytes")
        text = self._text(raw)
        found = self._split(text, columns) if self.delimited else members_of(text)
        return self.without_null_words(found)

    def without_null_words(self, pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """Return names and values, None for texts that mean "no value"."""
        none = self._none
        return [(name, None if isinstance(value, str) and value in none else value) for name, value in pairs]

    def _text(self, raw: bytes) -> str:
        try:
            return raw.decode(self._mapping.line_encoding, self._errors).removeprefix(BOM)
        except UnicodeDecodeError as fault:
            raise RefusedError(Code.INVALID_UTF8, "", raw[fault.start : fault.start + 8].hex(), str(fault)) from fault

    def _split(self, text: str, columns: tuple[str, ...]) -> list[tuple[str, Any]]:
        try:
            values = split_line(text, self._mapping.delimiter, quotes=self._mapping.quotes)
        except BadQuotesError as fault:
            raise RefusedError(Code.BAD_SYNTAX, "", text, str(fault)) from fault
        if len(values) != len(columns):
            reason = f"line must have {len(columns)} values, one a column"
            raise RefusedError(Code.COLUMN_COUNT, "", f"{len(values)} values", reason)
        return [(name, value or None) for name, value in zip(columns, values, strict=True) if name]


def written(value: object, name: str) -> str:
    """Return a value as it is written in a line, "" for none; RefusedError for an array or an object."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return digits_of(value)
    if isinstance(value, Decimal):
        return value.text
    if isinstance(value, float):
        return repr(value)
    raise RefusedError(Code.WRONG_TYPE, name, value, "must be a text, a number or a bool: other fields are made of it")


def check_letters(name: str, value: object) -> None:
    """Refuse a value with bytes that are no letters of the encoding, which were let pass until it is read."""
    if not isinstance(value, str) or value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as fault:
        raw = value.encode("utf-8", "surrogateescape").hex()
        raise RefusedError(Code.INVALID_UTF8, name, raw, "holds bytes that are not of the encoding") from fault
