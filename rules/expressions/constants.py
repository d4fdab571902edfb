"""Constants of a program: a value as the 64 bits of a cell, and what instructions look through, each once.

These are the lists of `in`, the edges of bands, the tables of `lookup` and the steps of functions of texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from struct import pack, unpack

import numpy as np
from numpy.typing import NDArray

from rules.expressions.choices import index_keys
from rules.expressions.conditions import HASH_FACTOR
from rules.expressions.lookups import Column
from rules.expressions.opcodes import IN_FEW, IN_MANY
from rules.expressions.tree import Scalar
from state.hashing import hash_text
from state.schema import Kind
from state.texts import hashes_of

__all__ = ["ConstantLists", "cell"]

FEW = 8
"""Up to so many constants an `in` compares one by one; more stand in a hash table."""
COLUMNS_KEPT = 64
"""Columns of tables whose arrays are remembered for the next book."""

Int64s = NDArray[np.int64]


class ConstantLists:
    """The constants of all expressions of a program; `array` is what the kernel reads."""

    def __init__(self) -> None:
        self._chunks: list[Int64s] = []
        self._size = 0
        self._places: dict[tuple[int, ...], tuple[int, int, int]] = {}
        self._plain: dict[tuple[int, ...], int] = {}
        self._indexes: dict[tuple[str, str], int] = {}
        self._columns: dict[Column, tuple[int, int]] = {}

    def array(self) -> Int64s:
        """Return all constants, int64."""
        return np.concatenate(self._chunks) if self._chunks else np.zeros(1, np.int64)

    def place(self, values: tuple[int, ...]) -> tuple[int, int, int]:
        """Return opcode, start and count (or shift) of a list."""
        found = self._places.get(values)
        if found is None:
            if len(values) <= FEW:
                found = (IN_FEW, self._add(values), len(values))
            else:
                bits = max(4, (2 * len(values)).bit_length())
                found = (IN_MANY, self._add(_table(values, bits)), 64 - bits)
            self._places[values] = found
        return found

    def place_numbers(self, values: tuple[int, ...]) -> int:
        """Return where these numbers stand, in their order."""
        if values not in self._plain:
            self._plain[values] = self._add(values)
        return self._plain[values]

    def place_column(self, column: Column) -> tuple[int, int]:
        """Return where the index of a table's keys and a column of it start: see `choices.look_up`."""
        if column not in self._columns:
            index, cells = _arrays(column)
            table = (column.table, column.digest)
            if table not in self._indexes:
                self._indexes[table] = self._add(index)
            self._columns[column] = (self._indexes[table], self._add(cells))
        return self._columns[column]

    def _add(self, numbers: Sequence[int] | Int64s) -> int:
        start = self._size
        self._chunks.append(np.array(numbers, np.int64))
        self._size += len(numbers)
        return start


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


@lru_cache(maxsize=COLUMNS_KEPT)
def _arrays(column: Column) -> tuple[Int64s, Int64s]:
    """The index of a table's keys, and a column's cells, each with whether it is known."""
    keys = _cells(column.key_kind, list(column.keys))
    bits = max(4, (2 * len(keys)).bit_length())
    index = np.zeros(1 + (2 << bits), np.int64)
    index[0] = 64 - bits
    index_keys(keys, index)
    values = [column.values.get(key) for key in column.keys]
    cells = np.zeros((len(values), 2), np.int64)
    there = [row for row, value in enumerate(values) if value is not None]
    cells[there, 0] = _cells(column.kind, [value for value in values if value is not None])
    cells[there, 1] = 1
    return index, cells.reshape(-1)


def _cells(kind: Kind, values: Sequence[Scalar]) -> Int64s:
    if kind is Kind.STRING:
        return hashes_of([str(value).encode() for value in values])
    return np.array(values, np.float64).view(np.int64) if kind is Kind.FLOAT else np.array(values, np.int64)
