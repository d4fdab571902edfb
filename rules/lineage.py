"""Members of a SET keep their bits from book to book.

Bit k of an attribute means the same member in every book that follows, because masks lie in memory and on disk:
`Lineage` carries the order of members; new members are appended, lost ones keep their place. A set has as many words of
62 bits as it needs (`state.sets`).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field

from rules.codes import Code
from rules.shape import Faults
from rules.toml import Document, Path

__all__ = ["LOCK_FILE", "Lineage", "bits_of"]

LOCK_FILE = "members.lock"


@dataclass(slots=True)
class Lineage:
    """The members of each SET, by bit, as earlier books fixed them."""

    members: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Lineage:
        """The lineage stored beside a book's files."""
        return cls({name: tuple(members) for name, members in tomllib.loads(text).items()})

    def write(self) -> str:
        """The text that `read` takes."""
        rows = (f"{_quoted(name)} = [{', '.join(map(_quoted, members))}]\n" for name, members in self.members.items())
        return "# The bit of every member, in order; written by the loader, kept with the book.\n" + "".join(rows)

    def extend(self, name: str, members: tuple[str, ...]) -> tuple[str, ...]:
        """All members of a SET in bit order: those known before at their places, new ones after them."""
        known = self.members.get(name, ())
        self.members[name] = tuple(dict.fromkeys((*known, *members)))
        return self.members[name]


def bits_of(
    lineage: Lineage,
    name: str,
    members: tuple[str, ...],
    count_max: int,
    document: Document,
    path: Path,
    faults: Faults,
) -> tuple[str, ...]:
    """Return all members of a SET in bit order, and extend `lineage` by the new ones; too many are a fault."""
    bits = lineage.extend(name, members)
    if len(bits) > count_max:
        lost = len(bits) - len(members)
        note = f" ({lost} of them from earlier books, whose bits stay taken)" if lost else ""
        message = f"members of {name}={len(bits)} must be <= {count_max}{note}"
        faults.add(Code.OUT_OF_BOUNDS, document, path, message, key=True)
    return bits[:count_max]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(sign if sign.isprintable() else f"\\U{ord(sign):08X}" for sign in escaped) + '"'
