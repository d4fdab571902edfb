"""Constant folding: nodes whose parts are constants are worked out while a book is checked.

Each function makes the node that it is named for, or the constant that the node would always be. `None` means that the
constant has no value (division by zero, beyond 64 bits): the checker reports it, so no tree ever contains it. What
operations mean is said in `rules.expressions.tree`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from rules.expressions.tree import (
    INT_MAX,
    INT_MIN,
    And,
    Arith,
    ArithOp,
    Bands,
    Call,
    Choose,
    Compare,
    CompareOp,
    Default,
    Expr,
    Known,
    Literal,
    Negate,
    Not,
    OneOf,
    Or,
    Scalar,
    ToFloat,
)
from state.schema import Kind

__all__ = [
    "all_of",
    "any_of",
    "arith",
    "bands",
    "call",
    "choose",
    "compare",
    "default",
    "known",
    "negate",
    "negation",
    "one_of",
    "to_float",
]

TRUE = Literal(Kind.BOOL, value=True)
FALSE = Literal(Kind.BOOL, value=False)

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITH: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


def truth(value: bool) -> Literal:
    """TRUE or FALSE: there are no other constants of kind BOOL, so they may be compared by identity."""
    return TRUE if value else FALSE


def constant(kind: Kind, value: Any) -> Literal | None:
    """A constant of `kind`, unless the value is outside what the kind can hold."""
    if kind is Kind.FLOAT:
        return Literal(kind, float(value)) if math.isfinite(value) else None
    if kind in {Kind.INT, Kind.TIME}:
        return Literal(kind, int(value)) if INT_MIN <= value <= INT_MAX else None
    if kind is Kind.BOOL:
        return truth(value)
    return Literal(kind, value)


def all_of(parts: Sequence[Expr]) -> Expr:
    """`and`, flat and without `true`; `false` anywhere makes it false."""
    flat: list[Expr] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, And) else (part,))
    if any([part is FALSE for part in flat]):  # noqa: C419 a list is twice as fast as a generator here
        return FALSE
    left = tuple([part for part in flat if part is not TRUE])
    return And(left) if len(left) > 1 else left[0] if left else TRUE


def any_of(parts: Sequence[Expr]) -> Expr:
    """`or`, flat and without `false`; `true` anywhere makes it true."""
    flat: list[Expr] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Or) else (part,))
    if any([part is TRUE for part in flat]):  # noqa: C419 a list is twice as fast as a generator here
        return TRUE
    left = tuple([part for part in flat if part is not FALSE])
    return Or(left) if len(left) > 1 else left[0] if left else FALSE


def negation(part: Expr) -> Expr:
    """`not`, which undoes itself."""
    if isinstance(part, Not):
        return part.part
    return truth(not part.value) if isinstance(part, Literal) else Not(part)


def compare(op: CompareOp, left: Expr, right: Expr) -> Expr:
    """A comparison of two values of one kind."""
    if isinstance(left, Literal) and isinstance(right, Literal):
        return truth(_COMPARE[op](left.value, right.value))
    return Compare(op, left, right)


def one_of(part: Expr, values: Sequence[Scalar]) -> Expr:
    """Membership in constants of the part's kind."""
    if isinstance(part, Literal):
        return truth(part.value in values)
    different: list[Scalar] = sorted(set(values))
    if len(different) == 1:
        return Compare("==", part, Literal(part.kind, different[0]))
    return OneOf(part, tuple(different)) if different else FALSE


def arith(op: ArithOp, left: Expr, right: Expr, kind: Kind) -> Expr | None:
    """Two numbers made into one; a constant zero on the right of a division has no value whatever is on the left."""
    if not isinstance(right, Literal):
        return Arith(op, left, right, kind)
    if op in {"/", "//", "%"} and right.value == 0:
        return None
    if not isinstance(left, Literal):
        return Arith(op, left, right, kind)
    try:
        return constant(kind, _ARITH[op](left.value, right.value))
    except OverflowError:
        return None


def negate(part: Expr) -> Expr | None:
    """A number with the other sign."""
    if isinstance(part, Literal):
        return constant(part.kind, -part.value)  # type: ignore[operator]  # the checker lets only numbers here
    return Negate(part)


def to_float(part: Expr) -> Expr:
    """An INT as FLOAT; what is FLOAT already stays as it is."""
    if part.kind is Kind.FLOAT:
        return part
    return Literal(Kind.FLOAT, float(part.value)) if isinstance(part, Literal) else ToFloat(part)


def default(part: Expr, other: Expr) -> Expr:
    """A constant needs no default."""
    return part if isinstance(part, Literal) else Default(part, other)


def choose(condition: Expr, part: Expr, other: Expr) -> Expr:
    """One of two values of one kind."""
    if isinstance(condition, Literal):
        return part if condition.value else other
    return Choose(condition, part, other)


def bands(part: Expr, edges: Sequence[int | float]) -> Expr:
    """How many of the rising edges, which are of the number's kind, it has reached."""
    if isinstance(part, Literal):
        return Literal(Kind.INT, sum(float(part.value) >= edge for edge in edges))
    return Bands(part, tuple(edges))


def known(part: Expr) -> Expr:
    """A constant is known."""
    return TRUE if isinstance(part, Literal) else Known(part)


def call(made: Call, plain: Callable[..., Any]) -> Expr | None:
    """A function of constants is worked out by `plain`, its meaning in plain Python."""
    if not all(isinstance(part, Literal) for part in made.parts):
        return made
    value = plain(*[part.value for part in made.parts if isinstance(part, Literal)])
    return None if value is None else constant(made.kind, value)
