"""The type check: from syntax to a typed tree, with names found, kinds compared and constants folded.

Every fault is reported once: a part that is wrong becomes None, and whatever contains it reports nothing further.

The language: `and or not`, comparisons (chained too), `+ - * / // %`, `in` a list, an area or a SET, `true false`, and
the functions in `rules.expressions.functions`. A text beside a duration is read as one ("10m"), beside a TIME as an ISO
time with its offset.

Here is the walk over the syntax. Its rules stand in `units` (what two values mean beside each other), `membership`
(`in`) and the files of the functions. Nothing here evaluates anything but constants: see `interpret` and `kernel`.
"""

from __future__ import annotations

import ast
import math

from rules.codes import Code
from rules.diagnostics import Diagnostic, Origin, nearest
from rules.expressions import fold, membership
from rules.expressions.arguments import Arguments
from rules.expressions.context import KIND_WORDS, NUMBERS, ORDERED, Context
from rules.expressions.functions import FUNCTIONS
from rules.expressions.parse import Parsed, parse
from rules.expressions.tree import (
    BUILTINS,
    INT_MAX,
    ArithOp,
    CompareOp,
    Expr,
    Literal,
    Scope,
    Use,
)
from rules.expressions.units import beside, promoted, time_arith
from state.schema import Kind

__all__ = ["check", "read"]

_COMPARE: dict[type[ast.cmpop], CompareOp] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_ARITH: dict[type[ast.operator], ArithOp] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
}
_TRUTH = {"true": fold.TRUE, "false": fold.FALSE}


_NOTHING = frozenset({"null", "nil", "none", "NULL", "undefined"})


def _instead_of(name: str, known: tuple[str, ...]) -> str:
    """What was probably meant by a name that is none."""
    if name in _NOTHING:
        return "`known(x)` asks whether x is there"
    return nearest(name, known) or f"a text stands in quotes: `'{name}'`"


def read(text: str, origin: Origin, scope: Scope, want: Kind | None = Kind.BOOL) -> Expr | list[Diagnostic]:
    """`parse` and `check` in one call."""
    parsed = parse(text, origin)
    return parsed if isinstance(parsed, list) else check(parsed, scope, want)


def check(parsed: Parsed, scope: Scope, want: Kind | None = Kind.BOOL) -> Expr | list[Diagnostic]:
    """Return the typed tree of kind `want` (None: any kind), or everything that is wrong with the expression."""
    context = Context(parsed, scope)
    expr = _Walk(context).visit(parsed.body)
    if expr is not None and want is not None and expr.kind is not want:
        if want is Kind.BOOL:
            context.not_a_condition(parsed.body, expr)
        else:
            message = f"`{context.words(parsed.body)}` is {KIND_WORDS[expr.kind]}, {KIND_WORDS[want]} is needed"
            context.fault(Code.TYPE_MISMATCH, parsed.body, message)
    if expr is not None:
        context.valued(parsed.body, expr)
    if context.faults:
        return context.faults
    assert expr is not None
    return expr


class _Walk:
    """One walk over one expression; `visit` returns None for a node in which a fault is reported."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def visit(self, node: ast.expr) -> Expr | None:  # noqa: PLR0911 one case a node
        """The typed tree of a node, by the kind of node."""
        match node:
            case ast.Name():
                return self._named(node, node.id)
            case ast.Constant():
                return self._constant(node)
            case ast.Compare():
                return self._compare(node)
            case ast.BoolOp():
                return self._bool_op(node)
            case ast.UnaryOp():
                return self._unary(node)
            case ast.Call():
                return self._call(node)
            case ast.BinOp():
                return self._binary(node)
            case ast.Attribute():
                return self._attribute(node)
            case _:
                self.context.fault(Code.TYPE_MISMATCH, node, "a list can only stand after `in`")
                return None

    def _condition(self, node: ast.expr) -> Expr | None:
        """The typed tree of a node that must be a condition."""
        expr = self.visit(node)
        if expr is not None and expr.kind is not Kind.BOOL:
            self.context.not_a_condition(node, expr)
            return None
        return expr

    # Leaves

    def _constant(self, node: ast.Constant) -> Expr | None:
        value = node.value
        if isinstance(value, bool):
            return fold.TRUE if value else fold.FALSE
        if isinstance(value, str):
            return Literal(Kind.STRING, value)
        assert isinstance(value, int | float)
        kind = Kind.INT if isinstance(value, int) else Kind.FLOAT
        # One more than INT_MAX may follow a minus, as that is INT_MIN: `Context.valued` judges it where it is used.
        if kind is Kind.INT and value > INT_MAX + 1:
            self.context.fault(Code.BAD_NUMBER, node, f"{self.context.words(node)} must be <= {INT_MAX}")
            return None
        if not math.isfinite(value):
            self.context.fault(Code.BAD_NUMBER, node, f"{self.context.words(node)} is beyond the largest number")
            return None
        return Literal(kind, value)

    def _attribute(self, node: ast.Attribute) -> Expr | None:
        assert isinstance(node.value, ast.Name)
        if node.value.id == "areas":
            words = self.context.words(node)
            message = f"`{words}` can only stand after `in`"
            self.context.fault(Code.TYPE_MISMATCH, node, message, hint=f"write `cell in {words}`")
            return None
        return self._named(node, f"{node.value.id}.{node.attr}")

    def _named(self, node: ast.expr, name: str) -> Expr | None:
        scope = self.context.scope
        operand = scope.names.get(name) or BUILTINS.get(name)
        if operand is not None:
            return Use(operand)
        if name in _TRUTH:
            return _TRUTH[name]
        if name in FUNCTIONS:
            self.context.fault(Code.UNKNOWN_NAME, node, f"`{name}` is a function", hint=f"write `{name}(...)`")
            return None
        label = scope.elsewhere.get(name, "")
        hint = "" if label else _instead_of(name, (*scope.names, *BUILTINS, *FUNCTIONS))
        self.context.fault(Code.UNKNOWN_NAME, node, f"unknown name `{name}`", label=label, hint=hint)
        return None

    # Conditions

    def _bool_op(self, node: ast.BoolOp) -> Expr | None:
        parts = [self._condition(part) for part in node.values]
        present = [part for part in parts if part is not None]
        if len(present) < len(parts):
            return None
        return fold.all_of(present) if isinstance(node.op, ast.And) else fold.any_of(present)

    def _unary(self, node: ast.UnaryOp) -> Expr | None:
        if isinstance(node.op, ast.Not):
            part = self._condition(node.operand)
            return None if part is None else fold.negation(part)
        part = self.visit(node.operand)
        if part is None:
            return None
        if part.kind not in NUMBERS:
            words = self.context.words(node.operand)
            self.context.fault(Code.TYPE_MISMATCH, node, f"`{words}` is {KIND_WORDS[part.kind]} and has no sign")
            return None
        return self.context.valued(node, part if isinstance(node.op, ast.UAdd) else fold.negate(part))

    def _compare(self, node: ast.Compare) -> Expr | None:
        parts: list[Expr | None] = []
        left_node, left, after_in = node.left, self.visit(node.left), False
        # As many comparisons as right sides, by the syntax: `strict` would only fail on a broken parser.
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                found = self._membership(left_node, left, right_node)
                parts.append(fold.negation(found) if found is not None and isinstance(op, ast.NotIn) else found)
                right, after_in = None, True
            else:
                if after_in:
                    message = "nothing can be compared with what stands after `in`"
                    self.context.fault(Code.TYPE_MISMATCH, right_node, message)
                    return None
                right = self.visit(right_node)
                parts.append(self._pair(_COMPARE[type(op)], left_node, left, right_node, right))
            left_node, left = right_node, right
        present = [part for part in parts if part is not None]
        return fold.all_of(present) if len(present) == len(parts) else None

    def _pair(
        self, op: CompareOp, left_node: ast.expr, left: Expr | None, right_node: ast.expr, right: Expr | None
    ) -> Expr | None:
        """One comparison of a chain."""
        if left is None or right is None:
            return None
        left = beside(self.context, left_node, left, right)
        right = None if left is None else beside(self.context, right_node, right, left)
        if left is None or right is None:
            return None
        if left.kind in NUMBERS and right.kind in NUMBERS:
            left, right = promoted(left, right)
        elif left.kind is not right.kind or left.kind is Kind.SET:
            self.context.mismatch(right_node, op, left_node, left, right)
            return None
        elif op not in {"==", "!="} and left.kind not in ORDERED:
            words = self.context.words(left_node)
            message = f"`{op}` needs numbers or times; `{words}` is {KIND_WORDS[left.kind]}"
            self.context.fault(Code.TYPE_MISMATCH, left_node, message)
            return None
        return fold.compare(op, left, right)

    def _membership(self, left_node: ast.expr, left: Expr | None, right: ast.expr) -> Expr | None:
        """`x in [..]`, `x in areas.NAME`, `'x' in set`."""
        if isinstance(right, ast.List | ast.Tuple):
            if not right.elts:
                message = "an empty list holds nothing"
                self.context.fault(Code.WRONG_ARGUMENTS, right, message, hint="write `false`")
                return None
            parts = [(element, self.visit(element)) for element in right.elts]
            return membership.one_of(self.context, left_node, left, parts)
        if isinstance(right, ast.Attribute) and isinstance(right.value, ast.Name) and right.value.id == "areas":
            name = self.context.words(right).partition(".")[2].strip()
            return membership.in_area(self.context, left_node, left, right, name)
        whole = self.visit(right)
        if left is None or whole is None:
            return None
        if whole.kind is Kind.SET:
            return membership.has(self.context, left_node, left, whole)
        message = f"`in` needs a list, an area or a set; `{self.context.words(right)}` is {KIND_WORDS[whole.kind]}"
        self.context.fault(Code.TYPE_MISMATCH, right, message)
        return None

    # Arithmetic

    def _binary(self, node: ast.BinOp) -> Expr | None:
        left, right = self.visit(node.left), self.visit(node.right)
        if left is None or right is None:
            return None
        op = _ARITH[type(node.op)]
        left = beside(self.context, node.left, left, right)
        right = None if left is None else beside(self.context, node.right, right, left)
        if left is None or right is None:
            return None
        if left.kind in NUMBERS and right.kind in NUMBERS:
            return self._number_arith(node, op, left, right)
        kind = time_arith(op, left.kind, right.kind)
        if kind is None:
            self.context.mismatch(node.right, op, node.left, left, right)
            return None
        return self.context.valued(node, fold.arith(op, left, right, kind))

    def _number_arith(self, node: ast.BinOp, op: ArithOp, left: Expr, right: Expr) -> Expr | None:
        if op in {"//", "%"} and Kind.FLOAT in {left.kind, right.kind}:
            message = f"`{op}` takes whole numbers; `{self.context.words(node)}` has a fraction"
            self.context.fault(Code.TYPE_MISMATCH, node, message, hint="write `/`" if op == "//" else "")
            return None
        if op == "/":
            left, right = fold.to_float(left), fold.to_float(right)
        else:
            left, right = promoted(left, right)
        return self.context.valued(node, fold.arith(op, left, right, left.kind))

    # Functions

    def _call(self, node: ast.Call) -> Expr | None:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        function = FUNCTIONS.get(name)
        if function is None:
            there = name in self.context.scope.names
            message = f"`{name}` is a name, not a function" if there else f"unknown function `{name}`"
            hint = "" if there else nearest(name, FUNCTIONS)
            self.context.fault(Code.UNKNOWN_FUNCTION, node.func, message, hint=hint)
            return None
        least, most = function.arguments
        if not least <= len(node.args) <= most:
            message = f"{name}() got {len(node.args)} argument{'' if len(node.args) == 1 else 's'}"
            self.context.fault(Code.WRONG_ARGUMENTS, node, message, hint=f"write `{function.usage}`")
            return None
        parts = [self.visit(argument) for argument in node.args]
        present = tuple([part for part in parts if part is not None])
        return function.rule(Arguments(self.context, function, node, present)) if len(present) == len(parts) else None
