"""Machine operations that numba has no name for: loads by address, prefetch, logical shifts, byte masks.

Every raw address of the product passes through these functions, so this is the one place where memory safety rests on
the caller: an address must point into a buffer that stays alive, with `PADDING` readable bytes after its end. An
address does not keep its array alive. So a kernel takes addresses only of arrays that its Python caller holds until it
returns, and an address that is stored in a table is read again when the array may have been replaced (`Table.moves`).

Why addresses at all: a kernel over columns that differ in number and width cannot take them as arguments, because numba
compiles a kernel again for every combination of types; and an array that is handed from kernel to kernel is counted
(see `uncounted`).

All integers are int64: numba turns a mix of int64 and uint64 into float64. Loads and stores say `align=1`, because
packed bytes stand anywhere; on x86-64 that costs nothing, and without it the compiler may choose an instruction that
faults.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from llvmlite import ir
from numba import errors, types
from numba.extending import intrinsic

PADDING = 64
"""Readable bytes that must follow every buffer whose address is handed to a kernel."""

_I8 = ir.IntType(8)
_I32 = ir.IntType(32)
_I64 = ir.IntType(64)

Codegen = Callable[[Any, Any, Any, Any], Any]
Arrays = TypeVar("Arrays")


def machine(lowering: Callable[..., tuple[Any, Codegen]]) -> Callable[..., int]:
    """Make a function of kernels from its lowering to LLVM; its arguments and result are int64."""
    return cast("Callable[..., int]", intrinsic(lowering))


@machine
def load_i64(typingctx: Any, address: Any) -> tuple[Any, Codegen]:
    """Load eight bytes at `address` (little-endian, unaligned)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], _I64.as_pointer()), align=1)

    return types.int64(types.int64), codegen


@machine
def load_u8(typingctx: Any, address: Any) -> tuple[Any, Codegen]:
    """Load one byte at `address`, zero-extended to int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(builder.load(builder.inttoptr(args[0], _I8.as_pointer())), _I64)

    return types.int64(types.int64), codegen


@machine
def store_i64(typingctx: Any, address: Any, value: Any) -> tuple[Any, Codegen]:
    """Store eight bytes at `address` (little-endian, unaligned)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], builder.inttoptr(args[0], _I64.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@machine
def store_u8(typingctx: Any, address: Any, value: Any) -> tuple[Any, Codegen]:
    """Store the low byte of `value` at `address`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(builder.trunc(args[1], _I8), builder.inttoptr(args[0], _I8.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


def _uncounted(typingctx: Any, arrays: Any) -> tuple[Any, Codegen]:
    """Return an array, or a tuple of arrays and such tuples, whose uses numba does not count; in a kernel's body only.

    numba counts an array up and down, atomically, wherever one is handed to a function: sixty of them, six calls deep,
    cost more than the work. The caller's arrays stay alive for as long as the kernel runs, so nothing need be counted.
    """

    def owners(kind: Any, place: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
        if isinstance(kind, types.Array):
            yield (*place, 0)  # the first word of an array is its owner, whose uses are counted
        elif isinstance(kind, types.BaseTuple):
            for index, one in enumerate(kind):
                yield from owners(one, (*place, index))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # The first member of numba's array struct is the owner whose uses are counted; where it is null, none are.
        value = args[0]
        for place in owners(arrays):
            value = builder.insert_value(value, _I8.as_pointer()(None), place)
        return value

    return arrays(arrays), codegen


uncounted = cast("Callable[[Arrays], Arrays]", intrinsic(_uncounted))


@machine
def prefetch(typingctx: Any, address: Any) -> tuple[Any, Codegen]:
    """Ask the processor to fetch the cache line at `address` to be written; never faults."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], _I8.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
        function = builder.module.globals.get("llvm.prefetch.p0")
        if function is None:
            function = ir.Function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, _I32(1), _I32(3), _I32(1)])  # for writing, to be kept, data and not code
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@machine
def differ16(typingctx: Any, left: Any, right: Any, mask: Any) -> tuple[Any, Codegen]:
    """Return 1 where the 16 bytes at two addresses differ in a bit that is set in the 16 bytes at a third, else 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        first, second, kept = (builder.load(builder.inttoptr(at, wide.as_pointer()), align=1) for at in args)
        wrong = builder.and_(builder.xor(first, second), kept)
        return builder.zext(builder.icmp_unsigned("!=", wrong, ir.Constant(wide, 0)), _I64)

    return types.int64(types.int64, types.int64, types.int64), codegen


@machine
def shift_right(typingctx: Any, value: Any, bits: Any) -> tuple[Any, Codegen]:
    """Shift `value` right by `bits`, filling with zeros (numba's `>>` on int64 keeps the sign)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.lshr(args[0], args[1])

    return types.int64(types.int64, types.int64), codegen


@machine
def trailing_zeros(typingctx: Any, value: Any) -> tuple[Any, Codegen]:
    """Count the zero bits below the lowest one bit of `value`; 64 for zero."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), codegen


@machine
def leading_zeros(typingctx: Any, value: Any) -> tuple[Any, Codegen]:
    """Count the zero bits above the highest one bit of `value`; 64 for zero."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), codegen


@machine
def ones(typingctx: Any, value: Any) -> tuple[Any, Codegen]:
    """Count the one bits of `value`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.int64), codegen


def _byte_mask(predicate: str) -> Callable[..., int]:
    """Make an intrinsic: bit i of the result is `byte[i] predicate other` over the 64 bytes at an address."""
    vector = ir.VectorType(_I8, 64)

    def masked(typingctx: Any, address: Any, other: Any) -> tuple[Any, Codegen]:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            loaded = builder.load(builder.inttoptr(args[0], vector.as_pointer()), align=1)
            single = builder.insert_element(ir.Constant(vector, ir.Undefined), builder.trunc(args[1], _I8), _I32(0))
            spread = builder.shuffle_vector(
                single, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(_I32, 64), [0] * 64)
            )
            bits = builder.icmp_unsigned(predicate, loaded, spread)
            return builder.bitcast(bits, _I64)

        return types.int64(types.int64, types.int64), codegen

    return machine(masked)


equal_mask64 = _byte_mask("==")
"""Bit i is set where byte i of the 64 at an address equals the given byte."""
below_mask64 = _byte_mask("<")
"""Bit i is set where byte i of the 64 at an address is below the given byte, unsigned."""


def _address(element: Any) -> Callable[..., int]:
    """Make an intrinsic: the address of a contiguous array's first element, refused for other arrays when compiled."""

    def address(typingctx: Any, array: Any) -> tuple[Any, Codegen]:
        if getattr(array, "layout", "") != "C" or element not in {None, array.dtype}:
            raise errors.TypingError(f"array={array} must be C-contiguous{f' of {element}' if element else ''}")

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            # Only C-contiguous arrays: a kernel computes the address of element i as address + i * size.
            view = context.make_array(signature.args[0])(context, builder, args[0])
            return builder.ptrtoint(view.data, _I64)

        return types.int64(array), codegen

    return machine(address)


address_of = _address(None)
"""Return the address of a contiguous array's first element."""
address_i64 = _address(types.int64)
"""The same, of an int64 array and no other."""
address_i32 = _address(types.int32)
"""The same, of an int32 array and no other."""
address_u8 = _address(types.uint8)
"""The same, of a uint8 array and no other."""


@machine
def load_i32(typingctx: Any, address: Any) -> tuple[Any, Codegen]:
    """Load four bytes at `address` (little-endian, unaligned), sign-extended to int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.sext(builder.load(builder.inttoptr(args[0], _I32.as_pointer()), align=1), _I64)

    return types.int64(types.int64), codegen


@machine
def store_i32(typingctx: Any, address: Any, value: Any) -> tuple[Any, Codegen]:
    """Store the low four bytes of `value` at `address` (little-endian, unaligned)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(builder.trunc(args[1], _I32), builder.inttoptr(args[0], _I32.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@machine
def add_saturated(typingctx: Any, left: Any, right: Any) -> tuple[Any, Codegen]:
    """Add; where the sum leaves 64 bits, return the nearest number that does not.

    A sum that wrapped round would turn a subscriber's largest total into the smallest one, and every `total >= N` of a
    rule from yes to no; at the bound it goes on saying the truth.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        name = "llvm.sadd.sat.i64"
        function = builder.module.globals.get(name)
        if function is None:
            function = ir.Function(builder.module, ir.FunctionType(_I64, [_I64, _I64]), name)
        return builder.call(function, args)

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def _float_of_bits(typingctx: Any, bits: Any) -> tuple[Any, Codegen]:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def _bits_of_float(typingctx: Any, value: Any) -> tuple[Any, Codegen]:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _I64)

    return types.int64(types.float64), codegen


float_of_bits = cast("Callable[[int], float]", _float_of_bits)
"""Read 64 bits as a float."""
bits_of_float = cast("Callable[[float], int]", _bits_of_float)
"""Return the 64 bits of a float."""
