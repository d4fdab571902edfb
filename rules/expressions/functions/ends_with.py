"""`ends_with(x, 'text')`: whether a text ends with another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.text_view import FIRST, SIZE, has_at
from rules.expressions.tree import Expr
from state.jit import part
from state.raw import load_i64
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_text(Kind.BOOL, needle=1)


def _plain(text: str, end: str) -> bool:
    return text.endswith(end)


@part
def _texts(view: int, step: int) -> tuple[int, bool]:
    last = load_i64(view + SIZE) - load_i64(step + FIRST)
    return (1 if last >= 0 and has_at(view, last, step) else 0), True


FUNCTION = Function(
    name="ends_with",
    usage="ends_with(x, 'text')",
    docs="Whether the text ends with the one that is written out.",
    example=Example("ends_with(number, '00')", {"number": "13800000001"}, gives=False),
    arguments=(2, 2),
    rule=_rule,
    plain=_plain,
    texts=_texts,
)
