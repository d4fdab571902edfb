"""Which functions made-up expressions may call: learnt from the functions themselves, so a new one is tried too."""

from functools import cache

from rules.diagnostics import PlainOrigin
from rules.expressions import Operand, Scope, read
from rules.expressions.functions import FUNCTIONS
from state.schema import Kind

ARGUMENTS_TRIED = 3


@cache
def closed_over(kind: Kind) -> tuple[tuple[str, int], ...]:
    """Functions that make a value of a kind out of values of that kind, with each number of arguments they take."""
    scope = Scope({"x": Operand("x", "feature", 0, kind)})
    found = []
    for one in FUNCTIONS.values():
        if one.plain is None or one.local is not None:
            continue
        for count in range(max(one.arguments[0], 1), min(one.arguments[1], ARGUMENTS_TRIED) + 1):
            text = f"{one.name}({', '.join('x' * count)})"
            made = read(text, PlainOrigin("grammar", text), scope, None)
            if not isinstance(made, list) and made.kind is kind:
                found.append((one.name, count))
    return tuple(found)


def local_times() -> tuple[str, ...]:
    """Functions of a time in the operator's zone."""
    return tuple(one.name for one in FUNCTIONS.values() if one.local is not None)
