"""`step('sequence')`: how many steps of a sequence the subscriber has taken."""

from __future__ import annotations

from rules.expressions.implied import implied
from rules.expressions.signature import Example, Function

FUNCTION = Function(
    name="step",
    usage="step('basket')",
    docs="How many steps of the sequence the subscriber has taken, 0 for none; on the event of the last, all of them.",
    example=Example("step('basket')", {"step('basket')": 2}, gives=2),
    arguments=(1, 1),
    rule=implied,
)
