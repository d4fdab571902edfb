"""`contains(x, 'text')`: whether a text has another within it."""

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


def _plain(text: str, inner: str) -> bool:
    return inner in text


@part
def _texts(view: int, step: int) -> tuple[int, bool]:
    last = load_i64(view + SIZE) - load_i64(step + FIRST)
    for at in range(last + 1):
        if has_at(view, at, step):
            return 1, True
    return 0, True


FUNCTION = Function(
    name="contains",
    usage="contains(x, 'text')",
    docs="Whether the text that is written out stands anywhere in the text.",
    example=Example("contains(text, '退订')", {"text": "TD退订"}, gives=True),
    arguments=(2, 2),
    rule=_rule,
    plain=_plain,
    texts=_texts,
)
