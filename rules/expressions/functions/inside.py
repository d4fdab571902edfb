"""`inside('area')`: whether a subscriber is in an area, by what was seen of them there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.places import stay
from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr, Known

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    begun = stay(arguments)
    return None if begun is None else Known(begun)


FUNCTION = Function(
    name="inside",
    usage="inside('area')",
    docs="Whether the subscriber is in the area: seen there, and since then outside for less than its `leave_after`.",
    example=Example("inside('fair')", {}, gives=True, stays={"fair": 600_000}),
    arguments=(1, 1),
    rule=_rule,
)
