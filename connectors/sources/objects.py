"""NDJSON lines, the slow and obvious way: the members of the one object in a line, in order, doubles included.

A line is valid JSON by orjson, which is strict; Python's decoder then keeps what orjson does not: names that stand
twice, and how a number was written.
"""

import json
import math
from typing import Any

import orjson

from connectors.sources.dead_letter import VALUE_CHARS_MAX, Code

_DIGITS_READ_MAX = 4000  # Python refuses to read more than 4,300; fewer are out of every range too


class RefusedError(Exception):
    """Raised when a line is no event."""

    def __init__(self, code: Code, name: str, value: object, reason: str) -> None:
        super().__init__(reason)
        self.code, self.field, self.reason = code, name, reason
        self.value = _shown(value).encode("utf-8", "replace").decode()[:VALUE_CHARS_MAX]


class Decimal(float):
    """A JSON number with a fraction or an exponent, and how it was written."""

    text: str

    def __new__(cls, text: str) -> "Decimal":
        """Read the number and keep its text."""
        self = super().__new__(cls, text)
        self.text = text
        return self


class Pairs(list[tuple[str, Any]]):
    """The members of a JSON object in order, doubles included."""


def members_of(text: str) -> Pairs:
    """Return the members of the one object in a line; RefusedError where there is none."""
    try:
        orjson.loads(text)
        value = _JSON.decode(text)
    except RecursionError as fault:
        raise RefusedError(Code.TOO_DEEP, "", text, "values are nested too deep") from fault
    except ValueError as fault:
        raise _not_json(text, str(fault)) from fault
    if not isinstance(value, Pairs):
        raise RefusedError(Code.NOT_AN_OBJECT, "", text, "line must be one JSON object")
    return value


def digits_of(value: int) -> str:
    """Return the digits of a whole number; one beyond all bounds is cut to a form that every reader refuses."""
    return str(value) if value.bit_length() < 4096 else "9" * 1300


def _shown(value: object) -> str:
    if isinstance(value, Decimal):
        return value.text
    return value if isinstance(value, str) else "" if value is None else repr(value)


def _not_json(text: str, reason: str) -> RefusedError:
    if "depth" in reason:
        return RefusedError(Code.TOO_DEEP, "", text, reason)
    if "infinity" not in reason:
        return RefusedError(Code.BAD_SYNTAX, "", text, reason)
    try:
        value = _JSON.decode(text)
    except (RecursionError, ValueError):
        value = None
    for name, number in value if isinstance(value, Pairs) else ():
        if _is_beyond(number):
            return RefusedError(Code.OUT_OF_RANGE, name, number, "number must fit 64 bits")
    return RefusedError(Code.OUT_OF_RANGE, "", text, reason)


def _is_beyond(number: object) -> bool:
    if isinstance(number, float):
        return math.isinf(number)
    return isinstance(number, int) and number.bit_length() > 1023


def _whole(text: str) -> int:
    return int(text[:_DIGITS_READ_MAX])


_JSON = json.JSONDecoder(object_pairs_hook=Pairs, parse_float=Decimal, parse_int=_whole)
