"""`max(x, y, ...)`: the largest of numbers or times."""

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
    return max(left, right), True


@part
def _floats(left: float, right: float) -> float:
    # Of 0.0 and -0.0 either may come out: nothing in the language tells them apart.
    return max(right, left)


FUNCTION = Function(
    name="max",
    usage="max(x, y)",
    docs=f"The largest of 2 to {ARGUMENTS_MAX} numbers or times.",
    example=Example("max(seconds, 60.0)", {"seconds": 45}, gives=60.0),
    arguments=(2, ARGUMENTS_MAX),
    rule=_rule,
    plain=max,
    ints=_ints,
    floats=_floats,
)
