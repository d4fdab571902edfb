"""`holiday(t)`: whether a day stands in the table `holidays`. Another way to write `day_number(t) in [...]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.functions import day_number
from rules.expressions.signature import Example, Function
from rules.expressions.tree import Call, Expr
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    time = arguments.time()
    return None if time is None else arguments.in_keys(Call(day_number.FUNCTION.name, (time,), Kind.INT), "holidays")


FUNCTION = Function(
    name="holiday",
    usage="holiday()",
    docs="Whether the day of the event, or of a time `holiday(t)`, in the operator's zone is a key of the table "
    "`holidays`, whose first column holds dates.",
    example=Example("holiday()", {}, gives=True, tables={"holidays": {"name": {14187: "day of the example"}}}),
    arguments=(0, 1),
    rule=_rule,
)
