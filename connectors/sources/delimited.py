"""Lines of values between delimiters, with RFC 4180 quotes, the slow and obvious way.

A value in quotes may hold the delimiter, and a quote written twice. It cannot hold a line end: a line is a row. Spaces
and tabs around a value are none of it, as exported tables pad their columns; those inside quotes are. An empty value is
an unknown one. Texts become typed values by the kind of their field, and are judged like JSON values then.
"""

import re

from state.schema import Kind

Value = int | float | bool | str | list[str] | None

_INTEGER = re.compile(r"(?P<sign>[+-]?)0*(?P<digits>\d+)", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_BLANKS = " \t"
_BARE = frozenset({Kind.INT, Kind.FLOAT, Kind.BOOL})  # whose values have no blanks of their own, in quotes neither
_BOOLS = {"true": True, "1": True, "false": False, "0": False}
_DIGITS_MAX = 40  # Python takes long over more, and the first ones say that the number is out of range


class BadQuotesError(ValueError):
    """Raised when a quote stands where none may; the message says where."""


def split_line(line: str, delimiter: str, *, quotes: bool = True) -> list[str]:
    """Return the values of a line, unquoted unless quotes are letters, without the blanks around them."""
    blanks = _BLANKS.replace(delimiter, "")
    if not quotes or '"' not in line:
        return [value.strip(blanks) for value in line.split(delimiter)]
    values: list[str] = []
    at = 0
    while True:
        value, at = _value(line, at, delimiter, blanks)
        values.append(value)
        if at == len(line):
            return values
        if not line.startswith(delimiter, at):
            raise BadQuotesError(f"text after the closing quote at character {at + 1}")
        at += len(delimiter)


def _value(line: str, start: int, delimiter: str, blanks: str) -> tuple[str, int]:
    """Return the value that begins at `start`, and where it ends."""
    first = _past(line, start, blanks)
    if line.startswith('"', first):
        value, end = _quoted(line, first)
        return value, _past(line, end, blanks)
    end = line.find(delimiter, start)
    end = len(line) if end < 0 else end
    value = line[start:end].strip(blanks)
    if '"' in value:
        raise BadQuotesError(f"quote inside the unquoted value at character {start + 1}")
    return value, end


def _past(line: str, at: int, blanks: str) -> int:
    while at < len(line) and line[at] in blanks:
        at += 1
    return at


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
    if kind in _BARE:
        return _number(text.strip(_BLANKS), kind, text)
    if kind == Kind.SET:
        return [member for member in text.split(set_delimiter) if member]
    return text


def _number(bare: str, kind: Kind, text: str) -> Value:
    """Return the number or bool that `bare` writes, None where it is nothing; else `text`."""
    if bare == "":
        return None
    if kind == Kind.INT and (match := _INTEGER.fullmatch(bare)):
        return int(match["sign"] + match["digits"][:_DIGITS_MAX])
    if kind == Kind.FLOAT and _FLOAT.fullmatch(bare):
        return float(bare)
    return _BOOLS.get(bare.lower(), text) if kind == Kind.BOOL else text
