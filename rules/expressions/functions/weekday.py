"""`weekday(t)`: the day of the week of a time by the operator's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr
from state.jit import part
from state.zone import Transitions, local_weekday

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_local_time()


def _plain(wall_ms: int) -> int:
    return (wall_ms // 86_400_000 + 3) % 7 + 1  # 1 January 1970 was a Thursday


@part
def _local(at_ms: int, transitions: Transitions) -> int:
    return local_weekday(at_ms, transitions) + 1


FUNCTION = Function(
    name="weekday",
    usage="weekday()",
    docs="The day of the week of the event's time, or of a time `weekday(t)`, in the operator's zone: 1 (Monday) to 7.",
    example=Example("weekday()", {}, gives=2),
    arguments=(0, 1),
    rule=_rule,
    plain=_plain,
    local=_local,
)
