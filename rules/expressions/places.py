"""Where a subscriber is: what `inside`, `came_into` and `stayed` ask of an area in which subscribers are followed.

Such an area is a name of expressions, which no author can write: when the stay began, unknown outside (the kind `area`
of features says more).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.codes import Code
from rules.diagnostics import nearest
from rules.expressions.tree import Use

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments

__all__ = ["AREA", "area_name", "stay"]

AREA = "area:"


def area_name(area: str) -> str:
    """The name that stands for an area among those of features."""
    return AREA + area


def stay(arguments: Arguments) -> Use | None:
    """When the stay began in the area that the only argument names; None, and a fault, where nobody is followed."""
    name = arguments.text(0, "an area")
    if name is None:
        return None
    scope = arguments.context.scope
    operand = scope.names.get(area_name(name))
    if operand is not None:
        return Use(operand)
    if area_name(name) in scope.elsewhere:
        hint = "a rule's `when`, a rule's `still` and values may ask it"
        arguments.fault(Code.UNKNOWN_AREA, 0, f"who stays in `{name}` is known after features are counted", hint=hint)
    elif name in scope.areas:
        hint = f'say who is seen there, as in [areas.{name}] seen = ["move.cell"]'
        arguments.fault(Code.UNKNOWN_AREA, 0, f"nobody is followed in area `{name}`", hint=hint)
    else:
        arguments.fault(Code.UNKNOWN_AREA, 0, f"unknown area `{name}`", hint=nearest(name, scope.areas))
    return None
