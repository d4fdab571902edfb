"""What makes a value of values: bodies of operators and functions, and the loops that run them over 64 lanes.

A body says what happens in one lane. Those of the operators stand here, those of functions in their own files
(`rules.expressions.functions`). Each gets an opcode by enumeration; `dispatch` makes one function of all bodies of a
family, which the compiler turns into one jump.

A lane holds 64 bits: a whole number, a time, a hash, or the bits of a float. Where few lanes are wanted they are worked
on one by one, else all 64: what stands in the other lanes means nothing, and their known bits are never read. A body
must therefore return for any 64 bits, also for those that are not known. Memory safety rests on the caller, as in
`state.raw`: an address has 512 readable bytes, a target as many to write.
"""

from collections.abc import Callable, Mapping
from typing import Any

from rules.expressions.functions import FUNCTIONS
from rules.expressions.lanes import INFINITE, LANES, covers, product_overflows
from rules.expressions.opcodes import FLOATS, INTS, LOCAL, deal
from rules.expressions.tree import INT_MIN
from state.jit import dispatch, part, routine
from state.raw import bits_of_float, float_of_bits, load_i64, ones, store_i64, trailing_zeros
from state.zone import Transitions

__all__ = ["FLOAT_OPCODES", "INT_OPCODES", "LOCAL_OPCODES", "float_lanes", "int_lanes", "local_lanes"]

FEW_LANES = 16
"""Up to so many wanted lanes are worked on one by one, more all together."""
LOCAL_MAX = 1 << 62
"""A time this far from 1970, either way, has no local time: adding the zone's offset might leave 64 bits."""

# Whole numbers. Sums and products wrap in the machine, so each body also says whether the result is the true one.


@part
def add(left: int, right: int) -> tuple[int, bool]:
    """A sum leaves 64 bits where both numbers have the one sign and the result the other."""
    result = left + right
    return result, ((left ^ result) & (right ^ result)) >= 0


@part
def subtract(left: int, right: int) -> tuple[int, bool]:
    """A difference leaves 64 bits where the signs differ and the result's is not the left one's."""
    result = left - right
    return result, ((left ^ right) & (left ^ result)) >= 0


@part
def multiply(left: int, right: int) -> tuple[int, bool]:
    """The machine says whether a product leaves 64 bits."""
    return left * right, product_overflows(left, right) == 0


@part
def floor_divide(left: int, right: int) -> tuple[int, bool]:
    """Rounds down. -1 is apart because INT_MIN // -1 leaves 64 bits, on which the machine's division stops."""
    if right == 0:
        return 0, False
    if right == -1:
        return -left, left != INT_MIN
    return left // right, True


@part
def remainder(left: int, right: int) -> tuple[int, bool]:
    """The remainder of `floor_divide`; -1 is apart for the same reason, and leaves none."""
    if right == 0:
        return 0, False
    if right == -1:
        return 0, True
    return left % right, True


@part
def negate(value: int) -> tuple[int, bool]:
    """The smallest number has no opposite in 64 bits."""
    return -value, value != INT_MIN


# Floats. What is not finite is unknown: the loops see to it.


@part
def add_floats(left: float, right: float) -> float:
    """A sum."""
    return left + right


@part
def subtract_floats(left: float, right: float) -> float:
    """A difference."""
    return left - right


@part
def multiply_floats(left: float, right: float) -> float:
    """A product."""
    return left * right


@part
def divide_floats(left: float, right: float) -> float:
    """A quotient; that by zero is not finite, so unknown."""
    return left / right


@part
def negate_float(value: float) -> float:
    """The number with the other sign."""
    return -value


@part
def to_float(value: float) -> float:
    """A whole number, whose 64 bits come here as those of a float."""
    return float(bits_of_float(value))


_INTS: dict[str, Callable[..., Any]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "//": floor_divide,
    "%": remainder,
    "negate": negate,
    **{one.name: one.ints for one in FUNCTIONS.values() if one.ints is not None},
}
_FLOATS: dict[str, Callable[..., Any]] = {
    "+": add_floats,
    "-": subtract_floats,
    "*": multiply_floats,
    "/": divide_floats,
    "negate": negate_float,
    "to_float": to_float,
    **{one.name: one.floats for one in FUNCTIONS.values() if one.floats is not None},
}
_LOCAL: dict[str, Callable[..., Any]] = {one.name: one.local for one in FUNCTIONS.values() if one.local is not None}

# `strict`: as many opcodes as bodies, or some body would never run.
INT_OPCODES: Mapping[str, int] = dict(zip(_INTS, deal(INTS, len(_INTS)), strict=True))
FLOAT_OPCODES: Mapping[str, int] = dict(zip(_FLOATS, deal(FLOATS, len(_FLOATS)), strict=True))
LOCAL_OPCODES: Mapping[str, int] = dict(zip(_LOCAL, deal(LOCAL, len(_LOCAL)), strict=True))

int_of = dispatch([(INT_OPCODES[name], body) for name, body in _INTS.items()])
float_of = dispatch([(FLOAT_OPCODES[name], body) for name, body in _FLOATS.items()])
local_of = dispatch([(LOCAL_OPCODES[name], body) for name, body in _LOCAL.items()])


@routine
def int_lanes(code: int, x: int, y: int, target: int, wanted: int) -> int:
    """Whole numbers made of whole numbers, in the wanted lanes at least; return the bits of those with a value."""
    good = 0
    if ones(wanted) > FEW_LANES:
        for lane in range(LANES):
            result, fits = int_of(code, load_i64(x + lane * 8), load_i64(y + lane * 8))
            store_i64(target + lane * 8, result)
            good |= (1 if fits else 0) << lane
        return good
    left = wanted
    while left != 0:
        lane = trailing_zeros(left)
        left &= left - 1
        result, fits = int_of(code, load_i64(x + lane * 8), load_i64(y + lane * 8))
        store_i64(target + lane * 8, result)
        good |= (1 if fits else 0) << lane
    return good


@routine
def float_lanes(code: int, x: int, y: int, target: int, wanted: int) -> int:
    """Floats made of floats, in the wanted lanes at least; return the bits of those that are finite."""
    good = 0
    if ones(wanted) > FEW_LANES:
        for lane in range(LANES):
            result = float_of(code, float_of_bits(load_i64(x + lane * 8)), float_of_bits(load_i64(y + lane * 8)))
            store_i64(target + lane * 8, bits_of_float(result))
        return ~covers(target, INFINITE)
    left = wanted
    while left != 0:
        lane = trailing_zeros(left)
        left &= left - 1
        result = float_of(code, float_of_bits(load_i64(x + lane * 8)), float_of_bits(load_i64(y + lane * 8)))
        bits = bits_of_float(result)
        store_i64(target + lane * 8, bits)
        good |= (1 if bits & INFINITE != INFINITE else 0) << lane
    return good


@routine
def local_lanes(code: int, times: int, target: int, transitions: Transitions) -> int:
    """Whole numbers made of a word of times in the operator's zone; return the bits of those that have one."""
    good = 0
    for lane in range(LANES):
        at_ms = load_i64(times + lane * 8)
        if -LOCAL_MAX < at_ms < LOCAL_MAX:
            good |= 1 << lane
            store_i64(target + lane * 8, local_of(code, at_ms, transitions))
    return good
