"""`band(x, edge, ...)`: in which band a number lies. The key `bands` of a value makes the same node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import ARGUMENTS_MAX, Example, Function
from rules.expressions.tree import Expr

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.band()


FUNCTION = Function(
    name="band",
    usage="band(x, edge, ...)",
    docs="How many of the rising edges a number has reached: 0 below the first, 1 from the first on, and so on; beside "
    "a duration an edge is one, as '30d'.",
    example=Example("band(fee, 10, 50, 100)", {"fee": 50}, gives=2),
    arguments=(2, ARGUMENTS_MAX),
    rule=_rule,
)
