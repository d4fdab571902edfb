"""`choose(condition, x, otherwise)`: one of several values. Each condition is asked where those before it are false."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import ARGUMENTS_MAX, Example, Function
from rules.expressions.tree import Expr

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.choice()


FUNCTION = Function(
    name="choose",
    usage="choose(condition, x, otherwise)",
    docs="x where the condition is true, the other value where it is false, unknown where it is unknown. There may be "
    f"more pairs, as in `choose(a, x, b, y, otherwise)`, up to {ARGUMENTS_MAX} arguments.",
    example=Example("choose(calls >= 10, 'often', calls >= 1, 'rarely', 'never')", {"calls": 3}, gives="rarely"),
    arguments=(3, ARGUMENTS_MAX),
    rule=_rule,
)
