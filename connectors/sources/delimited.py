"""Lines of values between delimiters, with RFC 4180 quotes, the slow and obvious way.

A value in quotes may hold the delimiter, and a quote written twice. It cannot hold a line end: a line is a row. An
empty value is an unknown one. Texts become typed values by the kind of their field, and are judged like JSON values
then.
"""

import re

from state.schema import Kind

Value = int | float | bool | str | list[str] | None

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_BOOLS = {"true": True, "1": True, "false": False, "0": False}
_DIGITS_MAX = 40


class BadQuotesError(ValueError):
    """Raised when a quote stands where none may; the message says where."""


def split_line(line: str, delimiter: str) -> list[str]:
    """Return the values of a line, unquoted."""
    if '"' not in line:
        return line.split(delimiter)
    values: list[str] = []
    at = 0
    while True:
        if line.startswith('"', at):
            value, at = _quoted(line, at)
        else:
            end = line.find(delimiter, at)
            end = len(line) if end < 0 else end
            value = line[at:end]
            if '"' in value:
                raise BadQuotesError(f"quote inside the unquoted value at character {at + 1}")
            at = end
        values.append(value)
        if at == len(line):
            return values
        if line[at] != delimiter:
            raise BadQuotesError(f"text after the closing quote at character {at + 1}")
        at += 1


def _quoted(line: str, start: int) -> tuple[str, int]:
    parts = []
    at = start + 1
    while True:
        end = line.find('"', at)
        if end < 0:
            raise BadQuotesError(f"quote at character {start + 1} is not closed")
        parts.append(line[at:end])
        if not line.startswith('"', end + 1):
            return '"'.join(parts), end + 1
        at = end + 2


def typed(text: str, kind: Kind, set_delimiter: str) -> Value:
    """Return the value that `text` writes for a field of `kind`; a text that writes none is returned as it is."""
    if text == "":
        return None
    if kind == Kind.INT and len(text) <= _DIGITS_MAX and _INTEGER.fullmatch(text):
        return int(text)
    if kind == Kind.FLOAT and _FLOAT.fullmatch(text):
        return float(text)
    if kind == Kind.BOOL:
        return _BOOLS.get(text.lower(), text)
    if kind == Kind.SET:
        return [member for member in text.split(set_delimiter) if member]
    return text
