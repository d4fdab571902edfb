"""`contacted('name', '30d')`: how many decisions of a rule, a campaign or an offer reached the subscriber."""

from __future__ import annotations

from rules.expressions.implied import implied
from rules.expressions.signature import Example, Function

FUNCTION = Function(
    name="contacted",
    usage="contacted('name', '30d')",
    docs="How many contacts of the rule, campaign or offer reached the subscriber in this time, or ever; 8 at most.",
    example=Example("contacted('wave-1', '30d')", {"contacted('wave-1', '30d')": 2}, gives=2),
    arguments=(1, 2),
    rule=implied,
)
