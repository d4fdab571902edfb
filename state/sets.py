"""A set of any size: 62 members a word, each word a field, a cell and a feature of its own.

The first word has the set's own name and is all there is of a small set. Those after it stand right behind it and are
called `NAME+1`, `NAME+2`, which no book can write. A member is in the word that its place in the order of members says,
so its bit means the same for ever, as long as new members come after those known.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from state.schema import MEMBERS_MAX, Field, Kind

_SIGN = "+"


def word_name(name: str, word: int) -> str:
    """Return the name of a word of a set; that of the first is the set's own."""
    return f"{name}{_SIGN}{word}" if word else name


def set_of(name: str) -> str:
    """Return the set of which something of this name is a word; any other name as it is."""
    return name.partition(_SIGN)[0]


def is_further(name: str) -> bool:
    """Return whether this is the name of a word after the first."""
    return _SIGN in name


def words_of(members: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the members of each word, at least one word."""
    return [members[at : at + MEMBERS_MAX] for at in range(0, max(len(members), 1), MEMBERS_MAX)]


def set_fields(name: str, members: tuple[str, ...]) -> list[Field]:
    """Return the fields that hold a set."""
    return [Field(word_name(name, word), Kind.SET, members=some) for word, some in enumerate(words_of(members))]


def cells_of(words: Sequence[Field], names: Iterable[str]) -> list[int]:
    """Return the cell of each word of a set with the members `names`; ValueError names those that are unknown."""
    wanted = set(names)
    unknown = wanted.difference(*(one.members for one in words))
    if unknown:
        known = [member for one in words for member in one.members]
        raise ValueError(f"members={sorted(unknown)} must be among {known}")
    return [sum(1 << bit for bit, member in enumerate(one.members) if member in wanted) for one in words]


def together(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return values by name, the members of all words of a set under its name; None where no word is known."""
    found: dict[str, Any] = {}
    for name, value in values:
        whole = set_of(name)
        before = found.get(whole)
        found[whole] = (
            before + value if before is not None and value is not None else before if value is None else value
        )
    return found
