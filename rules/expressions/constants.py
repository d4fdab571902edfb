"""Constants of a program: a value as the 64 bits of a cell, and the lists that `in` looks through, each list once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from struct import pack, unpack

from rules.expressions.conditions import HASH_FACTOR
from rules.expressions.opcodes import IN_FEW, IN_MANY
from rules.expressions.tree import Scalar
from state.hashing import hash_text

__all__ = ["ConstantLists", "cell"]

FEW = 8
"""Up to so many constants an `in` compares one by one; more stand in a hash table."""


class ConstantLists:
    """The constants of all `in` lists of a program; `numbers` is what the kernel reads."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._places: dict[tuple[int, ...], tuple[int, int, int]] = {}

    def place(self, values: tuple[int, ...]) -> tuple[int, int, int]:
        """Return opcode, start and count (or shift) of a list."""
        found = self._places.get(values)
        if found is None:
            start = len(self.numbers)
            if len(values) <= FEW:
                found = (IN_FEW, start, len(values))
                self.numbers.extend(values)
            else:
                bits = max(4, (2 * len(values)).bit_length())
                found = (IN_MANY, start, 64 - bits)
                self.numbers.extend(_table(values, bits))
            self._places[values] = found
        return found


def cell(value: Scalar) -> int:
    """A constant as the 64 bits of a cell."""
    if isinstance(value, str):
        return _text_cell(value)
    return int(unpack("<q", pack("<d", value))[0]) if isinstance(value, float) else int(value)


@lru_cache(maxsize=1 << 16)
def _text_cell(text: str) -> int:
    return hash_text(text.encode())


def _table(values: Sequence[int], bits: int) -> list[int]:
    """A hash table of constants: whether 0 is a member, then 2**bits places with 0 for free."""
    table = [0] * (1 << bits)
    mask = (1 << bits) - 1
    for value in values:
        if value:
            place = ((value * HASH_FACTOR) & 0xFFFFFFFFFFFFFFFF) >> (64 - bits)
            while table[place]:
                place = (place + 1) & mask
            table[place] = value
    return [int(0 in values), *table]
