"""Writes the instructions of one event type: hands out registers, and remembers which columns are read.

Value registers: the columns first, then temporaries. As the number of columns is known only at the end, temporaries
count down from -1 until `settle` gives them their numbers. Bit register 0 is "every row of the block".
"""

from __future__ import annotations

from rules.expressions.arithmetic import LOCAL_OPCODES
from rules.expressions.constants import cell
from rules.expressions.layout import AT, CELL, CONSTANT, FEATURE, LOCAL_AT, LOGGED, PRESENT
from rules.expressions.opcodes import (
    ANSWER,
    CHOOSE,
    COMBINE,
    FLOATS,
    INTS,
    LOCAL,
    STORE,
    TEXT,
    TEXTS,
    TRUTH,
    family,
)
from rules.expressions.tree import BUILTINS, Call, Expr, Literal, Use
from state.schema import Kind

__all__ = ["EVERY", "Writer"]

EVERY = 0
"""The bit register of every row."""

_SOURCES = {"cell": CELL, "feature": FEATURE, "value": FEATURE}
_BUILTINS = (AT, LOGGED)
_MAKE_VALUES = frozenset({CHOOSE, INTS, FLOATS, LOCAL, TEXTS})
_READ_BITS = frozenset({COMBINE, ANSWER})
"""Families whose sources are bit registers; so are those of TRUTH."""
_TARGET = 1
_SOURCES_AT = (3, 4)


class Writer:
    """Appends to `code`, which the types of a program share; `first_value` is the row of the first named value.

    `bits_most` and `values_most` say how many registers.

    `bits` and `values` are how many are in use: whoever sets one back gives later registers free.
    """

    def __init__(self, code: list[list[int]], first_value: int) -> None:
        self.code = code
        self._first_value = first_value
        self.columns: dict[tuple[int, int, int], int] = {}
        self.bits, self.bits_most = 1, 1
        self.values, self.values_most = 0, 0
        self.reads_texts = False

    def emit(self, opcode: int, selection: int, a: int, b: int, constant: int, invert: int) -> int:
        """Write a condition over a selection; return the bit register of its rows."""
        target = self.bits
        self.bits = target + 1
        self.bits_most = max(self.bits_most, self.bits)
        self.code.append([opcode, target, selection, a, b, constant, invert, 0])
        return target

    def combine(self, opcode: int, a: int, b: int) -> int:
        """Write a condition made of two bit registers; return the register of its rows."""
        return self.emit(opcode, EVERY, a, b, 0, 0)

    def make(self, opcode: int, selection: int, a: int, b: int, constant: int = 0) -> int:
        """Write a value made of two values, or of one and constants; return its register, a temporary."""
        self.values += 1
        self.values_most = max(self.values_most, self.values)
        self.code.append([opcode, -self.values, selection, a, b, constant, 0, 0])
        self.reads_texts |= opcode == TEXT
        return -self.values

    def store(self, value: int, place: int) -> None:
        """Write that a value is kept in a row beside the features."""
        self.code.append([STORE, 0, EVERY, value, 0, place, 0, 0])

    def leaf(self, node: Expr) -> int | None:
        """The register of what is filled like a column; None for all else.

        That is a field, a feature, a builtin, a constant, or a function of local time of the event's own time.
        """
        match node:
            case Use():
                return self.column(node)
            case Literal(kind, value):
                return self._register(CONSTANT, cell(float(value) if kind is Kind.FLOAT else value), 0)
            case Call(name, (Use(operand),)) if operand == BUILTINS["at"] and name in LOCAL_OPCODES:
                return self._register(LOCAL_AT, LOCAL_OPCODES[name], 0)
            case _:
                return None

    def column(self, node: Use) -> int:
        """The register of a field, a feature or a builtin."""
        operand = node.operand
        if operand.source == "builtin":
            return self._register(_BUILTINS[operand.index], 0, 0)
        if operand.source == "cell":
            self._register(PRESENT, 0, 0)
        index = operand.index + (self._first_value if operand.source == "value" else 0)
        return self._register(_SOURCES[operand.source], index, int(operand.kind is Kind.FLOAT))

    def _register(self, source: int, index: int, is_float: int) -> int:
        return self.columns.setdefault((source, index, is_float), len(self.columns))

    def column_rows(self) -> list[tuple[int, int, int, int]]:
        """Source, index, whether float, and the register of `present`, by register."""
        present = self.columns.get((PRESENT, 0, 0), 0)
        return [(source, index, is_float, present) for source, index, is_float in self.columns]

    def settle(self, start: int) -> None:
        """Number the temporaries after the columns, in the instructions from `start` on."""
        count = len(self.columns)
        for instruction in self.code[start:]:
            opcode = instruction[0]
            fields = [_TARGET] if family(opcode) in _MAKE_VALUES else []
            if opcode != TRUTH and family(opcode) not in _READ_BITS:
                fields += _SOURCES_AT
            for at in fields:
                if instruction[at] < 0:
                    instruction[at] = count - 1 - instruction[at]
