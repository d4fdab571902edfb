"""`number(x)`: the number that a text is, if it is one. At most 15 digits, so that it is exact."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rules.expressions.signature import Example, Function
from rules.expressions.text_view import BEGIN, SIZE
from rules.expressions.tree import Expr
from state.jit import part
from state.raw import bits_of_float, load_i64, load_u8
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments

DIGITS_MAX = 15
"""A whole number of so many digits is a float without loss, and so is a quotient of one by a power of ten, rounded."""
_NUMBER = re.compile(r"[+-]?(\d+)(?:\.(\d+))?", re.ASCII)


def _rule(arguments: Arguments) -> Expr | None:
    return arguments.of_text(Kind.FLOAT)


def _plain(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    return float(text) if match and len(match[1]) + len(match[2] or "") <= DIGITS_MAX else None


@part
def _texts(view: int, step: int) -> tuple[int, bool]:  # noqa: ARG001 a step of no arguments
    address, size = load_i64(view + BEGIN), load_i64(view + SIZE)
    sign = load_u8(address) if size > 0 else 0
    at = 1 if sign in (43, 45) else 0
    digits, whole, after = 0, 0, -1
    scale = 1.0
    fits = size - at <= DIGITS_MAX + 1
    while fits and at < size:
        byte = load_u8(address + at)
        if byte == 46 and digits > 0 and after < 0:
            after = 0
        elif 48 <= byte <= 57:
            whole, digits = whole * 10 + byte - 48, digits + 1
            if after >= 0:
                after, scale = after + 1, scale * 10.0
        else:
            fits = False
        at += 1
    value = float(whole) / scale
    return bits_of_float(-value if sign == 45 else value), fits and 0 < digits <= DIGITS_MAX and after != 0


FUNCTION = Function(
    name="number",
    usage="number(x)",
    docs=f"The number that a text is, of at most {DIGITS_MAX} digits, as '0061' or '-2.50'; unknown where it is none.",
    example=Example("number(fee)", {"fee": "0061.50"}, gives=61.5),
    arguments=(1, 1),
    rule=_rule,
    plain=_plain,
    texts=_texts,
)
