"""`day_number(t)`: the local days since 1970, to tell how far days lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr
from state.jit import part
from state.zone import Transitions, local_day

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_local_time()


def _plain(wall_ms: int) -> int:
    return wall_ms // 86_400_000


@part
def _local(at_ms: int, transitions: Transitions) -> int:
    return local_day(at_ms, transitions)


FUNCTION = Function(
    name="day_number",
    usage="day_number()",
    docs="Days from 1 January 1970 to the event's time, or to a time `day_number(t)`, in the operator's zone.",
    example=Example("day_number()", {}, gives=14187),
    arguments=(0, 1),
    rule=_rule,
    plain=_plain,
    local=_local,
)
