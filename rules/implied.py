"""The features that calls bring along, by function: where a function that is kept is looked up."""

from __future__ import annotations

from rules.expressions import Expr, Operand
from rules.expressions.implied import Refused
from rules.names import Names
from rules.told import Told
from rules.toml import Document

__all__ = ["imply"]


def imply(names: Names, documents: list[Document]) -> None:
    """Let the expressions of a book bring features along, once its own are made."""
    told = Told(names, documents)

    def feature(_code: int, function: str, parts: tuple[Expr, ...]) -> Operand | Refused:
        return told.feature(function, parts)

    names.implied = feature
