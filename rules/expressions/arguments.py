"""The arguments of one call, as a function's type rule sees them: their trees, and the tests that rules share.

Every method that returns None has reported why; a rule then returns None too.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rules.codes import Code
from rules.expressions import fold, membership
from rules.expressions.context import KIND_WORDS, NUMBERS, ORDERED, Context, is_text
from rules.expressions.tree import BUILTINS, Call, Expr, Literal, Use
from rules.expressions.units import beside, is_duration, promoted
from state.schema import Kind

__all__ = ["Arguments"]


class Called(Protocol):
    """What the arguments need to know of their function: a part of `signature.Function`."""

    @property
    def name(self) -> str:
        """What an expression calls it."""

    @property
    def plain(self) -> Callable[..., Any] | None:
        """Its meaning in plain Python."""

    @property
    def local(self) -> Callable[..., int] | None:
        """Its body for local time."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """`parts` are the typed arguments, as many as the function allows; `node` is the call in the author's text."""

    context: Context
    function: Called
    node: ast.Call
    parts: tuple[Expr, ...]

    def fault(self, code: Code, at: int, message: str) -> None:
        """Report a fault of argument number `at`."""
        self.context.fault(code, self.node.args[at], message)

    def words(self, at: int) -> str:
        """Argument number `at` as its author wrote it."""
        return self.context.words(self.node.args[at])

    def made(self, parts: Sequence[Expr], kind: Kind, *, duration: bool = False) -> Expr | None:
        """The call of the function on `parts`, of `kind`; worked out where all parts are constants."""
        call = Call(self.function.name, tuple(parts), kind, duration)
        plain = self.function.plain
        if plain is None or self.function.local is not None:
            return call
        return self.context.valued(self.node, fold.call(call, plain))

    def number(self, at: int) -> Expr | None:
        """Argument number `at`, which must be an INT or a FLOAT."""
        return self._of_kinds(at, self.parts[at], NUMBERS, "a number")

    def time(self) -> Expr | None:
        """The only argument, which must be a TIME; the event's own time where it is left out."""
        if not self.parts:
            return Use(BUILTINS["at"])
        return self._of_kinds(0, self.parts[0], {Kind.TIME}, "a time")

    def of_local_time(self) -> Expr | None:
        """The call, an INT, of a function of `time`."""
        time = self.time()
        return None if time is None else self.made((time,), Kind.INT)

    def text(self, at: int, what: str) -> str | None:
        """Argument number `at`, which must be a text written out; `what` names it in the fault."""
        part = self.parts[at]
        if isinstance(part, Literal) and part.kind is Kind.STRING:
            return str(part.value)
        self.fault(Code.WRONG_ARGUMENTS, at, f"{what} must be written out as a text")
        return None

    def ordered(self) -> tuple[Expr, ...] | None:
        """All arguments as values that can be ordered: numbers of one kind, or times."""
        anchor = next((part for part in self.parts if not is_text(part)), self.parts[0])
        fitted: list[Expr] = []
        for argument, part in zip(self.node.args, self.parts, strict=True):
            value = beside(self.context, argument, part, anchor)
            if value is None:
                return None
            if value.kind not in ORDERED or (value.kind is Kind.TIME) is not (anchor.kind is Kind.TIME):
                self.context.mismatch(argument, self.function.name, self.node.args[0], self.parts[0], value)
                return None
            fitted.append(value)
        if any(part.kind is Kind.FLOAT for part in fitted):
            fitted = [fold.to_float(part) for part in fitted]
        return tuple(fitted)

    def pair(self) -> tuple[Expr, Expr] | None:
        """Two arguments of one kind, after promotion; a text beside a duration or a time is read as one."""
        part, other = self.parts
        fitted = beside(self.context, self.node.args[1], other, part)
        if fitted is None:
            return None
        if part.kind in NUMBERS and fitted.kind in NUMBERS:
            return promoted(part, fitted)
        if part.kind is not fitted.kind:
            self.context.mismatch(self.node.args[1], self.function.name, self.node.args[0], part, fitted)
            return None
        return part, fitted

    def member_of(self, name: str, *, empty_unless_known: bool = False) -> Expr | None:
        """Whether the only argument is a member of the SET called `name`."""
        operand = self.context.scope.names.get(name)
        if operand is None or operand.kind is not Kind.SET:
            message = f"`{self.context.words(self.node)}` reads the set `{name}`, which is not declared here"
            self.context.fault(Code.UNKNOWN_NAME, self.node, message)
            return None
        return membership.has(
            self.context, self.node.args[0], self.parts[0], Use(operand), empty_unless_known=empty_unless_known
        )

    def in_area(self, at: int, area: int) -> Expr | None:
        """Whether argument number `at` is a cell of the area that argument number `area` names."""
        name = self.text(area, "an area")
        if name is None:
            return None
        return membership.in_area(self.context, self.node.args[at], self.parts[at], self.node.args[area], name)

    def any_duration(self, parts: Sequence[Expr]) -> bool:
        """Whether one of these numbers counts milliseconds."""
        return any(part.kind in NUMBERS and is_duration(part) for part in parts)

    def _of_kinds(self, at: int, part: Expr, kinds: frozenset[Kind] | set[Kind], what: str) -> Expr | None:
        if part.kind in kinds:
            return part
        message = f"{self.function.name}() takes {what}; `{self.words(at)}` is {KIND_WORDS[part.kind]}"
        self.fault(Code.TYPE_MISMATCH, at, message)
        return None
