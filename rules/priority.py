"""The `priority` of a rule: a number of the book, or a number of the row by its name."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from rules.codes import Code
from rules.diagnostics import nearest
from rules.expressions import Operand, Scope
from rules.expressions.context import KIND_WORDS, NUMBERS
from rules.model import PRIORITY_MAX
from rules.shape import type_word
from rules.toml import Path

__all__ = ["Priority", "read_priority"]

_PATH: Path = ("priority",)


class Priority(NamedTuple):
    """The book's number, and in its place what gives the number on each row; 0 where that is there."""

    number: int
    ranked_by: Operand | None = None

    @property
    def reads(self) -> tuple[Operand, ...]:
        """What of the row it reads."""
        return () if self.ranked_by is None else (self.ranked_by,)


class Report(Protocol):
    """Takes a fault of the rule: its code, place, message and hint."""

    def __call__(self, code: Code, path: Path, message: str, *, hint: str = "") -> None: ...


def read_priority(priority: Any, scope: Scope, broken: frozenset[str], fault: Report) -> Priority | None:
    """What the book says of a rule's priority; None where that is wrong, or names what is `broken`."""
    if isinstance(priority, str):
        return _by_name(priority, scope, broken, fault)
    if not isinstance(priority, int) or isinstance(priority, bool):
        message = f"`priority` must be a whole number, or the name of a number, not {type_word(priority)}"
        fault(Code.WRONG_SHAPE, _PATH, message)
        return None
    if not 0 <= priority <= PRIORITY_MAX:
        bound = ">= 0" if priority < 0 else f"<= {PRIORITY_MAX}"
        fault(Code.OUT_OF_BOUNDS, _PATH, f"priority={priority} must be {bound}")
        return None
    return Priority(priority)


def _by_name(name: str, scope: Scope, broken: frozenset[str], fault: Report) -> Priority | None:
    operand = scope.names.get(name)
    if operand is None:
        if name in broken:
            return None
        hint = nearest(name, scope.names) or "an expression needs a name: [values.NAME]"
        if name in scope.elsewhere:
            hint = f"`{name}` is {scope.elsewhere[name]}"
        fault(Code.UNKNOWN_NAME, _PATH, f"unknown name `{name}`", hint=hint)
        return None
    if operand.kind not in NUMBERS:
        fault(Code.TYPE_MISMATCH, _PATH, f"`priority` must be a number; `{name}` is {KIND_WORDS[operand.kind]}")
        return None
    return Priority(0, operand)
