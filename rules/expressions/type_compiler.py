"""From the trees of one event type to instructions. `program` says what is done with them and why.

The compiler asks for conditions that are *true* (or false: `positive` says which) among the rows of a selection, a bit
register. A temporary value is free again once its only reader is written: that is what the marks are for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rules.expressions import opcodes
from rules.expressions.arithmetic import FLOAT_OPCODES, INT_OPCODES, LOCAL_OPCODES
from rules.expressions.atoms import CONSTANT_OPS, LEFT_OF, PAIR_OPS, Atom, Atoms
from rules.expressions.constants import ConstantLists, cell
from rules.expressions.text_lanes import CODES, chain_of
from rules.expressions.tree import (
    And,
    Arith,
    Bands,
    Call,
    Choose,
    Compare,
    CompareOp,
    Default,
    Expr,
    Known,
    Literal,
    Lookup,
    Negate,
    Not,
    OneOf,
    Or,
    Scalar,
    ToFloat,
    Use,
    children,
)
from rules.expressions.writer import EVERY, Writer
from state.schema import Kind

__all__ = ["TypeCompiler"]


class TypeCompiler:
    """Writes the instructions for the expressions of one event type; `result` is the opcode of their answers."""

    def __init__(self, code: list[list[int]], lists: ConstantLists, result: int, first_value: int = 0) -> None:
        self.writer = Writer(code, first_value)
        self._lists = lists
        self._result = result
        self._atoms = Atoms(self.writer, lists)
        self._shared: dict[Atom, int] = {}

    def compile_values(self, exprs: Sequence[tuple[int, Expr]]) -> None:
        """Write expressions of any kind, each with the row beside the features that keeps it."""
        start = len(self.writer.code)
        for place, expr in exprs:
            self.writer.bits = 1
            self.writer.store(self._value(expr, EVERY), place)
            self.writer.values = 0
        self.writer.settle(start)

    def compile(self, exprs: Sequence[tuple[int, Expr]]) -> None:
        """Write shared atoms, then each expression with its result."""
        start = len(self.writer.code)
        seen: Counter[Atom] = Counter()
        for _, expr in exprs:
            self._atoms.count(expr, seen)
        for atom, count in seen.items():
            if count > 1 and atom.cost <= 3:
                self._shared[atom] = self._atom(atom, EVERY)
        base = self.writer.bits
        for number, expr in exprs:
            self.writer.bits = base
            self._whole(number, expr)
        self.writer.settle(start)

    # Atoms: conditions on columns and constants only

    def _atom(self, atom: Atom, selection: int) -> int:
        """Write an atom over a selection; return the register of its rows."""
        shared = self._shared.get(atom)
        if shared is not None:
            return shared if selection == EVERY else self.writer.combine(opcodes.AND, selection, shared)
        return self.writer.emit(atom.opcode, selection, atom.a, atom.b, atom.constant, atom.invert)

    def _whole(self, number: int, expr: Expr) -> None:
        """Write one expression and its result; any part of a top `and` may end it early.

        The last instruction of each part gets the place after the result as its exit: where no row is left after it,
        the kernel goes on there.
        """
        positive = True
        while isinstance(expr, Not):
            expr, positive = expr.part, not positive
        narrowing = isinstance(expr, And | Or) and isinstance(expr, And) is positive
        parts = self._ordered(expr.parts, positive=positive) if isinstance(expr, And | Or) and narrowing else [expr]
        register = EVERY
        exits = []
        for part in parts:
            before = len(self.writer.code)
            register = self._true(part, positive, register)
            if len(self.writer.code) > before:
                exits.append(self.writer.code[-1])
        self.writer.code.append([self._result, 0, 0, register, 0, number, 0, 0])
        for instruction in exits:
            instruction[7] = len(self.writer.code)

    def _true(self, node: Expr, positive: bool, selection: int) -> int:  # noqa: PLR0911 one case a node
        """Write the rows of the selection where a condition is true (or false); return their register."""
        if isinstance(node, Not):
            return self._true(node.part, not positive, selection)
        if isinstance(node, And | Or):
            return self._parts(node, positive, selection)
        atom = self._atoms.of(node, positive)
        if atom is not None:
            return self._atom(atom, selection)
        flip = 0 if positive else -1
        match node:
            case Literal(_, value):
                return (
                    selection if bool(value) is positive else self.writer.combine(opcodes.AND_NOT, selection, selection)
                )
            case Compare(op, left, right):
                return self._compare(op, left, right, flip, selection)
            case OneOf(part, values):
                return self._one_of(part, values, positive, selection)
            case Known(part):
                return self._known(part, positive, selection)
            case Default(part, other):
                return self._default_condition(part, other, positive, selection)
            case Call() | Choose() | Lookup():
                mark = self.writer.values
                register = self._value(node, selection)
                self.writer.values = mark
                return self.writer.emit(opcodes.EQ, selection, register, 0, 1, flip)
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
            found = register if found < 0 else self.writer.combine(opcodes.OR, found, register)
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
        atom = self._atoms.of(node, positive) if node.kind is Kind.BOOL else None
        if atom is not None:
            return 0 if atom in self._shared else atom.cost
        return 5 + sum(self._cost(part, True) for part in children(node) if not isinstance(part, Use))

    def _compare(self, op: CompareOp, left: Expr, right: Expr, flip: int, selection: int) -> int:
        mark = self.writer.values
        floats = left.kind is Kind.FLOAT
        if isinstance(left, Literal):
            op, left, right = LEFT_OF[op], right, left
        a = self._value(left, selection)
        if isinstance(right, Literal):
            self.writer.values = mark
            whole, fraction, invert = CONSTANT_OPS[op]
            constant = cell(right.value)
            return self.writer.emit(fraction if floats else whole, selection, a, 0, constant, invert ^ flip)
        b = self._value(right, selection)
        self.writer.values = mark
        whole, fraction, invert, swapped = PAIR_OPS[op]
        first, second = (b, a) if swapped else (a, b)
        return self.writer.emit(fraction if floats else whole, selection, first, second, 0, invert ^ flip)

    def _one_of(self, part: Expr, values: Sequence[Scalar], positive: bool, selection: int) -> int:
        mark = self.writer.values
        register = self._value(part, selection)
        self.writer.values = mark
        flip = 0 if positive else -1
        if part.kind is not Kind.FLOAT:
            opcode, start, size = self._lists.place(tuple(map(cell, values)))
            return self.writer.emit(opcode, selection, register, size, start, flip)
        found = -1 if not positive else self.writer.combine(opcodes.AND_NOT, selection, selection)
        for value in values:
            if positive:
                one = self.writer.emit(opcodes.FEQ, selection, register, 0, cell(value), 0)
                found = self.writer.combine(opcodes.OR, found, one)
            else:
                selection = found = self.writer.emit(opcodes.FEQ, selection, register, 0, cell(value), -1)
        return found

    def _known(self, part: Expr, positive: bool, selection: int) -> int:
        if part.kind is Kind.BOOL:
            either = self.writer.combine(
                opcodes.OR, self._true(part, True, selection), self._true(part, False, selection)
            )
            return either if positive else self.writer.combine(opcodes.AND_NOT, selection, either)
        mark = self.writer.values
        register = self._value(part, selection)
        self.writer.values = mark
        return self.writer.emit(opcodes.KNOWN, selection, register, 0, 0, 0 if positive else -1)

    def _default_condition(self, part: Expr, other: Expr, positive: bool, selection: int) -> int:
        """True where the part is, or where the other is and the part is not the opposite."""
        if isinstance(other, Literal):
            if bool(other.value) is positive:
                return self.writer.combine(opcodes.AND_NOT, selection, self._true(part, not positive, selection))
            return self._true(part, positive, selection)
        own = self._true(part, positive, selection)
        rest = self.writer.combine(opcodes.AND_NOT, selection, self._true(part, not positive, selection))
        return self.writer.combine(opcodes.OR, own, self._true(other, positive, rest))

    def _value(self, node: Expr, selection: int) -> int:
        """Write a value over a selection; return its register."""
        leaf = self.writer.leaf(node)
        if leaf is not None:
            return leaf
        if node.kind is Kind.BOOL and not isinstance(node, Call | Choose | Lookup):
            yes, no = self._true(node, True, selection), self._true(node, False, selection)
            return self.writer.make(opcodes.TRUTH, selection, yes, no)
        if isinstance(node, Bands | Lookup) or (isinstance(node, Call) and node.name in CODES):
            return self._of_constants(node, selection)
        mark = self.writer.values
        opcodes_of = FLOAT_OPCODES if node.kind is Kind.FLOAT else INT_OPCODES
        match node:
            case Arith(op, left, right):
                a, b = self._value(left, selection), self._value(right, selection)
                opcode = opcodes_of[op]
            case Negate(part):
                a = b = self._value(part, selection)
                opcode = opcodes_of["negate"]
            case ToFloat(part):
                a = b = self._value(part, selection)
                opcode = FLOAT_OPCODES["to_float"]
            case Choose(condition, part, other):
                return self._choice(condition, part, other, selection)
            case Default(part, other):
                a, b = self._value(part, selection), self._value(other, selection)
                opcode = opcodes.DEFAULT
            case Call(name, (part,)):
                a = b = self._value(part, selection)
                opcode = LOCAL_OPCODES.get(name) or opcodes_of[name]
            case Call(name, (first, *rest)):
                a = self._value(first, selection)
                opcode = opcodes_of[name]
                for part in rest[:-1]:
                    b = self._value(part, selection)
                    self.writer.values = mark
                    a = self.writer.make(opcode, selection, a, b)
                b = self._value(rest[-1], selection)
            case _:
                raise TypeError(f"{type(node).__name__} of kind {node.kind.name} is not a value")
        self.writer.values = mark
        return self.writer.make(opcode, selection, a, b)

    def _choice(self, condition: Expr, part: Expr, other: Expr, selection: int) -> int:
        """One value where a condition is true, another where it is false: each known only there, then joined."""
        mark = self.writer.values
        found = []
        for positive, node in ((True, part), (False, other)):
            rows = self._true(condition, positive, selection)
            inner = self.writer.values
            value = self._value(node, rows)
            self.writer.values = inner
            found.append(self.writer.make(opcodes.ONLY, selection, value, rows))
        self.writer.values = mark
        return self.writer.make(opcodes.DEFAULT, selection, *found)

    def _of_constants(self, node: Bands | Lookup | Call, selection: int) -> int:
        """A value made of one value and constants: a band, what a table says, a chain of functions of a text."""
        part, words = chain_of(node) if isinstance(node, Call) else (node.part, ())
        mark = self.writer.values
        value = self._value(part, selection)
        self.writer.values = mark
        if isinstance(node, Call):
            return self.writer.make(opcodes.TEXT, selection, value, value, self._lists.place_numbers(words))
        if isinstance(node, Lookup):
            index, cells = self._lists.place_column(node.column)
            return self.writer.make(opcodes.LOOKUP, selection, value, cells, index)
        opcode = opcodes.FLOAT_BAND if part.kind is Kind.FLOAT else opcodes.BAND
        start = self._lists.place_numbers(tuple(map(cell, node.edges)))
        return self.writer.make(opcode, selection, value, len(node.edges), start)
