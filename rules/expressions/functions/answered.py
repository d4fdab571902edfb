"""`answered('name', 'accept', '30d')`: whether the subscriber answered a contact so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions import fold
from rules.expressions.implied import implied
from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr, Literal
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    count = implied(arguments)
    return None if count is None else fold.compare(">=", count, Literal(Kind.INT, 1))


FUNCTION = Function(
    name="answered",
    usage="answered('name', 'accept', '30d')",
    docs="Whether the subscriber answered a contact of the rule, campaign or offer so in this time, or ever: 'accept', "
    "'decline' or 'later' at a desk, where a card may also be 'expired' or 'withdrawn', or with a 'reply' to a text.",
    example=Example("answered('wave-1', 'accept')", {"answered('wave-1', 'accept')": 1}, gives=True),
    arguments=(2, 3),
    rule=_rule,
)
