"""The plain evaluator: one expression, one row, Python values. Slow, obvious, and right by reading.

It is the oracle that kernels are held against, so it shares nothing with them but the tree. Of a function it calls only
`plain`, its meaning in Python, never the bodies for the kernel that stand in the same file. Values are Python's: int
(INT, and TIME as epoch milliseconds), float, bool, str, a set of member names for SET, and None for unknown. A name
absent from the row is unknown.

    >>> evaluate(tree, Row({"kind": "roaming", "seconds": 60}, at_ms=0, logged_ms=0), local)
    True
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rules.expressions.functions import FUNCTIONS
from rules.expressions.tree import (
    INT_MAX,
    INT_MIN,
    And,
    Arith,
    Bands,
    Call,
    Choose,
    Compare,
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
    ToFloat,
    Use,
)
from state.schema import Kind

__all__ = ["LocalTime", "Row", "Value", "evaluate"]

Value: TypeAlias = int | float | bool | str | Collection[str] | None
LocalTime: TypeAlias = Callable[[int], int]
"""From epoch milliseconds to what a clock on the operator's wall shows, as milliseconds since it showed 1970."""

LOCAL_TIME_MAX = 1 << 62
"""An instant this far from 1970, either way, has no local time."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one expression may look at: values by name, and the two builtin times."""

    values: Mapping[str, Value] = field(default_factory=dict)
    at_ms: int = 0
    logged_ms: int = 0


def evaluate(expr: Expr, row: Row, local: LocalTime) -> Any:  # noqa: PLR0911, PLR0912 one case a node
    """Return the value of an expression on a row, None where it is unknown."""
    match expr:
        case Literal(_, value):
            return value
        case Use():
            return _operand(expr, row)
        case Not(part):
            truth = evaluate(part, row, local)
            return None if truth is None else not truth
        case And(parts):
            truths = [evaluate(part, row, local) for part in parts]
            return False if False in truths else None if None in truths else True
        case Or(parts):
            truths = [evaluate(part, row, local) for part in parts]
            return True if True in truths else None if None in truths else False
        case Known(part):
            return evaluate(part, row, local) is not None
        case Default(part, other):
            value = evaluate(part, row, local)
            return evaluate(other, row, local) if value is None else value
        case Choose() | Bands() | Lookup():
            return _chosen(expr, row, local)
        case Has(part, member, _, empty_unless_known):
            members = evaluate(part, row, local)
            if members is None:
                return False if empty_unless_known else None
            return member in members
        case OneOf(part, values):
            value = evaluate(part, row, local)
            return None if value is None else any(value == one for one in values)
        case Compare(op, left, right):
            return _strict(_COMPARE[op], expr.kind, left, right, row=row, local=local)
        case Arith(op, left, right, kind):
            return _strict(_ARITH[op], kind, left, right, row=row, local=local)
        case Negate(part):
            return _strict(operator.neg, expr.kind, part, row=row, local=local)
        case ToFloat(part):
            return _strict(float, expr.kind, part, row=row, local=local)
        case Call(name, parts, kind):
            function = FUNCTIONS[name]
            if function.plain is None:
                raise TypeError(f"{name} has no meaning in plain Python, so its rule must not make a Call")
            if function.local is None:
                return _strict(function.plain, kind, *parts, row=row, local=local)
            at_ms = evaluate(parts[0], row, local)
            if at_ms is None or abs(at_ms) >= LOCAL_TIME_MAX:
                return None
            return _within(kind, function.plain(local(at_ms)))


def _chosen(expr: Choose | Bands | Lookup, row: Row, local: LocalTime) -> Any:
    """A value that is chosen for another one."""
    asked = evaluate(expr.condition if isinstance(expr, Choose) else expr.part, row, local)
    if asked is None:
        return None
    match expr:
        case Choose(_, part, other):
            return evaluate(part if asked else other, row, local)
        case Bands(_, edges):
            return len([edge for edge in edges if asked >= edge])
        case Lookup(_, column):
            return column.values.get(asked)


def _operand(use: Use, row: Row) -> Any:
    operand = use.operand
    if operand.source == "builtin":
        return row.at_ms if operand.index == 0 else row.logged_ms
    return _within(operand.kind, row.values.get(operand.name))


def _strict(work: Callable[..., Any], kind: Kind, *parts: Expr, row: Row, local: LocalTime) -> Any:
    """Work on the values of all parts; unknown where any of them is, or where the result is outside its kind."""
    values = [evaluate(part, row, local) for part in parts]
    if any(value is None for value in values):
        return None
    return _within(kind, work(*values))


def _within(kind: Kind, value: Any) -> Any:
    """A value, or None where its kind cannot hold it."""
    if value is None:
        return None
    if kind is Kind.FLOAT and not math.isfinite(value):
        return None
    if kind in {Kind.INT, Kind.TIME} and not INT_MIN <= value <= INT_MAX:
        return None
    return value


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
_ARITH: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right if right else None,
    "//": lambda left, right: left // right if right else None,
    "%": lambda left, right: left % right if right else None,
}
