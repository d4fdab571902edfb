"""`member('list')`: whether the subscriber is on a list. A subscriber of whom nothing is known is on none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.member_of("lists", empty_unless_known=True)


FUNCTION = Function(
    name="member",
    usage="member('list')",
    docs="Whether the subscriber is on the list; never unknown.",
    example=Example("member('vip')", {"lists": frozenset({"vip"})}, gives=True),
    arguments=(1, 1),
    rule=_rule,
)
