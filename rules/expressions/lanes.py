"""Sixty-four rows at once: compares that answer with one bit a row.

A lane is one row of a block; a register of a block holds 64-bit values, 64 of them in a row are a word of lanes. Each
function here reads one word of lanes at an address and returns an int64 whose bit i is the answer for lane i. The
compares are written as vectors of 64 lanes, which LLVM cuts to the widest that the machine has. As in `state.raw`,
memory safety rests on the caller: an address has 512 readable bytes.
"""

# ruff: noqa: ARG001 numba gives a lowering all of its arguments by name

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from rules.expressions.opcodes import (
    COVERS,
    EQ,
    EQ_PAIR,
    FEQ,
    FEQ_PAIR,
    FGT,
    FLT,
    GT,
    LT,
    LT_PAIR,
)
from state.jit import routine
from state.raw import Codegen, load_i64, machine, store_i64

LANES = 64
INFINITE = 0x7FF0000000000000
"""The exponent bits of a float that is infinite or not a number."""

_I32 = ir.IntType(32)
_I64 = ir.IntType(64)
_INTS = ir.VectorType(_I64, LANES)
_FLOATS = ir.VectorType(ir.DoubleType(), LANES)


def _load(builder: Any, address: Any) -> Any:
    return builder.load(builder.inttoptr(address, _INTS.as_pointer()), align=8)


def _spread(builder: Any, value: Any) -> Any:
    """A vector that holds one value in every lane."""
    nothing = ir.Constant(_INTS, ir.Undefined)
    first = builder.insert_element(nothing, value, _I32(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


def _compare(predicate: str, other_of: Callable[[Any, Any], Any], *, floats: bool) -> Callable[..., int]:
    """Make `f(address, other)`: bit i is `lane[i] predicate other[i]`; `other_of` makes the other vector."""

    def compare(typingctx: Any, address: Any, other: Any) -> tuple[Any, Codegen]:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            left, right = _load(builder, args[0]), other_of(builder, args[1])
            if floats:
                left, right = builder.bitcast(left, _FLOATS), builder.bitcast(right, _FLOATS)
                bits = builder.fcmp_ordered(predicate, left, right)
            else:
                bits = builder.icmp_signed(predicate, left, right)
            return builder.bitcast(bits, _I64)

        return types.int64(types.int64, types.int64), codegen

    return machine(compare)


equal = _compare("==", _spread, floats=False)
"""Bit i: lane i equals a number."""
below = _compare("<", _spread, floats=False)
"""Bit i: lane i is less than a number."""
above = _compare(">", _spread, floats=False)
"""Bit i: lane i is greater than a number."""
equal_float = _compare("==", _spread, floats=True)
"""Bit i: lane i, a float, equals a float given by its bits."""
below_float = _compare("<", _spread, floats=True)
"""Bit i: lane i, a float, is less than a float given by its bits."""
above_float = _compare(">", _spread, floats=True)
"""Bit i: lane i, a float, is greater than a float given by its bits."""
equal_pair = _compare("==", _load, floats=False)
"""Bit i: lane i equals lane i of the word at another address."""
below_pair = _compare("<", _load, floats=False)
"""Bit i: lane i is less than lane i of the word at another address."""
equal_float_pair = _compare("==", _load, floats=True)
"""Bit i: lane i, a float, equals lane i of the word at another address."""
below_float_pair = _compare("<", _load, floats=True)
"""Bit i: lane i, a float, is less than lane i of the word at another address."""


@machine
def covers(typingctx: Any, address: Any, mask: Any) -> tuple[Any, Codegen]:
    """Bit i: lane i has every bit of `mask`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wanted = _spread(builder, args[1])
        shared = builder.and_(_load(builder, args[0]), wanted)
        return builder.bitcast(builder.icmp_signed("==", shared, wanted), _I64)

    return types.int64(types.int64, types.int64), codegen


@machine
def product_overflows(typingctx: Any, left: Any, right: Any) -> tuple[Any, Codegen]:
    """Return 1 where the product of two numbers leaves 64 bits, else 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pair = builder.smul_with_overflow(args[0], args[1])
        return builder.zext(builder.extract_value(pair, 1), _I64)

    return types.int64(types.int64, types.int64), codegen


@routine
def lane_bits(code: int, address: int, other: int) -> int:  # noqa: PLR0911 one return a compare
    """Bits of one word: a condition on a value and a constant, or on two values."""
    if code == EQ:
        return equal(address, other)
    if code == LT:
        return below(address, other)
    if code == GT:
        return above(address, other)
    if code == FEQ:
        return equal_float(address, other)
    if code == FLT:
        return below_float(address, other)
    if code == FGT:
        return above_float(address, other)
    if code == COVERS:
        return covers(address, other)
    if code == EQ_PAIR:
        return equal_pair(address, other)
    if code == LT_PAIR:
        return below_pair(address, other)
    if code == FEQ_PAIR:
        return equal_float_pair(address, other)
    return below_float_pair(address, other)


@routine
def choose_lanes(left_known: int, x: int, y: int, target: int) -> None:
    """The left value where it is known, else the right one."""
    for lane in range(LANES):
        source = x if (left_known >> lane) & 1 == 1 else y
        store_i64(target + lane * 8, load_i64(source + lane * 8))
