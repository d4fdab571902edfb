"""The arguments of one call, as a function's type rule sees them: their trees, and the tests that rules share.

Every method that returns None has reported why; a rule then returns None too.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rules.codes import Code
from rules.diagnostics import nearest
from rules.expressions import fold, membership
from rules.expressions.context import KIND_WORDS, NUMBERS, ORDERED, Context, is_text
from rules.expressions.tree import BUILTINS, Call, Default, Expr, Literal, Lookup, Use
from rules.expressions.units import beside, is_duration, promoted
from state.schema import Kind

__all__ = ["Arguments"]

LETTERS_MAX = 1_000_000
"""A number of letters is at most this."""


class Called(Protocol):
    """What the arguments need to know of their function: a part of `signature.Function`."""

    @property
    def name(self) -> str:
        """What an expression calls it."""

    @property
    def plain(self) -> Callable[..., Any] | None:
        """Its meaning in plain Python."""

    @property
    def usage(self) -> str:
        """A call of it."""

    @property
    def texts(self) -> Callable[[int, int], tuple[int, bool]] | None:
        """Its body for a text."""

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

    def fault(self, code: Code, at: int, message: str, *, hint: str = "") -> None:
        """Report a fault of argument number `at`."""
        self.context.fault(code, self.node.args[at], message, hint=hint)

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

    def of_text(self, kind: Kind, *, numbers: Sequence[tuple[int, int]] = (), needle: int = 0) -> Expr | None:
        """The call, of `kind`, of a function of a text, which is the first argument.

        `numbers` are the places of whole numbers that are written out, each with the least that it may be; `needle` is
        the place of a text that is.
        """
        if not self._reads_text():
            return None
        for at, least in numbers:
            part = self.parts[at]
            if not (isinstance(part, Literal) and type(part.value) is int and least <= part.value <= LETTERS_MAX):
                message = (
                    f"`{self.words(at)}` must be a whole number >= {least} and <= {LETTERS_MAX} that is written out"
                )
                self.fault(Code.WRONG_ARGUMENTS, at, message, hint=f"as in `{self.function.usage}`")
                return None
        if needle and self.text(needle, f"what {self.function.name}() looks for") is None:
            return None
        return self.made(self.parts, kind)

    def _reads_text(self) -> bool:
        """Whether the first argument is a text whose letters are at hand: those of values and tables are not."""
        part = self.parts[0]
        if self._of_kinds(0, part, {Kind.STRING}, "a text") is None:
            return False
        if isinstance(part, Literal | Call) or (isinstance(part, Use) and part.operand.source in ("cell", "feature")):
            return True
        message = f"{self.function.name}() reads a field, an attribute or a feature; `{self.words(0)}` is none of them"
        moved = f"default({self.function.name}(x), ...)"
        hint = f"call it inside, as in `{moved}`" if isinstance(part, Default) else "call it where the text is read"
        self.fault(Code.WRONG_ARGUMENTS, 0, message, hint=hint)
        return False

    def choice(self) -> Expr | None:
        """Values of one kind by conditions that are asked one after the other; the last argument has no condition."""
        if len(self.parts) % 2 == 0:
            self.context.fault(
                Code.WRONG_ARGUMENTS,
                self.node,
                "the last value has no condition",
                hint=f"write `{self.function.usage}`",
            )
            return None
        conditions = self.parts[:-1:2]
        for at, condition in enumerate(conditions):
            if condition.kind is not Kind.BOOL:
                self.context.not_a_condition(self.node.args[2 * at], condition)
                return None
        values = self.alike([*range(1, len(self.parts), 2), len(self.parts) - 1])
        if values is None:
            return None
        *chosen, found = values
        for condition, value in zip(reversed(conditions), reversed(chosen), strict=True):
            found = fold.choose(condition, value, found)
        return found

    def alike(self, places: Sequence[int]) -> list[Expr] | None:
        """The arguments at these places as values of one kind, numbers promoted; a set is none."""
        anchor = next((self.parts[at] for at in places if not is_text(self.parts[at])), self.parts[places[0]])
        found = []
        for at in places:
            value = beside(self.context, self.node.args[at], self.parts[at], anchor)
            if value is None:
                return None
            are_numbers = {value.kind, anchor.kind} <= NUMBERS
            if value.kind is Kind.SET or (value.kind is not anchor.kind and not are_numbers):
                first = self.parts.index(anchor)
                self.context.mismatch(self.node.args[at], self.function.name, self.node.args[first], anchor, value)
                return None
            found.append(value)
        if any(value.kind is Kind.FLOAT for value in found):
            return [fold.to_float(value) for value in found]
        return found

    def band(self) -> Expr | None:
        """The band of the first argument, a number; the others are rising edges that are written out."""
        if self.number(0) is None:
            return None
        values = self.alike(range(len(self.parts)))
        if values is None:
            return None
        edges: list[int | float] = []
        for at, edge in enumerate(values[1:], 1):
            if not isinstance(edge, Literal) or isinstance(edge.value, str):
                self.fault(Code.WRONG_ARGUMENTS, at, f"the edge `{self.words(at)}` must be written out")
                return None
            if edges and edge.value <= edges[-1]:
                self.fault(Code.WRONG_ARGUMENTS, at, f"the edge {self.words(at)} must be > {self.words(at - 1)}")
                return None
            edges.append(edge.value)
        return fold.bands(values[0], edges)

    def of_table(self) -> Expr | None:
        """What a column of a table says of a key, with what stands in for it where it says nothing."""
        table, name = self.text(0, "a table"), self.text(1, "a column")
        if table is None or name is None:
            return None
        tables = self.context.scope.tables
        if table not in tables:
            hint = nearest(table, tables)
            self.fault(Code.UNKNOWN_TABLE, 0, f"unknown table `{table}`", hint=hint)
            return None
        column = tables[table].get(name)
        if column is None:
            hint = nearest(name, tables[table]) or f"its columns: {', '.join(tables[table])}"
            self.fault(Code.UNKNOWN_COLUMN, 1, f"table `{table}` has no column `{name}`", hint=hint)
            return None
        key = self.parts[2]
        if key.kind is not column.key_kind:
            message = (
                f"the keys of `{table}` are {KIND_WORDS[column.key_kind]}s; `{self.words(2)}` is {KIND_WORDS[key.kind]}"
            )
            self.fault(Code.TYPE_MISMATCH, 2, message.replace(" a ", " ", 1))
            return None
        found = Lookup(key, column)
        return found if len(self.parts) == 3 else self._instead(found)

    def in_keys(self, number: Expr, table: str) -> Expr | None:
        """Whether a number is a key of a table whose keys are numbers or dates."""
        columns = self.context.scope.tables.get(table)
        if columns is None:
            message = f"{self.function.name}() asks the table `{table}`, which is not declared"
            hint = f'as in [tables.{table}], columns = {{ date = "date" }}'
            self.context.fault(Code.UNKNOWN_TABLE, self.node, message, hint=hint)
            return None
        key = next(iter(columns.values()))
        if key.key_kind is not number.kind:
            message = f"{self.function.name}() needs dates as the keys of `{table}`, not texts"
            self.context.fault(Code.TYPE_MISMATCH, self.node, message)
            return None
        return fold.one_of(number, key.keys)

    def _instead(self, found: Expr) -> Expr | None:
        """What is looked up, where it is known, else the fourth argument, which is of its kind."""
        other = beside(self.context, self.node.args[3], self.parts[3], found)
        if other is None:
            return None
        if found.kind in NUMBERS and other.kind in NUMBERS:
            return fold.default(*promoted(found, other))
        if other.kind is not found.kind:
            self.context.mismatch(self.node.args[3], self.function.name, self.node.args[1], found, other)
            return None
        return fold.default(found, other)

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
