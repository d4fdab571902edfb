"""One column of a table of the book, as `lookup` and areas read it; `rules.tables` makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from state.schema import Kind

__all__ = ["CellsOf", "Column"]


@dataclass(frozen=True, slots=True)
class Column:
    """What a table says of its keys in one column.

    `keys` are those of the table in their order; `values` leaves out those of which the column says nothing. Two
    columns are equal where `digest`, which names the content of the whole table, and their names are.
    """

    table: str
    name: str
    kind: Kind
    key_kind: Kind
    digest: str
    keys: tuple[str, ...] | tuple[int, ...] = field(compare=False, repr=False)
    values: Mapping[Any, int | float | bool | str] = field(compare=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """A tree that goes to another process leaves the content behind: the compiled program has it, once."""
        return Column, (self.table, self.name, self.kind, self.key_kind, self.digest, (), {})


@dataclass(frozen=True, slots=True)
class CellsOf:
    """The cells of an area that a table has: all its keys, or those of which the column says `value`."""

    column: Column
    value: int | float | bool | str | None
