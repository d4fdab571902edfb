"""Opcodes: the numbers by which instructions name what they do, dealt by enumeration.

An opcode is `family << 8 | place`. The family chooses the part of the kernel that runs the instruction; the place is a
count within the family. No number is written down anywhere: a new opcode is a new name in a line below, and the bodies
of functions and operators get theirs in `arithmetic`. Opcodes live as long as a program in memory and are never stored.
"""

PLACE_BITS = 8
"""Bits of the place in an opcode; `opcode >> PLACE_BITS` is the family."""

(
    COMPARE,  # a value with a constant, 64 lanes at once: to bits
    PAIR,  # two values, 64 lanes at once: to bits
    TEST,  # other questions to a value: to bits
    COMBINE,  # bits with bits: to bits
    ANSWER,  # bits to hits or to a mask
    CHOOSE,  # values chosen by known bits or by conditions: to a value
    INTS,  # 64-bit cells made of cells by a body of `arithmetic`: to a value
    FLOATS,  # floats made of floats, likewise
    LOCAL,  # whole numbers made of times in the operator's zone, likewise
    TEXTS,  # texts, numbers and answers made of what a text says: to a value
    KEEP,  # a value to a row of the features' columns
) = range(11)


def deal(family: int, count: int) -> tuple[int, ...]:
    """Return the first `count` opcodes of a family."""
    if count > 1 << PLACE_BITS:
        raise ValueError(f"family {family} has {count} opcodes, at most {1 << PLACE_BITS} fit")
    return tuple(family << PLACE_BITS | place for place in range(count))


def family(opcode: int) -> int:
    """Return the family of an opcode; kernels shift by themselves."""
    return opcode >> PLACE_BITS


EQ, LT, GT, FEQ, FLT, FGT, COVERS = deal(COMPARE, 7)
EQ_PAIR, LT_PAIR, FEQ_PAIR, FLT_PAIR = deal(PAIR, 4)
COVERS_EMPTY, KNOWN, IN_FEW, IN_MANY = deal(TEST, 4)
AND, OR, AND_NOT = deal(COMBINE, 3)
HIT, MASK = deal(ANSWER, 2)
DEFAULT, TRUTH, ONLY, BAND, FLOAT_BAND, LOOKUP = deal(CHOOSE, 6)
(TEXT,) = deal(TEXTS, 1)
(STORE,) = deal(KEEP, 1)
