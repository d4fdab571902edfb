"""Atoms: conditions on columns and constants alone, each of which is one instruction.

What two or more expressions of a type ask is answered once, for all rows; an atom is its own key.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from rules.expressions import opcodes
from rules.expressions.constants import ConstantLists, cell
from rules.expressions.tree import And, Call, Compare, CompareOp, Expr, Has, Known, Literal, Not, OneOf, Or, Use
from rules.expressions.writer import Writer
from state.schema import Kind

__all__ = ["CONSTANT_OPS", "LEFT_OF", "PAIR_OPS", "Atom", "Atoms"]

LEFT_OF: dict[CompareOp, CompareOp] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""The same comparison with its sides changed."""
CONSTANT_OPS = {
    "==": (opcodes.EQ, opcodes.FEQ, 0),
    "!=": (opcodes.EQ, opcodes.FEQ, -1),
    "<": (opcodes.LT, opcodes.FLT, 0),
    ">=": (opcodes.LT, opcodes.FLT, -1),
    ">": (opcodes.GT, opcodes.FGT, 0),
    "<=": (opcodes.GT, opcodes.FGT, -1),
}
"""Of a value and a constant: the opcode for whole numbers, that for floats, the inversion (-1 turns every bit over)."""
PAIR_OPS = {
    "==": (opcodes.EQ_PAIR, opcodes.FEQ_PAIR, 0, False),
    "!=": (opcodes.EQ_PAIR, opcodes.FEQ_PAIR, -1, False),
    "<": (opcodes.LT_PAIR, opcodes.FLT_PAIR, 0, False),
    ">=": (opcodes.LT_PAIR, opcodes.FLT_PAIR, -1, False),
    ">": (opcodes.LT_PAIR, opcodes.FLT_PAIR, 0, True),
    "<=": (opcodes.LT_PAIR, opcodes.FLT_PAIR, -1, True),
}
"""Of two values, likewise, and whether they change places."""


class Atom(NamedTuple):
    """A condition on columns, as the instruction that answers it; `cost` orders the parts of an `and`."""

    opcode: int
    a: int
    b: int
    constant: int
    invert: int
    cost: int


class Atoms:
    """The atoms of one event type's trees: found once for each node, apart for being asked true and asked false."""

    def __init__(self, writer: Writer, lists: ConstantLists) -> None:
        self._writer = writer
        self._lists = lists
        self._found: dict[tuple[int, bool], Atom | None] = {}

    def count(self, expr: Expr, seen: Counter[Atom]) -> None:
        """Count the atoms of a tree, as the compiler will ask for them."""
        stack = [(expr, True)]
        while stack:
            node, positive = stack.pop()
            if isinstance(node, Not):
                stack.append((node.part, not positive))
            elif isinstance(node, And | Or):
                stack.extend((part, positive) for part in node.parts)
            elif node.kind is Kind.BOOL:
                atom = self.of(node, positive)
                if atom is not None:
                    seen[atom] += 1

    def of(self, node: Expr, positive: bool) -> Atom | None:
        """The atom a node is, or None where it needs values of its own."""
        key = (id(node), positive)
        if key not in self._found:
            self._found[key] = self._make(node, positive)
        return self._found[key]

    def _make(self, node: Expr, positive: bool) -> Atom | None:  # noqa: PLR0911 one case a node
        flip = 0 if positive else -1
        match node:
            case Use():
                return Atom(opcodes.EQ, self._writer.column(node), 0, 1, flip, 1)
            case Call():
                column = self._writer.leaf(node)
                return None if column is None else Atom(opcodes.EQ, column, 0, 1, flip, 1)
            case Compare():
                return self._compare(node, flip)
            case Has(Use() as part, _, bit, empty):
                opcode = opcodes.COVERS_EMPTY if empty else opcodes.COVERS
                return Atom(opcode, self._writer.column(part), 0, 1 << bit, flip, 1)
            case Known(Use() as part):
                return Atom(opcodes.KNOWN, self._writer.column(part), 0, 0, flip, 1)
            case OneOf(part, values) if part.kind is not Kind.FLOAT:
                column = self._writer.leaf(part)
                if column is None:
                    return None
                opcode, start, size = self._lists.place(tuple(map(cell, values)))
                return Atom(opcode, column, size, start, flip, 3 if opcode == opcodes.IN_FEW else 6)
            case _:
                return None

    def _compare(self, node: Compare, flip: int) -> Atom | None:
        op, left, right = node.op, node.left, node.right
        if isinstance(left, Literal):
            op, left, right = LEFT_OF[op], right, left
        column = self._writer.leaf(left)
        if column is None:
            return None
        floats = left.kind is Kind.FLOAT
        if isinstance(right, Literal):
            whole, fraction, invert = CONSTANT_OPS[op]
            cost = 1 if op == "==" and not flip else 2
            return Atom(fraction if floats else whole, column, 0, cell(right.value), invert ^ flip, cost)
        other = self._writer.leaf(right)
        if other is None:
            return None
        whole, fraction, invert, swapped = PAIR_OPS[op]
        first, second = (other, column) if swapped else (column, other)
        return Atom(fraction if floats else whole, first, second, 0, invert ^ flip, 3)
