"""`answered('name', 'accept', '30d')`: whether the subscriber answered a contact so."""

from __future__ import annotations

from rules.expressions.implied import implied
from rules.expressions.signature import Example, Function

FUNCTION = Function(
    name="answered",
    usage="answered('name', 'accept', '30d')",
    docs="Whether the subscriber answered a contact of the rule, campaign or offer so in this time, or ever: 'accept', "
    "'decline' or 'later' at a desk, where a card may also be 'expired' or 'withdrawn', or with a 'reply' to a text.",
    example=Example("answered('wave-1', 'accept')", {"answered('wave-1', 'accept')": True}, gives=True),
    arguments=(2, 3),
    rule=implied,
)
