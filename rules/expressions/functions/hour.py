"""`hour(t)`: the hour of a time by the operator's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr
from state.jit import part
from state.zone import Transitions, local_hour

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_local_time()


def _plain(wall_ms: int) -> int:
    return wall_ms // 3_600_000 % 24


@part
def _local(at_ms: int, transitions: Transitions) -> int:
    return local_hour(at_ms, transitions)


FUNCTION = Function(
    name="hour",
    usage="hour()",
    docs="The hour of the event's time, or of a time `hour(t)`, in the operator's zone: 0 to 23.",
    example=Example("hour()", {}, gives=9),
    arguments=(0, 1),
    rule=_rule,
    plain=_plain,
    local=_local,
)
