"""`length(x)`: how many letters a text has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.text_view import BEGIN, SIZE
from rules.expressions.tree import Expr
from state.jit import part
from state.raw import load_i64, load_u8
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_text(Kind.INT)


@part
def _texts(view: int, step: int) -> tuple[int, bool]:  # noqa: ARG001 a step of no arguments
    address, count = load_i64(view + BEGIN), 0
    for at in range(load_i64(view + SIZE)):
        count += 1 if load_u8(address + at) & 0xC0 != 0x80 else 0
    return count, True


FUNCTION = Function(
    name="length",
    usage="length(x)",
    docs="How many letters a text has.",
    example=Example("length(name)", {"name": "张三"}, gives=2),
    arguments=(1, 1),
    rule=_rule,
    plain=len,
    texts=_texts,
)
