"""`completed('sequence')`: whether this row is the last step of a sequence."""

from __future__ import annotations

from rules.expressions.implied import implied
from rules.expressions.signature import Example, Function

FUNCTION = Function(
    name="completed",
    usage="completed('basket')",
    docs="Whether the event takes the last step of the sequence.",
    example=Example("completed('basket')", {"completed('basket')": True}, gives=True),
    arguments=(1, 1),
    rule=implied,
)
