"""`changed(x)`: whether this event changes a field, an attribute or a `last` feature."""

from __future__ import annotations

from rules.expressions.implied import implied
from rules.expressions.signature import Example, Function

FUNCTION = Function(
    name="changed",
    usage="changed(x)",
    docs="Whether this event gives a field, an attribute or a `last` feature another value than the one before; false "
    "where nothing was known before.",
    example=Example("changed(plan)", {"plan": "gold", "changed(plan)": True}, gives=True),
    arguments=(1, 1),
    rule=implied,
)
