"""`lower(x)`: a text with small letters. Only A to Z have them here: no table of all alphabets stands behind it."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.text_view import LOWERED
from rules.expressions.tree import Expr
from state.jit import part
from state.raw import store_i64
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments

_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_text(Kind.STRING)


def _plain(text: str) -> str:
    return text.translate(_SMALL)


@part
def _texts(view: int, step: int) -> tuple[int, bool]:  # noqa: ARG001 a step of no arguments
    store_i64(view + LOWERED, 1)
    return 0, True


FUNCTION = Function(
    name="lower",
    usage="lower(x)",
    docs="The text with a to z in place of A to Z; letters of other alphabets stay as they are.",
    example=Example("lower(apn)", {"apn": "CMWAP"}, gives="cmwap"),
    arguments=(1, 1),
    rule=_rule,
    plain=_plain,
    texts=_texts,
)
