"""Type rules of `in`: constants in a list, members of a SET, cells of an area."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from rules.codes import Code
from rules.diagnostics import nearest
from rules.expressions import fold
from rules.expressions.context import KIND_WORDS, NUMBERS, Context
from rules.expressions.lookups import CellsOf
from rules.expressions.tree import And, Compare, Default, Expr, Has, Known, Literal, Lookup, Not, Or, Scalar, Use
from rules.expressions.units import beside
from state.schema import Kind

__all__ = ["cells_of", "has", "in_area", "one_of"]


def one_of(
    context: Context, left_node: ast.expr, left: Expr | None, parts: Sequence[tuple[ast.expr, Expr | None]]
) -> Expr | None:
    """`x in [..]`; `parts` are the elements of the list with their nodes."""
    if left is None or any(part is None for _, part in parts):
        return None
    if left.kind is Kind.SET:
        context.fault(Code.TYPE_MISMATCH, left_node, "a set is not in a list", hint="ask for one member: `'x' in ...`")
        return None
    values: list[Scalar] = []
    for element, part in parts:
        value = None if part is None else _element(context, element, part, left_node, left)
        if value is not None:
            values.append(value)
    if len(values) < len(parts):
        return None
    if left.kind is Kind.INT and any(isinstance(value, float) for value in values):
        left, values = fold.to_float(left), [float(value) for value in values]
    return fold.one_of(left, values)


def _element(context: Context, node: ast.expr, part: Expr, left_node: ast.expr, left: Expr) -> Scalar | None:
    """The constant value of one element of a list, in the kind of what is looked for."""
    fitted = beside(context, node, part, left)
    if fitted is None:
        return None
    if not isinstance(fitted, Literal):
        context.fault(Code.WRONG_ARGUMENTS, node, "a list holds constants only", hint="write `x == a or x == b`")
        return None
    if fitted.kind is left.kind:
        return fitted.value
    if {fitted.kind, left.kind} == NUMBERS:
        return float(fitted.value)
    context.mismatch(node, "in", left_node, left, fitted)
    return None


def has(
    context: Context, node: ast.expr, member: Expr, whole: Expr, *, empty_unless_known: bool = False
) -> Expr | None:
    """`'x' in set`: the member must be one of those declared. `empty_unless_known`: an unknown set has no members."""
    if not (isinstance(member, Literal) and isinstance(member.value, str)):
        context.fault(Code.WRONG_ARGUMENTS, node, "a member of a set must be written out as a text")
        return None
    if not isinstance(whole, Use):
        context.fault(Code.TYPE_MISMATCH, node, "members are asked of a set by its name, not of `default(...)`")
        return None
    operand = whole.operand
    word = next((one for one in operand.all_words if member.value in one.members), None)
    if word is None or not member.value:
        code = Code.UNKNOWN_LIST if operand.name == "lists" else Code.UNKNOWN_MEMBER
        message = f"`{member.value}` is not among the declared members of `{operand.name}`"
        known = [name for one in operand.all_words for name in one.members if name]
        context.fault(code, node, message, hint=nearest(member.value, known))
        return None
    bit = word.members.index(member.value)
    if word is operand:
        return Has(whole, member.value, bit, empty_unless_known)
    held = Has(Use(word), member.value, bit, empty_unless_known=True)
    return held if empty_unless_known else Or((held, _nothing(whole)))


def _nothing(whole: Use) -> Expr:
    """False where a set is known, else unknown.

    A set that was told before it had a further word is known all the same, and holds nothing of that word.
    """
    told = Has(whole, whole.operand.members[0], 0)
    return And((told, Not(told)))


def in_area(context: Context, left_node: ast.expr, left: Expr | None, node: ast.expr, name: str) -> Expr | None:
    """`x in areas.NAME`: the cells of the area, written out; `node` is where its name stands."""
    cells = context.scope.areas.get(name)
    if cells is None:
        context.fault(Code.UNKNOWN_AREA, node, f"unknown area `{name}`", hint=nearest(name, context.scope.areas))
        return None
    if left is None:
        return None
    if left.kind is not Kind.STRING:
        message = f"an area holds cells; `{context.words(left_node)}` is {KIND_WORDS[left.kind]}"
        context.fault(Code.TYPE_MISMATCH, left_node, message)
        return None
    return fold.one_of(left, cells) if isinstance(cells, tuple) else cells_of(left, cells)


def cells_of(cell: Expr, cells: CellsOf) -> Expr:
    """Whether a cell is one of those that a table has; unknown where the cell is."""
    asked = Lookup(cell, cells.column)
    found: Expr
    if cells.value is None:
        found = Known(asked)
    else:
        found = Default(Compare("==", asked, Literal(cells.column.kind, cells.value)), Literal(Kind.BOOL, value=False))
    return Or((found, Compare("!=", cell, cell)))  # the second is never true, and unknown where the cell is
