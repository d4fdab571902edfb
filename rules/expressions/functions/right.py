"""`right(x, n)`: the last letters of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.text_view import FIRST, SIZE, before_letters, cut
from rules.expressions.tree import Expr
from state.jit import part
from state.raw import load_i64
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_text(Kind.STRING, numbers=((1, 0),))


def _plain(text: str, count: int) -> str:
    return text[max(len(text) - count, 0) :]


@part
def _texts(view: int, step: int) -> tuple[int, bool]:
    begin = before_letters(view, load_i64(step + FIRST))
    cut(view, begin, load_i64(view + SIZE) - begin)
    return 0, True


FUNCTION = Function(
    name="right",
    usage="right(x, n)",
    docs="The last n letters of a text, all where it has fewer.",
    example=Example("right(number, 4)", {"number": "13420081104"}, gives="1104"),
    arguments=(2, 2),
    rule=_rule,
    plain=_plain,
    texts=_texts,
)
