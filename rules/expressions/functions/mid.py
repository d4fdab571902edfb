"""`mid(x, first, n)`: letters from the middle of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.text_view import FIRST, SECOND, SIZE, after_letters, cut
from rules.expressions.tree import Expr
from state.jit import part
from state.raw import load_i64
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_text(Kind.STRING, numbers=((1, 1), (2, 0)))


def _plain(text: str, first: int, count: int) -> str:
    return text[first - 1 : first - 1 + count]


@part
def _texts(view: int, step: int) -> tuple[int, bool]:
    begin = after_letters(view, load_i64(step + FIRST) - 1)
    cut(view, begin, load_i64(view + SIZE) - begin)
    cut(view, 0, after_letters(view, load_i64(step + SECOND)))
    return 0, True


FUNCTION = Function(
    name="mid",
    usage="mid(x, first, n)",
    docs="At most n letters of a text from letter number `first` on; the first letter is number 1.",
    example=Example("mid(imsi, 4, 2)", {"imsi": "460001234567890"}, gives="00"),
    arguments=(3, 3),
    rule=_rule,
    plain=_plain,
    texts=_texts,
)
