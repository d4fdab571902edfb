"""`abs(x)`: a number without its sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.tree import INT_MIN, Expr
from state.jit import part

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    number = arguments.number(0)
    if number is None:
        return None
    return arguments.made((number,), number.kind, duration=arguments.any_duration((number,)))


@part
def _ints(value: int) -> tuple[int, bool]:
    return abs(value), value != INT_MIN  # the one number whose opposite leaves 64 bits


@part
def _floats(value: float) -> float:
    return abs(value)


FUNCTION = Function(
    name="abs",
    usage="abs(x)",
    docs="The number without its sign.",
    example=Example("abs(balance - 50)", {"balance": 20}, gives=30),
    arguments=(1, 1),
    rule=_rule,
    plain=abs,
    ints=_ints,
    floats=_floats,
)
