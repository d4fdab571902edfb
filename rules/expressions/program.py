"""From trees to instructions: many expressions become one array that the kernel runs over a batch.

What `compile_program` does with the trees of one event type:

1. `not` is pushed down to the comparisons (`not (a < b)` is `a >= b` where both are known), so that only *true* is
   computed: a row without an answer has no bit, whichever way the question is put.
2. Conditions on columns that two or more expressions ask ("atoms") are answered once, for all rows.
3. The parts of an `and` are put in order of cost, shared atoms first, and each narrows the rows for the next.

Compiling is plain Python over small trees, about 20 µs an expression; no machine code is made. A program is a value and
may be shared by threads (see `run`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from struct import pack, unpack
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.expressions import kernel as k
from rules.expressions import lanes
from rules.expressions.run import Program, Workspace
from rules.expressions.tree import (
    And,
    Arith,
    Call,
    Compare,
    CompareOp,
    Default,
    Expr,
    Has,
    Known,
    Literal,
    Negate,
    Not,
    OneOf,
    Operand,
    Or,
    Scalar,
    ToFloat,
    Use,
    children,
)
from state.hashing import hash_text
from state.schema import Kind

__all__ = ["Program", "Workspace", "compile_program"]

FEW = 8
"""Up to so many constants an `in` compares one by one; more stand in a hash table."""

_EVERY = 0
_LEFT_OF: dict[CompareOp, CompareOp] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_CONSTANT_OPS = {
    "==": (lanes.EQ, lanes.FEQ, 0),
    "!=": (lanes.EQ, lanes.FEQ, -1),
    "<": (lanes.LT, lanes.FLT, 0),
    ">=": (lanes.LT, lanes.FLT, -1),
    ">": (lanes.GT, lanes.FGT, 0),
    "<=": (lanes.GT, lanes.FGT, -1),
}
_PAIR_OPS = {
    "==": (lanes.EQ_PAIR, lanes.FEQ_PAIR, 0, False),
    "!=": (lanes.EQ_PAIR, lanes.FEQ_PAIR, -1, False),
    "<": (lanes.LT_PAIR, lanes.FLT_PAIR, 0, False),
    ">=": (lanes.LT_PAIR, lanes.FLT_PAIR, -1, False),
    ">": (lanes.LT_PAIR, lanes.FLT_PAIR, 0, True),
    "<=": (lanes.LT_PAIR, lanes.FLT_PAIR, -1, True),
}
_ARITH_OPS = {
    "+": (lanes.ADD, lanes.FADD),
    "-": (lanes.SUB, lanes.FSUB),
    "*": (lanes.MUL, lanes.FMUL),
    "/": (lanes.FDIV, lanes.FDIV),
    "//": (lanes.FLOOR, lanes.FLOOR),
    "%": (lanes.REM, lanes.REM),
}
_CALL_OPS = {
    "abs": (lanes.ABS, lanes.FABS),
    "min": (lanes.MIN, lanes.FMIN),
    "max": (lanes.MAX, lanes.FMAX),
    "hour": (k.HOUR, k.HOUR),
    "weekday": (k.WEEKDAY, k.WEEKDAY),
}
_SOURCES = {"cell": k.CELL, "feature": k.FEATURE}
_DERIVED = {"hour": k.HOUR_AT, "weekday": k.WEEKDAY_AT}


class _Atom(NamedTuple):
    """A condition on columns, as the instruction that answers it; `cost` orders the parts of an `and`."""

    opcode: int
    a: int
    b: int
    constant: int
    invert: int
    cost: int


class _Sets:
    """Constants of all `in` lists of a program, each different list once."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._places: dict[tuple[int, ...], tuple[int, int, int]] = {}

    def place(self, values: tuple[int, ...]) -> tuple[int, int, int]:
        """Return opcode, start and count (or shift) of a list."""
        found = self._places.get(values)
        if found is None:
            start = len(self.numbers)
            if len(values) <= FEW:
                found = (k.IN_FEW, start, len(values))
                self.numbers.extend(values)
            else:
                bits = max(4, (2 * len(values)).bit_length())
                found = (k.IN_MANY, start, 64 - bits)
                self.numbers.extend(_table(values, bits))
            self._places[values] = found
        return found


def compile_program(
    exprs: Sequence[tuple[int, Expr]], types: int, transitions: NDArray[np.int64], *, masks: bool = False
) -> Program:
    """Return the program of `exprs`, pairs of event type code and condition; expression i answers as number i.

    Args:
        exprs: what to answer, for the rows of which type; order matters for hits on one row only.
        types: how many event types the schema has; rows of other types are left alone.
        transitions: the operator's zone, int64[k, 2], for `hour` and `weekday`.
        masks: answer with masks (the `where` of features) instead of hits (the `when` of rules).
    """
    sets = _Sets()
    code: list[list[int]] = []
    columns: list[tuple[int, int, int, int]] = []
    code_starts, column_starts = [0], [0]
    bit_registers, value_registers = 1, 1
    by_type: dict[int, list[tuple[int, Expr]]] = {}
    for number, (on, expr) in enumerate(exprs):
        by_type.setdefault(on, []).append((number, expr))
    for on in range(types):
        if on in by_type:
            compiler = _TypeCompiler(code, sets, k.MASK if masks else k.HIT)
            compiler.compile(by_type[on])
            columns.extend(compiler.column_rows())
            bit_registers = max(bit_registers, compiler.bits_most)
            value_registers = max(value_registers, compiler.values_most + len(compiler.columns))
        code_starts.append(len(code))
        column_starts.append(len(columns))
    rows = np.array(columns or [(0, 0, 0, 0)], np.int64)
    return Program(
        np.array(code, np.int64).reshape(-1, k.FIELDS) if code else np.zeros((1, k.FIELDS), np.int64),
        np.array(code_starts, np.int64),
        rows,
        np.array(column_starts, np.int64),
        np.array(sets.numbers or [0], np.int64),
        np.array(transitions, np.int64, order="C"),
        len(exprs),
        types,
        masks,
        bit_registers,
        value_registers,
        int(rows[rows[:, 0] == k.CELL, 1].max(initial=-1)) + 1,
        int(rows[rows[:, 0] == k.FEATURE, 1].max(initial=-1)) + 1,
    )


class _TypeCompiler:
    """Writes the instructions for the expressions of one event type.

    Value registers: columns first, temporaries behind them. As the number of columns is known only at the end,
    temporaries count down from -1 until `settle` renumbers them.
    """

    def __init__(self, code: list[list[int]], sets: _Sets, result: int) -> None:
        self.code = code
        self.sets = sets
        self.result = result
        self.columns: dict[tuple[int, int, int], int] = {}
        self.bits_most = 1
        self.values_most = 0
        self._bits = 1
        self._values = 0
        self._atoms: dict[tuple[int, bool], _Atom | None] = {}
        self._shared: dict[_Atom, int] = {}

    def compile(self, exprs: Sequence[tuple[int, Expr]]) -> None:
        """Write shared atoms, then each expression with its result."""
        start = len(self.code)
        seen: Counter[_Atom] = Counter()
        for _, expr in exprs:
            self._collect(expr, seen)
        for atom, count in seen.items():
            if count > 1 and atom.cost <= 3:
                self._shared[atom] = self._atom(atom, _EVERY)
        base = self._bits
        for number, expr in exprs:
            self._bits = base
            self._whole(number, expr)
        self._settle(start)

    def column_rows(self) -> list[tuple[int, int, int, int]]:
        """Source, index, whether float, and the register of `present`, by register."""
        present = self.columns.get((k.PRESENT, 0, 0), 0)
        return [(source, index, is_float, present) for source, index, is_float in self.columns]

    def _settle(self, start: int) -> None:
        """Put temporaries behind the columns."""
        count = len(self.columns)
        for instruction in self.code[start:]:
            if instruction[0] >= lanes.ADD and instruction[1] < 0:
                instruction[1] = count - 1 - instruction[1]
            if instruction[0] not in _BIT_SOURCES:
                for at in (3, 4):
                    if instruction[at] < 0:
                        instruction[at] = count - 1 - instruction[at]

    # Atoms: conditions on columns and constants only

    def _collect(self, expr: Expr, seen: Counter[_Atom]) -> None:
        """Count the atoms of a tree, as `_true` will ask for them."""
        stack = [(expr, True)]
        while stack:
            node, positive = stack.pop()
            if isinstance(node, Not):
                stack.append((node.part, not positive))
            elif isinstance(node, And | Or):
                stack.extend((part, positive) for part in node.parts)
            elif node.kind is Kind.BOOL:
                atom = self._atom_of(node, positive)
                if atom is not None:
                    seen[atom] += 1

    def _atom_of(self, node: Expr, positive: bool) -> _Atom | None:
        """The atom a node is, or None where it needs values of its own."""
        key = (id(node), positive)
        if key not in self._atoms:
            self._atoms[key] = self._make_atom(node, positive)
        return self._atoms[key]

    def _make_atom(self, node: Expr, positive: bool) -> _Atom | None:  # noqa: PLR0911 one case a node
        flip = 0 if positive else -1
        match node:
            case Use():
                return _Atom(lanes.EQ, self._column(node), 0, 1, flip, 1)
            case Compare():
                return self._compare_atom(node, flip)
            case Has(Use() as part, _, bit, empty):
                opcode = k.COVERS_EMPTY if empty else lanes.COVERS
                return _Atom(opcode, self._column(part), 0, 1 << bit, flip, 1)
            case Known(Use() as part):
                return _Atom(k.KNOWN, self._column(part), 0, 0, flip, 1)
            case OneOf(part, values) if part.kind is not Kind.FLOAT:
                column = self._leaf(part)
                if column is None:
                    return None
                opcode, start, size = self.sets.place(tuple(map(_cell, values)))
                return _Atom(opcode, column, size, start, flip, 3 if opcode == k.IN_FEW else 6)
            case _:
                return None

    def _compare_atom(self, node: Compare, flip: int) -> _Atom | None:
        op, left, right = node.op, node.left, node.right
        if isinstance(left, Literal):
            op, left, right = _LEFT_OF[op], right, left
        column = self._leaf(left)
        if column is None:
            return None
        floats = left.kind is Kind.FLOAT
        if isinstance(right, Literal):
            whole, fraction, invert = _CONSTANT_OPS[op]
            cost = 1 if op == "==" and not flip else 2
            return _Atom(fraction if floats else whole, column, 0, _cell(right.value), invert ^ flip, cost)
        other = self._leaf(right)
        if other is None:
            return None
        whole, fraction, invert, swapped = _PAIR_OPS[op]
        first, second = (other, column) if swapped else (column, other)
        return _Atom(fraction if floats else whole, first, second, 0, invert ^ flip, 3)

    def _atom(self, atom: _Atom, selection: int) -> int:
        """Write an atom over a selection; return the register of its rows."""
        shared = self._shared.get(atom)
        if shared is not None:
            return shared if selection == _EVERY else self._combine(k.AND, selection, shared)
        return self._emit(atom.opcode, selection, atom.a, atom.b, atom.constant, atom.invert)

    # Conditions

    def _whole(self, number: int, expr: Expr) -> None:
        """Write one expression and its result; any part of a top `and` may end it early."""
        positive = True
        while isinstance(expr, Not):
            expr, positive = expr.part, not positive
        narrowing = isinstance(expr, And | Or) and isinstance(expr, And) is positive
        parts = self._ordered(expr.parts, positive=positive) if isinstance(expr, And | Or) and narrowing else [expr]
        register = _EVERY
        exits = []
        for part in parts:
            before = len(self.code)
            register = self._true(part, positive, register)
            if len(self.code) > before:
                exits.append(self.code[-1])
        self.code.append([self.result, 0, 0, register, 0, number, 0, 0])
        for instruction in exits:
            instruction[7] = len(self.code)

    def _true(self, node: Expr, positive: bool, selection: int) -> int:  # noqa: PLR0911 one case a node
        """Write the rows of the selection where a condition is true (or false); return their register."""
        if isinstance(node, Not):
            return self._true(node.part, not positive, selection)
        if isinstance(node, And | Or):
            return self._parts(node, positive, selection)
        atom = self._atom_of(node, positive)
        if atom is not None:
            return self._atom(atom, selection)
        flip = 0 if positive else -1
        match node:
            case Literal(_, value):
                return selection if bool(value) is positive else self._combine(k.AND_NOT, selection, selection)
            case Compare(op, left, right):
                return self._compare(op, left, right, flip, selection)
            case OneOf(part, values):
                return self._one_of(part, values, positive, selection)
            case Known(part):
                return self._known(part, positive, selection)
            case Default(part, other):
                return self._default_condition(part, other, positive, selection)
            case _:
                raise TypeError(f"{type(node).__name__} of kind {node.kind.name} is not a condition")

    def _parts(self, node: And | Or, positive: bool, selection: int) -> int:
        """`and` narrows, `or` unites; each is the other when false is asked for."""
        if isinstance(node, And) is positive:
            for part in self._ordered(node.parts, positive=positive):
                selection = self._true(part, positive, selection)
            return selection
        found = -1
        for part in node.parts:
            register = self._true(part, positive, selection)
            found = register if found < 0 else self._combine(k.OR, found, register)
        return found

    def _ordered(self, parts: Sequence[Expr], *, positive: bool) -> list[Expr]:
        return sorted(parts, key=lambda part: self._cost(part, positive))

    def _cost(self, node: Expr, positive: bool) -> int:
        """What a condition costs a row, roughly; shared atoms are already paid for."""
        if isinstance(node, Not):
            return self._cost(node.part, not positive)
        if isinstance(node, And | Or):
            return 1 + sum(self._cost(part, positive) for part in node.parts)
        if isinstance(node, Literal):
            return 0
        atom = self._atom_of(node, positive) if node.kind is Kind.BOOL else None
        if atom is not None:
            return 0 if atom in self._shared else atom.cost
        return 5 + sum(self._cost(part, True) for part in children(node) if not isinstance(part, Use))

    def _compare(self, op: CompareOp, left: Expr, right: Expr, flip: int, selection: int) -> int:
        mark = self._values
        floats = left.kind is Kind.FLOAT
        if isinstance(left, Literal):
            op, left, right = _LEFT_OF[op], right, left
        a = self._value(left, selection)
        if isinstance(right, Literal):
            self._values = mark
            whole, fraction, invert = _CONSTANT_OPS[op]
            constant = _cell(right.value)
            return self._emit(fraction if floats else whole, selection, a, 0, constant, invert ^ flip)
        b = self._value(right, selection)
        self._values = mark
        whole, fraction, invert, swapped = _PAIR_OPS[op]
        first, second = (b, a) if swapped else (a, b)
        return self._emit(fraction if floats else whole, selection, first, second, 0, invert ^ flip)

    def _one_of(self, part: Expr, values: Sequence[Scalar], positive: bool, selection: int) -> int:
        mark = self._values
        register = self._value(part, selection)
        self._values = mark
        flip = 0 if positive else -1
        if part.kind is not Kind.FLOAT:
            opcode, start, size = self.sets.place(tuple(map(_cell, values)))
            return self._emit(opcode, selection, register, size, start, flip)
        found = -1 if not positive else self._combine(k.AND_NOT, selection, selection)
        for value in values:
            if positive:
                one = self._emit(lanes.FEQ, selection, register, 0, _cell(value), 0)
                found = self._combine(k.OR, found, one)
            else:
                selection = found = self._emit(lanes.FEQ, selection, register, 0, _cell(value), -1)
        return found

    def _known(self, part: Expr, positive: bool, selection: int) -> int:
        if part.kind is Kind.BOOL:
            either = self._combine(k.OR, self._true(part, True, selection), self._true(part, False, selection))
            return either if positive else self._combine(k.AND_NOT, selection, either)
        mark = self._values
        register = self._value(part, selection)
        self._values = mark
        return self._emit(k.KNOWN, selection, register, 0, 0, 0 if positive else -1)

    def _default_condition(self, part: Expr, other: Expr, positive: bool, selection: int) -> int:
        """True where the part is, or where the other is and the part is not the opposite."""
        if isinstance(other, Literal):
            if bool(other.value) is positive:
                return self._combine(k.AND_NOT, selection, self._true(part, not positive, selection))
            return self._true(part, positive, selection)
        own = self._true(part, positive, selection)
        rest = self._combine(k.AND_NOT, selection, self._true(part, not positive, selection))
        return self._combine(k.OR, own, self._true(other, positive, rest))

    # Values

    def _value(self, node: Expr, selection: int) -> int:
        """Write a value over a selection; return its register."""
        leaf = self._leaf(node)
        if leaf is not None:
            return leaf
        if node.kind is Kind.BOOL and not isinstance(node, Use):
            yes, no = self._true(node, True, selection), self._true(node, False, selection)
            return self._make(k.TRUTH, selection, yes, no)
        floats = node.kind is Kind.FLOAT
        mark = self._values
        match node:
            case Arith(op, left, right):
                a, b = self._value(left, selection), self._value(right, selection)
                opcode = _ARITH_OPS[op][floats]
            case Negate(part):
                a = b = self._value(part, selection)
                opcode = lanes.FNEG if floats else lanes.NEG
            case ToFloat(part):
                a = b = self._value(part, selection)
                opcode = lanes.TO_FLOAT
            case Default(part, other):
                a, b = self._value(part, selection), self._value(other, selection)
                opcode = k.DEFAULT
            case Call(name, (part,)):
                a = b = self._value(part, selection)
                opcode = _CALL_OPS[name][floats]
            case Call(name, (first, *rest)):
                a = self._value(first, selection)
                for part in rest[:-1]:
                    b = self._value(part, selection)
                    self._values = mark
                    a = self._make(_CALL_OPS[name][floats], selection, a, b)
                b = self._value(rest[-1], selection)
                opcode = _CALL_OPS[name][floats]
            case _:
                raise TypeError(f"{type(node).__name__} of kind {node.kind.name} is not a value")
        self._values = mark
        return self._make(opcode, selection, a, b)

    def _leaf(self, node: Expr) -> int | None:
        """The register of a column, a constant, or the local hour of the event; None for all else."""
        match node:
            case Use():
                return self._column(node)
            case Literal(kind, value):
                return self._register(k.CONSTANT, _cell(float(value) if kind is Kind.FLOAT else value), 0)
            case Call("hour" | "weekday" as name, (Use(Operand(source="builtin", index=0)),)):
                return self._register(_DERIVED[name], 0, 0)
            case _:
                return None

    def _column(self, node: Use) -> int:
        operand = node.operand
        if operand.source == "builtin":
            return self._register((k.AT, k.LOGGED)[operand.index], 0, 0)
        if operand.source == "cell":
            self._register(k.PRESENT, 0, 0)
        return self._register(_SOURCES[operand.source], operand.index, int(operand.kind is Kind.FLOAT))

    def _register(self, source: int, index: int, is_float: int) -> int:
        return self.columns.setdefault((source, index, is_float), len(self.columns))

    # Writing

    def _emit(self, opcode: int, selection: int, a: int, b: int, constant: int, invert: int) -> int:
        target = self._bits
        self._bits = target + 1
        self.bits_most = max(self.bits_most, self._bits)
        self.code.append([opcode, target, selection, a, b, constant, invert, 0])
        return target

    def _combine(self, opcode: int, a: int, b: int) -> int:
        return self._emit(opcode, _EVERY, a, b, 0, 0)

    def _make(self, opcode: int, selection: int, a: int, b: int) -> int:
        self._values += 1
        self.values_most = max(self.values_most, self._values)
        self.code.append([opcode, -self._values, selection, a, b, 0, 0, 0])
        return -self._values


_BIT_SOURCES = frozenset({k.AND, k.OR, k.AND_NOT, k.HIT, k.MASK, k.TRUTH})


def _cell(value: Scalar) -> int:
    """A constant as the 64 bits of a cell."""
    if isinstance(value, str):
        return _text_cell(value)
    return int(unpack("<q", pack("<d", value))[0]) if isinstance(value, float) else int(value)


@lru_cache(maxsize=1 << 16)
def _text_cell(text: str) -> int:
    return hash_text(text.encode())


def _table(values: Sequence[int], bits: int) -> list[int]:
    """A hash table of constants: whether 0 is a member, then 2**bits places with 0 for free."""
    table = [0] * (1 << bits)
    mask = (1 << bits) - 1
    for value in values:
        if value:
            place = ((value * k.HASH_FACTOR) & 0xFFFFFFFFFFFFFFFF) >> (64 - bits)
            while table[place]:
                place = (place + 1) & mask
            table[place] = value
    return [int(0 in values), *table]
