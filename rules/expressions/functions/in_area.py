"""`in_area(cell, 'area')`: whether a cell lies in an area. Another way to write `cell in areas.NAME`.

It is needed for areas whose ID is no name of the language, such as "460-00".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.in_area(0, 1)


FUNCTION = Function(
    name="in_area",
    usage="in_area(cell, 'area')",
    docs="Whether the cell is one of the area's.",
    example=Example("in_area(cell, 'fair')", {"cell": "28001-7"}, gives=True, areas={"fair": ("28001-7", "28001-9")}),
    arguments=(2, 2),
    rule=_rule,
)
