"""Expressions as texts of one form: what fingerprints hash, and what reports print.

`canonical` keeps the order of parts as it was written, `meaning` has one order for parts that may be swapped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rules.expressions.places import AREA
from rules.expressions.tree import (
    And,
    Arith,
    Bands,
    Call,
    Choose,
    Compare,
    CompareOp,
    Default,
    Expr,
    Has,
    Known,
    Literal,
    Lookup,
    Negate,
    Not,
    OneOf,
    Or,
    Scalar,
    ToFloat,
    Use,
)
from state.schema import Kind

__all__ = ["canonical", "meaning"]


def canonical(expr: Expr) -> str:
    """One text for equal meaning of structure: spacing, quotes, needless parentheses and order of sets are gone.

    Names stay names, so the text holds across books; areas are spelt out as their cells. It is what fingerprints hash
    and what reports print; it parses again where no area, list or constant TIME is in it.
    """
    return _written(expr, canonical)


_TURNED: Mapping[str, tuple[str, bool]] = {
    "==": ("==", True), "!=": ("!=", True), ">": ("<", False), ">=": ("<=", False), "+": ("+", True), "*": ("*", True)
}  # fmt: skip
"""Operators that may be written in another order: what is written in their place, and whether both sides are equals."""


_OPPOSITE: Mapping[CompareOp, CompareOp] = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
"""What a comparison says where its opposite does not hold; what is unknown stays unknown."""


def meaning(expr: Expr) -> str:
    """`canonical`, where the order of parts that may be swapped is gone as well: `10 < x` is `x > 10`."""
    match expr:
        case And(parts):
            return "(" + " and ".join(sorted(map(meaning, parts))) + ")"
        case Or(parts):
            return "(" + " or ".join(sorted(map(meaning, parts))) + ")"
        case Compare(op, left, right) | Arith(op, left, right) if not _is_of_area(left, right):
            sides = [meaning(left), meaning(right)]
            word, are_equals = _TURNED.get(op, (op, False))
            if are_equals:
                sides.sort()
            elif word != op:
                sides.reverse()
            return f"({sides[0]} {word} {sides[1]})"
        case Not(Compare(op, left, right)):
            return meaning(Compare(_OPPOSITE[op], left, right))
        case OneOf(part, values):
            return f"({meaning(part)} in [{', '.join(sorted(map(_constant, values)))}])"
        case _:
            return _written(expr, meaning)


def _is_of_area(*parts: Expr) -> bool:
    return any(isinstance(part, Use) and part.operand.name.startswith(AREA) for part in parts)


def _written(expr: Expr, written: Callable[[Expr], str]) -> str:  # noqa: PLR0911, PLR0912 one case a node
    """One node, its parts as `written` has them."""
    match expr:
        case Known(Use(operand)) if operand.name.startswith(AREA):
            return f"inside({operand.name.removeprefix(AREA)!r})"
        case Compare("==", Use(operand), _) if operand.name.startswith(AREA):
            return f"came_into({operand.name.removeprefix(AREA)!r})"
        case Arith("-", _, Use(operand)) if operand.name.startswith(AREA):
            return f"stayed({operand.name.removeprefix(AREA)!r})"
        case Literal(Kind.TIME, value):
            return f"time({value})"
        case Literal(_, value):
            return _constant(value)
        case Use(operand):
            return operand.name
        case And(parts):
            return "(" + " and ".join(map(written, parts)) + ")"
        case Or(parts):
            return "(" + " or ".join(map(written, parts)) + ")"
        case Not(part):
            return f"(not {written(part)})"
        case Compare(op, left, right) | Arith(op, left, right):
            return f"({written(left)} {op} {written(right)})"
        case OneOf(part, values):
            return f"({written(part)} in [{', '.join(map(_constant, values))}])"
        case Has(part, member, _, empty):
            return f"({member!r} in {f'default({written(part)}, [])' if empty else written(part)})"
        case Known(part):
            return f"known({written(part)})"
        case Default(part, other):
            return f"default({written(part)}, {written(other)})"
        case Choose(condition, part, other):
            return f"choose({written(condition)}, {written(part)}, {written(other)})"
        case Bands(part, edges):
            return f"band({written(part)}, {', '.join(map(_constant, edges))})"
        case Lookup(part, column):
            return f"lookup({column.table!r}, {column.name!r}, {written(part)})"
        case Negate(part):
            return f"(-{written(part)})"
        case Call(name, parts):
            return f"{name}({', '.join(map(written, parts))})"
        case ToFloat(part):
            return f"float({written(part)})"


def _constant(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
