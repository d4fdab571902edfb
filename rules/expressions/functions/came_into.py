"""`came_into('area')`: whether the event is the one with which a subscriber has come into an area."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.places import stay
from rules.expressions.signature import Example, Function
from rules.expressions.tree import BUILTINS, And, Compare, Expr, Known, Use

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    begun = stay(arguments)
    return None if begun is None else And((Known(begun), Compare("==", begun, Use(BUILTINS["at"]))))


FUNCTION = Function(
    name="came_into",
    usage="came_into('area')",
    docs="Whether a stay in the area begins with this event, of someone who was seen outside before.",
    example=Example("came_into('fair')", {}, gives=True, stays={"fair": 0}),
    arguments=(1, 1),
    rule=_rule,
)
