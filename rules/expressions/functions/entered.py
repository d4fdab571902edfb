"""`entered(x, value)`: whether x becomes this value. Another way to write `changed(x) and x == value`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions import fold
from rules.expressions.implied import implied
from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    pair = arguments.pair()
    change = implied(arguments)
    return None if pair is None or change is None else fold.all_of([change, fold.compare("==", *pair)])


FUNCTION = Function(
    name="entered",
    usage="entered(x, 'value')",
    docs="Whether a field, an attribute or a `last` feature becomes this value with this event, from another one.",
    example=Example("entered(stage, 'loyal')", {"stage": "loyal", "entered(stage, 'loyal')": True}, gives=True),
    arguments=(2, 2),
    rule=_rule,
)
