"""Names whose 31-bit numbers collide.

Rules, campaigns, channels and lists are recorded by the number that `state.hashing.stable_id` makes of their name. Two
names of one number cannot be told apart in logs, contacts and lists, so a book that has both is refused. Among 20,000
names the odds of that are one in eleven.

How a number is made is not known here.
"""

from __future__ import annotations

from rules.codes import Code
from rules.shape import Faults
from rules.toml import Document, Path

__all__ = ["Numbers"]


class Numbers:
    """The numbers that the names of one kind have taken.

    Args:
        what: plural of the kind, for messages.
        faults: where collisions are reported.
    """

    def __init__(self, what: str, faults: Faults) -> None:
        self._what = what
        self._faults = faults
        self._taken: dict[int, tuple[str, Document, Path, bool]] = {}

    def add(self, number: int, name: str, document: Document, path: Path, *, key: bool = True) -> None:
        """Add a name, declared at a path of a document; report it where another name has its number already."""
        first, first_document, first_path, first_key = self._taken.setdefault(number, (name, document, path, key))
        if first == name:
            return
        message = f"{self._what} `{first}` and `{name}` have the same 31-bit number {number}: rename one"
        label = f"the other at {first_document.place(first_path, key=first_key)}"
        self._faults.add(Code.ID_COLLISION, document, path, message, label=label, key=key)
