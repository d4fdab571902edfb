"""Kinds and units of two values that meet: texts read as durations or times, INT beside FLOAT, sums with a TIME."""

from __future__ import annotations

import ast
from datetime import datetime

from rules.codes import Code
from rules.expressions import fold
from rules.expressions.context import NUMBERS, Context, is_text
from rules.expressions.tree import Arith, Call, Choose, Default, Expr, Literal, Negate, ToFloat, Use
from rules.spans import duration_hint, duration_ms
from state.schema import Kind

__all__ = ["beside", "is_duration", "promoted", "time_arith"]


def beside(context: Context, node: ast.expr, expr: Expr, other: Expr) -> Expr | None:
    """Return `expr` as it is read beside `other`: a text beside a duration or a TIME becomes milliseconds."""
    if isinstance(expr, Literal) and expr.kind is Kind.INT:
        return context.valued(node, expr)
    if not is_text(expr):
        return expr
    assert isinstance(expr, Literal)
    text = str(expr.value)
    if is_duration(other):
        ms = duration_ms(text)
        if ms is None:
            message = f'"{text}" must be a duration such as "10m" or "30d"'
            context.fault(Code.BAD_DURATION, node, message, hint=duration_hint(text))
            return None
        return Literal(Kind.INT, ms)
    if other.kind is Kind.TIME:
        return _beside_time(context, node, text)
    return expr


def _beside_time(context: Context, node: ast.expr, text: str) -> Expr | None:
    """A duration (to be added to the TIME) or an ISO time with its offset."""
    ms = duration_ms(text)
    if ms is not None:
        return Literal(Kind.INT, ms)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        message = f'"{text}" must be a time with its offset, such as "2008-11-04T09:00:00+08:00", or a duration'
        context.fault(Code.BAD_FORMAT, node, message)
        return None
    since = moment - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return Literal(Kind.TIME, (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000)


def is_duration(expr: Expr) -> bool:  # noqa: PLR0911 one case a node
    """Whether a number counts milliseconds: a declared duration, a difference of times, or made from these."""
    match expr:
        case Use(operand):
            return operand.duration
        case Arith("-", left, right, _) if left.kind is Kind.TIME and right.kind is Kind.TIME:
            return True
        case Arith("+" | "-" | "%", left, right, _) if expr.kind in NUMBERS:
            return is_duration(left) or is_duration(right)
        case Arith("*", left, right, _):
            return is_duration(left) is not is_duration(right)
        case Arith("/" | "//", left, right, _):
            return is_duration(left) and not is_duration(right)
        case Default(part) | Negate(part) | ToFloat(part) | Choose(_, part):
            return is_duration(part)
        case Call():
            return expr.duration
        case _:
            return False


def promoted(left: Expr, right: Expr) -> tuple[Expr, Expr]:
    """Two numbers as one kind."""
    if left.kind is right.kind:
        return left, right
    return fold.to_float(left), fold.to_float(right)


def time_arith(op: str, left: Kind, right: Kind) -> Kind | None:
    """The kind of a sum or difference with a TIME in it, or None where it means nothing."""
    if op == "-" and left is Kind.TIME and right is Kind.TIME:
        return Kind.INT
    if left is Kind.TIME and right is Kind.INT and op in {"+", "-"}:
        return Kind.TIME
    if left is Kind.INT and right is Kind.TIME and op == "+":
        return Kind.TIME
    return None
