"""`left(x, n)`: the first letters of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.text_view import FIRST, after_letters, cut
from rules.expressions.tree import Expr
from state.jit import part
from state.raw import load_i64
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_text(Kind.STRING, numbers=((1, 0),))


def _plain(text: str, count: int) -> str:
    return text[:count]


@part
def _texts(view: int, step: int) -> tuple[int, bool]:
    cut(view, 0, after_letters(view, load_i64(step + FIRST)))
    return 0, True


FUNCTION = Function(
    name="left",
    usage="left(x, n)",
    docs="The first n letters of a text, all where it has fewer.",
    example=Example("left(imei, 8)", {"imei": "352099001761481"}, gives="35209900"),
    arguments=(2, 2),
    rule=_rule,
    plain=_plain,
    texts=_texts,
)
