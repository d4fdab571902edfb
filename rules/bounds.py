"""What a file of the book may hold at most, counted before it costs more than counting.

Who may write the book may not thereby stop the engine: a file beyond a bound is one fault, which names it. Below the
bounds a book is read in seconds and in some hundred megabytes, whatever stands in it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["BLOCK_KEYS_MAX", "HEAD_KEYS_MAX", "KEY_PARTS_MAX", "TABLES_MAX", "beyond", "count_keys", "parsed"]

KEY_PARTS_MAX = 64
"""Parts of a dotted key; `tomllib` takes the square of their number in time and memory."""
TABLES_MAX = 100_000
"""Headers of tables, rules and tests among them."""
HEAD_KEYS_MAX = 100_000
"""Keys outside of rules and tests."""
BLOCK_KEYS_MAX = 20_000
"""Keys of one rule or test, those of its events included."""
VALUES_MAX = 1_000_000
"""Values of arrays in one file."""
NUMBER_BITS_MAX = 1_000
"""Of a whole number that is read at all: a longer one cannot be made a fraction, or not be printed in a fault."""

_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)
_LONG_KEY = re.compile(
    rf"""(?:^|[\[{{,])[ \t]*+((?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{KEY_PARTS_MAX}}})""",
    re.MULTILINE,
)


def beyond(text: str) -> tuple[int, str] | None:
    """Where a text goes beyond a bound, and what is to be said of it; None where it does not."""
    dotted = any(line.count(".") >= KEY_PARTS_MAX for line in text.split("\n"))  # much cheaper than the search
    long_key = _LONG_KEY.search(text) if dotted else None
    if long_key is not None:
        return long_key.start(1), f"a key must have <= {KEY_PARTS_MAX} parts"
    tables = sum(1 for _ in _TABLE.finditer(text))
    if tables > TABLES_MAX:
        return 0, f"tables={tables} must be <= {TABLES_MAX}"
    values = text.count(",")
    if values > VALUES_MAX:
        return 0, f"commas={values} must be <= {VALUES_MAX}"
    return None


def parsed(text: str) -> dict[str, Any]:
    """The values of a text of TOML; ValueError or RecursionError where it is none, or holds a number without end."""
    found = tomllib.loads(text)
    left: list[Any] = [found]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list):
            left += one
        elif isinstance(one, int) and one.bit_length() > NUMBER_BITS_MAX:
            raise ValueError("a whole number must have at most 64 bits")
    return found


def count_keys(data: Any) -> int:
    """Count the keys of a value and of all tables in it, without recursion."""
    count = 0
    left: list[Any] = [data]
    while left:
        one = left.pop()
        if isinstance(one, Mapping):
            count += len(one)
            left += one.values()
        elif isinstance(one, list) and one and isinstance(one[0], Mapping | list):
            left += one
    return count


def crowded(blocks: Iterable[Any]) -> tuple[int, int] | None:
    """Number of the first of some blocks that holds too many keys, and how many; None where none does."""
    for number, data in enumerate(blocks):
        if (count := count_keys(data)) > BLOCK_KEYS_MAX:
            return number, count
    return None
