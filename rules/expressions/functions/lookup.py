"""`lookup('table', 'column', key)`: what a table of the book says of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.tree import Expr

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_table()


FUNCTION = Function(
    name="lookup",
    usage="lookup('table', 'column', key)",
    docs="What a column of the table says of the key; unknown where it says nothing, or what is given as a fourth "
    "argument.",
    example=Example(
        "lookup('handsets', 'generation', code)",
        {"code": "35209900"},
        gives=3,
        tables={"handsets": {"generation": {"35209900": 3}}},
    ),
    arguments=(3, 4),
    rule=_rule,
)
