"""`imei_tac(x)`: the type of a handset, as a number: the first eight digits of its IMEI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.functions.imei import names_handset, plain_imei
from rules.expressions.signature import Example, Function
from rules.expressions.text_view import BEGIN, SIZE
from rules.expressions.tree import Expr
from state.jit import part
from state.raw import load_i64, load_u8
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments

DIGITS = 8


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_text(Kind.INT)


def _plain(text: str) -> int | None:
    digits = plain_imei(text)
    return int(digits[:DIGITS]) if digits is not None else None


@part
def _texts(view: int, step: int) -> tuple[int, bool]:  # noqa: ARG001 a step of no arguments
    address = load_i64(view + BEGIN)
    if not names_handset(address, load_i64(view + SIZE)):
        return 0, False
    code = 0
    for at in range(DIGITS):
        code = code * 10 + load_u8(address + at) - 48
    return code, True


FUNCTION = Function(
    name="imei_tac",
    usage="imei_tac(x)",
    docs="The type allocation code of an IMEI, a whole number of up to eight digits; unknown where `imei(x)` is.",
    example=Example("imei_tac(handset)", {"handset": "352099001761482"}, gives=35_209_900),
    arguments=(1, 1),
    rule=_rule,
    plain=_plain,
    texts=_texts,
)
