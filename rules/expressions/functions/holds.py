"""`holds('service')`: whether the subscriber has a service. Another way to write `'service' in services`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.member_of("services")


FUNCTION = Function(
    name="holds",
    usage="holds('service')",
    docs="Whether the set `services` has this member; unknown where the set is.",
    example=Example("holds('12593')", {"services": frozenset({"12593"})}, gives=True),
    arguments=(1, 1),
    rule=_rule,
)
