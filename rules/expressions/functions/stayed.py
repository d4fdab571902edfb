"""`stayed('area')`: how long a subscriber has been in an area. Another way to write that time less the event's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.places import stay
from rules.expressions.signature import Example, Function
from rules.expressions.tree import BUILTINS, Arith, Expr, Use
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    begun = stay(arguments)
    return None if begun is None else Arith("-", Use(BUILTINS["at"]), begun, Kind.INT)


FUNCTION = Function(
    name="stayed",
    usage="stayed('area')",
    docs="How long the subscriber has been in the area, by the event's time; unknown outside.",
    example=Example("stayed('fair')", {}, gives=600_000, stays={"fair": 600_000}),
    arguments=(1, 1),
    rule=_rule,
)
