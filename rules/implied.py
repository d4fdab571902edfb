"""The features that calls bring along, by function: where a function that reads what is kept for it is looked up."""

from __future__ import annotations

from collections.abc import Sequence

from rules.changes import Changes
from rules.expressions import Expr
from rules.expressions.refused import Refused
from rules.model import Feature
from rules.names import Names
from rules.sequences import asked_of, compile_sequences
from rules.shape import Faults
from rules.told import Told
from rules.toml import Document

__all__ = ["imply"]


def imply(names: Names, documents: list[Document], features: Sequence[Feature], faults: Faults) -> None:
    """Make the sequences of a book, and let its expressions bring features along, once its own are made."""
    told, changes = Told(names, documents), Changes(names, features)
    sequences = compile_sequences(documents, names, faults)

    def asked(code: int, function: str, parts: tuple[Expr, ...]) -> Expr | Refused:
        if function in ("contacted", "answered"):
            return told.asked(function, parts)
        if function in ("changed", "entered"):
            return changes.asked(code, parts[0])
        return asked_of(sequences, names, function, parts)

    names.implied = asked
