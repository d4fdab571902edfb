"""`imei(x)`: the fourteen digits that name a handset, whichever of its forms a text has.

An IMEI comes with its check digit, without it, or with two digits of the software's version. Networks that do not know
it fill in zeros, one digit again and again, or digits that count up: such a one names no handset, nor does one without
a type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.text_view import BEGIN, SIZE, cut
from rules.expressions.tree import Expr
from state.jit import part, routine
from state.raw import load_i64, load_u8
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments

DIGITS = 14
SIZES = (14, 15, 16)
COUNTED = ("01234567890123", "12345678901234")
NO_TYPE = "0" * 8


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_text(Kind.STRING)


def plain_imei(text: str) -> str | None:
    """The fourteen digits; None where the text names no handset."""
    digits = text[:DIGITS]
    if len(text) not in SIZES or not (text.isascii() and text.isdigit()):
        return None
    is_dummy = len(set(digits)) == 1 or digits in COUNTED or digits.startswith(NO_TYPE)
    return None if is_dummy else digits


@routine
def names_handset(address: int, size: int) -> bool:
    """Tell whether the text at an address, of so many bytes, names a handset."""
    if size < DIGITS or size > DIGITS + 2:
        return False
    repeats, counts, zeros = 0, 0, 0
    for at in range(size):
        digit = load_u8(address + at) - 48
        if digit < 0 or digit > 9:
            return False
        if zeros == at and digit == 0:
            zeros += 1
        if 0 < at < DIGITS:
            before = load_u8(address + at - 1) - 48
            repeats += 1 if digit == before else 0
            counts += 1 if digit == (before + 1) % 10 else 0
    first = load_u8(address) - 48
    return zeros < 8 and repeats != DIGITS - 1 and not (counts == DIGITS - 1 and first <= 1)


@part
def _texts(view: int, step: int) -> tuple[int, bool]:  # noqa: ARG001 a step of no arguments
    if not names_handset(load_i64(view + BEGIN), load_i64(view + SIZE)):
        return 0, False
    cut(view, 0, DIGITS)
    return 0, True


FUNCTION = Function(
    name="imei",
    usage="imei(x)",
    docs="The fourteen digits of an IMEI that a text of 14, 15 or 16 is; unknown where it is none, or a dummy.",
    example=Example("imei(handset)", {"handset": "3520990017614823"}, gives="35209900176148"),
    arguments=(1, 1),
    rule=_rule,
    plain=plain_imei,
    texts=_texts,
)
