"""`days_until(t)`: how many local days are left. Another way to write `day_number(t) - day_number()`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.functions import day_number
from rules.expressions.signature import Example, Function
from rules.expressions.tree import BUILTINS, Arith, Call, Expr, Use
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    time = arguments.time()
    if time is None:
        return None
    then, now = (Call(day_number.FUNCTION.name, (one,), Kind.INT) for one in (time, Use(BUILTINS["at"])))
    return Arith("-", then, now, Kind.INT)


FUNCTION = Function(
    name="days_until",
    usage="days_until(t)",
    docs="Days from the event's own to a time, by the operator's calendar: 0 on one day, less than 0 in the past.",
    example=Example("days_until(at)", {}, gives=0),
    arguments=(1, 1),
    rule=_rule,
)
