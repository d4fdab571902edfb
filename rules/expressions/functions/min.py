"""`min(x, y, ...)`: the smallest of numbers or times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import ARGUMENTS_MAX, Example, Function
from rules.expressions.tree import Expr
from state.jit import part

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    parts = arguments.ordered()
    return None if parts is None else arguments.made(parts, parts[0].kind, duration=arguments.any_duration(parts))


@part
def _ints(left: int, right: int) -> tuple[int, bool]:
    return min(left, right), True


@part
def _floats(left: float, right: float) -> float:
    # Of 0.0 and -0.0 either may come out: nothing in the language tells them apart.
    return min(right, left)


FUNCTION = Function(
    name="min",
    usage="min(x, y)",
    docs=f"The smallest of 2 to {ARGUMENTS_MAX} numbers or times.",
    example=Example("min(calls, 3)", {"calls": 7}, gives=3),
    arguments=(2, ARGUMENTS_MAX),
    rule=_rule,
    plain=min,
    ints=_ints,
    floats=_floats,
)
