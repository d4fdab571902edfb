"""`month(t)`: the month of a time by the operator's calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr
from state.jit import part
from state.zone import Transitions, local_month

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_local_time()


def _plain(wall_ms: int) -> int:
    month = np.datetime64(wall_ms // 86_400_000, "D").astype("datetime64[M]")
    return int(month.astype(np.int64)) % 12 + 1


@part
def _local(at_ms: int, transitions: Transitions) -> int:
    return local_month(at_ms, transitions) % 12 + 1


FUNCTION = Function(
    name="month",
    usage="month()",
    docs="The month of the event's time, or of a time `month(t)`, in the operator's zone: 1 to 12.",
    example=Example("month()", {}, gives=11),
    arguments=(0, 1),
    rule=_rule,
    plain=_plain,
    local=_local,
)
