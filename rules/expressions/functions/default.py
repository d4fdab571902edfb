"""`default(x, instead)`: a value that stands in for an unknown one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.fold import default
from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    pair = arguments.pair()
    return None if pair is None else default(*pair)


FUNCTION = Function(
    name="default",
    usage="default(x, instead)",
    docs="x where it is known, else the other value, which is of the same kind.",
    example=Example("default(calls, 0)", {"calls": None}, gives=0),
    arguments=(2, 2),
    rule=_rule,
)
