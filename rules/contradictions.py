"""Conditions that can never hold: parts of one `and` that exclude each other.

What is found is certain; what is not found may still never hold. Looked at are comparisons of one name with constants,
membership of a set, and a part beside its own opposite.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

from rules.expressions.tree import And, Compare, Expr, Has, Literal, Not, OneOf, Scalar, Use, walk
from rules.expressions.written import canonical, meaning
from state.schema import Kind

__all__ = ["contradictions"]

_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_TURNED = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}


@dataclass(slots=True)
class _Bounds:
    """What parts leave of one name: the numbers between, the values it may have (None: any), those it may not."""

    low: float = -inf
    high: float = inf
    low_open: bool = False
    high_open: bool = False
    among: set[Scalar] | None = None
    never: set[Scalar] = field(default_factory=set)
    parts: list[Expr] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        if self.low > self.high or (self.low == self.high and (self.low_open or self.high_open)):
            return True
        return self.among is not None and not any(self._holds(value) for value in self.among)

    def _holds(self, value: Scalar) -> bool:
        if value in self.never:
            return False
        if isinstance(value, str):
            return True
        above = self.low < value or (self.low == value and not self.low_open)
        return above and (value < self.high or (value == self.high and not self.high_open))

    def narrow(self, op: str, value: Scalar) -> None:
        """Take a comparison in."""
        if op == "==":
            self.among = {value} if self.among is None else self.among & {value}
        elif op == "!=":
            self.never.add(value)
        elif not isinstance(value, str):
            if op in (">", ">=") and (value, op == ">") > (self.low, self.low_open):
                self.low, self.low_open = value, op == ">"
            if op in ("<", "<=") and (value, op == "<=") < (self.high, not self.high_open):
                self.high, self.high_open = value, op == "<"


def contradictions(expr: Expr) -> Iterator[tuple[Expr, ...]]:
    """Yield, for each `and` that can never hold, the parts of it that exclude each other."""
    if isinstance(expr, Literal) and expr.value is False:
        yield (expr,)
    for node in walk(expr):
        if isinstance(node, And):
            yield from _of_parts(list(_flat(node)))


def _flat(node: And) -> Iterator[Expr]:
    for part in node.parts:
        if isinstance(part, And):
            yield from _flat(part)
        else:
            yield part


def _of_parts(parts: list[Expr]) -> Iterator[tuple[Expr, ...]]:
    said = {meaning(part): part for part in parts}
    for part in parts:
        opposite = part.part if isinstance(part, Not) else Not(part)
        other = said.get(meaning(opposite))
        if other is not None and not isinstance(part, Not):
            yield part, other
            return
    bounds: dict[str, _Bounds] = {}
    for part in parts:
        name, op, values = _compared(part)
        if not name:
            continue
        one = bounds.setdefault(name, _Bounds())
        one.parts.append(part)
        if op == "in":
            one.among = set(values) if one.among is None else one.among & set(values)
        else:
            one.narrow(op, values[0])
        if one.empty:
            yield tuple(one.parts)
            return


def _compared(part: Expr) -> tuple[str, str, tuple[Scalar, ...]]:  # noqa: PLR0911 one case a form
    """Return name, operator and constants of a comparison with constants; an empty name where it is none."""
    match part:
        case Not(Compare() as inner):
            name, op, values = _compared(inner)
            return name, _OPPOSITE.get(op, op), values
        case Compare(op, Use() as left, Literal(_, value)):
            return canonical(left), op, (value,)
        case Compare(op, Literal(_, value), Use() as right):
            return canonical(right), _TURNED[op], (value,)
        case OneOf(Use() as inner, values):
            return canonical(inner), "in", values
        case Use() if part.kind == Kind.BOOL:
            return canonical(part), "==", (True,)
        case Not(Use() as inner) if inner.kind == Kind.BOOL:
            return canonical(inner), "==", (False,)
        case Has(inner, member):
            return f"{member!r} in {canonical(inner)}", "==", (True,)
        case Not(Has(inner, member)):
            return f"{member!r} in {canonical(inner)}", "==", (False,)
    return "", "", ()
