"""`known(x)`: whether there is a value at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.fold import known
from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return known(arguments.parts[0])


FUNCTION = Function(
    name="known",
    usage="known(x)",
    docs="Whether x is known; never unknown itself.",
    example=Example("known(seconds)", {"seconds": None}, gives=False),
    arguments=(1, 1),
    rule=_rule,
)
