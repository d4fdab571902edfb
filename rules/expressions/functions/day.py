"""`day(t)`: the day of the month of a time by the operator's calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr
from state.jit import part
from state.zone import Transitions, day_in_month, local_day

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_local_time()


def _plain(wall_ms: int) -> int:
    day = np.datetime64(wall_ms // 86_400_000, "D")
    return int((day - day.astype("datetime64[M]")).astype(np.int64)) + 1


@part
def _local(at_ms: int, transitions: Transitions) -> int:
    return day_in_month(local_day(at_ms, transitions))


FUNCTION = Function(
    name="day",
    usage="day()",
    docs="The day of the month of the event's time, or of a time `day(t)`, in the operator's zone: 1 to 31.",
    example=Example("day()", {}, gives=4),
    arguments=(0, 1),
    rule=_rule,
    plain=_plain,
    local=_local,
)
