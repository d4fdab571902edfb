"""From syntax to a typed tree: names found, kinds compared, units turned into milliseconds, constants folded.

`check` reports every fault once: a part that is wrong becomes nothing (None), and whatever is built on it stays silent.
The language: `and or not`, comparisons (chained too), `+ - * / // %`, `in` a list, an area or a SET, `true false`, and
the functions of `FUNCTIONS`. A text beside a duration is read as one ("10m"), beside a TIME as an ISO time with offset.

Nothing here evaluates anything but constants: see `interpret` and `kernel`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from datetime import datetime

from rules.codes import Code
from rules.diagnostics import Diagnostic, Origin, nearest
from rules.expressions import fold
from rules.expressions.parse import Parsed, parse
from rules.expressions.tree import (
    BUILTINS,
    INT_MAX,
    INT_MIN,
    Arith,
    ArithOp,
    Call,
    CompareOp,
    Default,
    Expr,
    Function,
    Has,
    Literal,
    Negate,
    Scalar,
    Scope,
    ToFloat,
    Use,
)
from rules.spans import duration_ms
from state.schema import Kind

__all__ = ["FUNCTIONS", "check", "read"]

KIND_WORDS = {
    Kind.INT: "a whole number",
    Kind.FLOAT: "a number with a fraction",
    Kind.BOOL: "a condition",
    Kind.STRING: "a text",
    Kind.TIME: "a time",
    Kind.SET: "a set",
}
NUMBERS = frozenset({Kind.INT, Kind.FLOAT})
ORDERED = frozenset({Kind.INT, Kind.FLOAT, Kind.TIME})

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


def read(text: str, origin: Origin, scope: Scope, want: Kind | None = Kind.BOOL) -> Expr | list[Diagnostic]:
    """`parse` and `check` in one call."""
    parsed = parse(text, origin)
    return parsed if isinstance(parsed, list) else check(parsed, scope, want)


def check(parsed: Parsed, scope: Scope, want: Kind | None = Kind.BOOL) -> Expr | list[Diagnostic]:
    """Return the typed tree of kind `want` (None: any kind), or everything that is wrong with the expression."""
    checker = _Checker(parsed, scope)
    expr = checker.visit(parsed.body)
    if expr is not None and want is not None and expr.kind is not want:
        if want is Kind.BOOL:
            checker.not_a_condition(parsed.body, expr)
        else:
            message = f"`{parsed.words(parsed.body)}` is {KIND_WORDS[expr.kind]}, {KIND_WORDS[want]} is needed"
            checker.fault(Code.TYPE_MISMATCH, parsed.body, message)
    if expr is not None:
        checker.valued(parsed.body, expr)
    if checker.faults:
        return checker.faults
    assert expr is not None
    return expr


class _Checker:
    """One walk over one expression; `visit` returns None below a fault that is already reported."""

    def __init__(self, parsed: Parsed, scope: Scope) -> None:
        self.parsed = parsed
        self.scope = scope
        self.faults: list[Diagnostic] = []

    def fault(self, code: Code, node: ast.expr, message: str, *, label: str = "", hint: str = "") -> None:
        """Report a fault at a node; the value of the node is nothing from here on."""
        self.faults.append(Diagnostic(code, message, self.parsed.place(node), label, hint))

    def not_a_condition(self, node: ast.expr, expr: Expr) -> None:
        """Report a value where a condition must stand."""
        words = self.parsed.words(node)
        hint = f"compare it, as in `{words} == ...`" if isinstance(expr, Use) else ""
        message = f"`{words}` is {KIND_WORDS[expr.kind]}, not a condition"
        self.fault(Code.NOT_A_CONDITION, node, message, hint=hint)

    def visit(self, node: ast.expr) -> Expr | None:  # noqa: PLR0911 one case a node
        """The typed tree of a node, by the kind of node."""
        match node:
            case ast.Name():
                return self.named(node, node.id)
            case ast.Constant():
                return self.constant(node)
            case ast.Compare():
                return self.compare(node)
            case ast.BoolOp():
                return self.bool_op(node)
            case ast.UnaryOp():
                return self.unary(node)
            case ast.Call():
                return self.call(node)
            case ast.BinOp():
                return self.binary(node)
            case ast.Attribute():
                return self.attribute(node)
            case _:
                self.fault(Code.TYPE_MISMATCH, node, "a list can only stand behind `in`")
                return None

    def condition(self, node: ast.expr) -> Expr | None:
        """The typed tree of a node that must be a condition."""
        expr = self.visit(node)
        if expr is not None and expr.kind is not Kind.BOOL:
            self.not_a_condition(node, expr)
            return None
        return expr

    # Leaves

    def constant(self, node: ast.Constant) -> Expr | None:
        value = node.value
        if isinstance(value, bool):
            return fold.TRUE if value else fold.FALSE
        if isinstance(value, str):
            return Literal(Kind.STRING, value)
        assert isinstance(value, int | float)
        kind = Kind.INT if isinstance(value, int) else Kind.FLOAT
        # The magnitude of INT_MIN may be written behind a minus: `negated` judges the result.
        if kind is Kind.INT and value > INT_MAX + 1:
            self.fault(Code.BAD_NUMBER, node, f"{self.parsed.words(node)} must be <= {INT_MAX}")
            return None
        if not math.isfinite(value):
            self.fault(Code.BAD_NUMBER, node, f"{self.parsed.words(node)} is beyond the largest number")
            return None
        return Literal(kind, value)

    def attribute(self, node: ast.Attribute) -> Expr | None:
        assert isinstance(node.value, ast.Name)
        if node.value.id == "areas":
            message = f"`areas.{node.attr}` can only stand behind `in`"
            self.fault(Code.TYPE_MISMATCH, node, message, hint=f"write `cell in areas.{node.attr}`")
            return None
        return self.named(node, f"{node.value.id}.{node.attr}")

    def named(self, node: ast.expr, name: str) -> Expr | None:
        operand = self.scope.names.get(name) or BUILTINS.get(name)
        if operand is not None:
            return Use(operand)
        if name in _TRUTH:
            return _TRUTH[name]
        if name in FUNCTIONS:
            self.fault(Code.UNKNOWN_NAME, node, f"`{name}` is a function", hint=f"write `{name}(...)`")
            return None
        label = self.scope.elsewhere.get(name, "")
        hint = "" if label else nearest(name, (*self.scope.names, *BUILTINS, *FUNCTIONS))
        self.fault(Code.UNKNOWN_NAME, node, f"unknown name `{name}`", label=label, hint=hint)
        return None

    # Conditions

    def bool_op(self, node: ast.BoolOp) -> Expr | None:
        parts = [self.condition(part) for part in node.values]
        present = [part for part in parts if part is not None]
        if len(present) < len(parts):
            return None
        return fold.all_of(present) if isinstance(node.op, ast.And) else fold.any_of(present)

    def unary(self, node: ast.UnaryOp) -> Expr | None:
        if isinstance(node.op, ast.Not):
            part = self.condition(node.operand)
            return None if part is None else fold.negation(part)
        part = self.visit(node.operand)
        if part is None:
            return None
        if part.kind not in NUMBERS:
            words = self.parsed.words(node.operand)
            self.fault(Code.TYPE_MISMATCH, node, f"`{words}` is {KIND_WORDS[part.kind]} and has no sign")
            return None
        if isinstance(node.op, ast.UAdd):
            return self.valued(node, part)
        return self.valued(node, fold.negate(part))

    def compare(self, node: ast.Compare) -> Expr | None:
        parts: list[Expr | None] = []
        left_node, left, seen = node.left, self.visit(node.left), True
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                found = self.membership(left_node, left, right_node)
                parts.append(fold.negation(found) if found is not None and isinstance(op, ast.NotIn) else found)
                right, seen = None, False
            else:
                if not seen:
                    self.fault(Code.TYPE_MISMATCH, right_node, "nothing can be compared with what stands behind `in`")
                    return None
                right = self.visit(right_node)
                parts.append(self.pair(_COMPARE[type(op)], left_node, left, right_node, right))
            left_node, left = right_node, right
        present = [part for part in parts if part is not None]
        return fold.all_of(present) if len(present) == len(parts) else None

    def pair(
        self, op: CompareOp, left_node: ast.expr, left: Expr | None, right_node: ast.expr, right: Expr | None
    ) -> Expr | None:
        """One comparison of a chain."""
        if left is None or right is None:
            return None
        left = self.beside(left_node, left, right)
        right = None if left is None else self.beside(right_node, right, left)
        if left is None or right is None:
            return None
        if left.kind in NUMBERS and right.kind in NUMBERS:
            left, right = promoted(left, right)
        elif left.kind is not right.kind or left.kind is Kind.SET:
            self.mismatch(right_node, op, left_node, left, right)
            return None
        elif op not in {"==", "!="} and left.kind not in ORDERED:
            message = f"`{op}` needs numbers or times; `{self.parsed.words(left_node)}` is {KIND_WORDS[left.kind]}"
            self.fault(Code.TYPE_MISMATCH, left_node, message)
            return None
        return fold.compare(op, left, right)

    def mismatch(self, node: ast.expr, op: str, left_node: ast.expr, left: Expr, right: Expr) -> None:
        """Report a pair of kinds that an operator cannot join."""
        left_words, right_words = self.parsed.words(left_node), self.parsed.words(node)
        message = (
            f"`{op}` cannot join `{left_words}`, {KIND_WORDS[left.kind]}, and `{right_words}`, {KIND_WORDS[right.kind]}"
        )
        hint = ""
        if Kind.SET in {left.kind, right.kind}:
            hint = "ask for one member: `'x' in ...`"
        elif {left.kind, right.kind} == {Kind.STRING, Kind.INT}:
            texts = [words for words, part in ((left_words, left), (right_words, right)) if is_text(part)]
            if texts and duration_ms(texts[0].strip("'\"")) is not None:
                hint = (
                    "a duration can stand beside a span of milliseconds only (`since` features, differences of times)"
                )
        self.fault(Code.TYPE_MISMATCH, node, message, hint=hint)

    def membership(self, left_node: ast.expr, left: Expr | None, right: ast.expr) -> Expr | None:
        """`x in [..]`, `x in areas.NAME`, `'x' in set`."""
        if isinstance(right, ast.List | ast.Tuple):
            return self.one_of(left_node, left, right)
        if isinstance(right, ast.Attribute) and isinstance(right.value, ast.Name) and right.value.id == "areas":
            return self.in_area_named(left_node, left, right, right.attr)
        whole = self.visit(right)
        if left is None or whole is None:
            return None
        if whole.kind is Kind.SET:
            return self.has(left_node, left, whole)
        message = f"`in` needs a list, an area or a set; `{self.parsed.words(right)}` is {KIND_WORDS[whole.kind]}"
        self.fault(Code.TYPE_MISMATCH, right, message)
        return None

    def one_of(self, left_node: ast.expr, left: Expr | None, right: ast.List | ast.Tuple) -> Expr | None:
        if not right.elts:
            self.fault(Code.WRONG_ARGUMENTS, right, "an empty list holds nothing", hint="write `false`")
            return None
        parts = [(element, self.visit(element)) for element in right.elts]
        if left is None or any(part is None for _, part in parts):
            return None
        if left.kind is Kind.SET:
            self.fault(Code.TYPE_MISMATCH, left_node, "a set is not in a list", hint="ask for one member: `'x' in ...`")
            return None
        values: list[Scalar] = []
        for element, part in parts:
            value = None if part is None else self.element(element, part, left_node, left)
            if value is not None:
                values.append(value)
        if len(values) < len(parts):
            return None
        if left.kind is Kind.INT and any(isinstance(value, float) for value in values):
            left, values = fold.to_float(left), [float(value) for value in values]
        return fold.one_of(left, values)

    def element(self, node: ast.expr, part: Expr, left_node: ast.expr, left: Expr) -> Scalar | None:
        """The constant value of one element of a list, in the kind of what is looked for."""
        fitted = self.beside(node, part, left)
        if fitted is None:
            return None
        if not isinstance(fitted, Literal):
            self.fault(Code.WRONG_ARGUMENTS, node, "a list holds constants only", hint="write `x == a or x == b`")
            return None
        if fitted.kind is left.kind:
            return fitted.value
        if {fitted.kind, left.kind} == NUMBERS:
            return float(fitted.value)
        self.mismatch(node, "in", left_node, left, fitted)
        return None

    def has(self, node: ast.expr, member: Expr, whole: Expr, *, empty_unless_known: bool = False) -> Expr | None:
        """Whether a set has a member, which must be one of those declared."""
        if not (isinstance(member, Literal) and isinstance(member.value, str)):
            self.fault(Code.WRONG_ARGUMENTS, node, "a member of a set must be written out as a text")
            return None
        if not isinstance(whole, Use):
            self.fault(Code.TYPE_MISMATCH, node, "members are asked of a set by its name, not of `default(...)`")
            return None
        operand = whole.operand
        if member.value not in operand.members or not member.value:
            code = Code.UNKNOWN_LIST if operand.name == "lists" else Code.UNKNOWN_MEMBER
            message = f"`{member.value}` is not among the declared members of `{operand.name}`"
            self.fault(code, node, message, hint=nearest(member.value, operand.members))
            return None
        return Has(whole, member.value, operand.members.index(member.value), empty_unless_known)

    def in_area_named(self, left_node: ast.expr, left: Expr | None, node: ast.expr, name: str) -> Expr | None:
        cells = self.scope.areas.get(name)
        if cells is None:
            self.fault(Code.UNKNOWN_AREA, node, f"unknown area `{name}`", hint=nearest(name, self.scope.areas))
            return None
        if left is None:
            return None
        if left.kind is not Kind.STRING:
            message = f"an area holds cells; `{self.parsed.words(left_node)}` is {KIND_WORDS[left.kind]}"
            self.fault(Code.TYPE_MISMATCH, left_node, message)
            return None
        return fold.one_of(left, cells)

    # Arithmetic

    def binary(self, node: ast.BinOp) -> Expr | None:
        left, right = self.visit(node.left), self.visit(node.right)
        if left is None or right is None:
            return None
        op = _ARITH[type(node.op)]
        left = self.beside(node.left, left, right)
        right = None if left is None else self.beside(node.right, right, left)
        if left is None or right is None:
            return None
        if left.kind in NUMBERS and right.kind in NUMBERS:
            return self.number_arith(node, op, left, right)
        kind = time_arith(op, left.kind, right.kind)
        if kind is None:
            self.mismatch(node.right, op, node.left, left, right)
            return None
        return self.valued(node, fold.arith(op, left, right, kind))

    def number_arith(self, node: ast.BinOp, op: ArithOp, left: Expr, right: Expr) -> Expr | None:
        if op in {"//", "%"} and Kind.FLOAT in {left.kind, right.kind}:
            message = f"`{op}` takes whole numbers; `{self.parsed.words(node)}` has a fraction"
            self.fault(Code.TYPE_MISMATCH, node, message, hint="write `/`" if op == "//" else "")
            return None
        if op == "/":
            left, right = fold.to_float(left), fold.to_float(right)
        else:
            left, right = promoted(left, right)
        return self.valued(node, fold.arith(op, left, right, left.kind))

    def valued(self, node: ast.expr, expr: Expr | None) -> Expr | None:
        """Report a constant that has no value, or is a number beyond 64 bits."""
        if expr is None or (isinstance(expr, Literal) and expr.kind is Kind.INT and not _fits(expr.value)):
            message = f"`{self.parsed.words(node)}` has no value: division by zero, or beyond 64 bits"
            self.fault(Code.BAD_NUMBER, node, message)
            return None
        return expr

    def beside(self, node: ast.expr, expr: Expr, other: Expr) -> Expr | None:
        """A text beside a duration or a time becomes a number of milliseconds; all else stays."""
        if isinstance(expr, Literal) and expr.kind is Kind.INT and not _fits(expr.value):
            return self.valued(node, expr)
        if not is_text(expr):
            return expr
        assert isinstance(expr, Literal)
        text = str(expr.value)
        if is_duration(other):
            ms = duration_ms(text)
            if ms is None:
                self.fault(Code.BAD_DURATION, node, f'"{text}" must be a duration such as "10m" or "30d"')
                return None
            return Literal(Kind.INT, ms)
        if other.kind is Kind.TIME:
            return self.beside_time(node, text)
        return expr

    def beside_time(self, node: ast.expr, text: str) -> Expr | None:
        ms = duration_ms(text)
        if ms is not None:
            return Literal(Kind.INT, ms)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = datetime.min
        if moment.tzinfo is None:
            message = f'"{text}" must be a time with its offset, such as "2008-11-04T09:00:00+08:00", or a duration'
            self.fault(Code.BAD_FORMAT, node, message)
            return None
        since = moment - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
        return Literal(Kind.TIME, (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000)

    # Functions

    def call(self, node: ast.Call) -> Expr | None:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        if name not in FUNCTIONS:
            there = name in self.scope.names
            message = f"`{name}` is a name, not a function" if there else f"unknown function `{name}`"
            hint = "" if there else nearest(name, FUNCTIONS)
            self.fault(Code.UNKNOWN_FUNCTION, node.func, message, hint=hint)
            return None
        least, most, shape, work = FUNCTIONS[name]
        if not least <= len(node.args) <= most:
            message = f"{name}() got {len(node.args)} argument{'' if len(node.args) == 1 else 's'}"
            self.fault(Code.WRONG_ARGUMENTS, node, message, hint=f"write `{shape}`")
            return None
        parts = [self.visit(argument) for argument in node.args]
        present = [part for part in parts if part is not None]
        return work(self, node, present) if len(present) == len(parts) else None

    def holds(self, node: ast.Call, parts: Sequence[Expr]) -> Expr | None:
        return self.of_attribute(node, "services", parts[0], empty_unless_known=False)

    def member(self, node: ast.Call, parts: Sequence[Expr]) -> Expr | None:
        return self.of_attribute(node, "lists", parts[0], empty_unless_known=True)

    def of_attribute(self, node: ast.Call, name: str, part: Expr, *, empty_unless_known: bool) -> Expr | None:
        operand = self.scope.names.get(name)
        if operand is None or operand.kind is not Kind.SET:
            message = f"`{self.parsed.words(node)}` reads the set `{name}`, which is not declared here"
            self.fault(Code.UNKNOWN_NAME, node, message)
            return None
        return self.has(node.args[0], part, Use(operand), empty_unless_known=empty_unless_known)

    def known(self, _node: ast.Call, parts: Sequence[Expr]) -> Expr | None:
        return fold.known(parts[0])

    def default(self, node: ast.Call, parts: Sequence[Expr]) -> Expr | None:
        part, other = parts
        fitted = self.beside(node.args[1], other, part)
        if fitted is None:
            return None
        if part.kind in NUMBERS and fitted.kind in NUMBERS:
            part, fitted = promoted(part, fitted)
        elif part.kind is not fitted.kind:
            self.mismatch(node.args[1], "default", node.args[0], part, fitted)
            return None
        return fold.default(part, fitted)

    def in_area(self, node: ast.Call, parts: Sequence[Expr]) -> Expr | None:
        area = parts[1]
        if not is_text(area):
            self.fault(Code.WRONG_ARGUMENTS, node.args[1], "an area must be written out as a text")
            return None
        assert isinstance(area, Literal)
        return self.in_area_named(node.args[0], parts[0], node.args[1], str(area.value))

    def absolute(self, node: ast.Call, parts: Sequence[Expr]) -> Expr | None:
        if parts[0].kind not in NUMBERS:
            message = f"abs() takes a number; `{self.parsed.words(node.args[0])}` is {KIND_WORDS[parts[0].kind]}"
            self.fault(Code.TYPE_MISMATCH, node.args[0], message)
            return None
        return self.valued(node, fold.call("abs", parts, parts[0].kind))

    def extreme(self, node: ast.Call, parts: Sequence[Expr]) -> Expr | None:
        """`min` and `max`: numbers, promoted together, or times."""
        name: Function = "min" if isinstance(node.func, ast.Name) and node.func.id == "min" else "max"
        anchor = next((part for part in parts if not is_text(part)), parts[0])
        fitted: list[Expr] = []
        for argument, part in zip(node.args, parts, strict=True):
            value = self.beside(argument, part, anchor)
            if value is None:
                return None
            if value.kind not in ORDERED or (value.kind is Kind.TIME) is not (anchor.kind is Kind.TIME):
                self.mismatch(argument, name, node.args[0], parts[0], value)
                return None
            fitted.append(value)
        if any(part.kind is Kind.FLOAT for part in fitted):
            fitted = [fold.to_float(part) for part in fitted]
        return fold.call(name, fitted, fitted[0].kind)

    def hour(self, node: ast.Call, parts: Sequence[Expr]) -> Expr | None:
        return self.of_time(node, "hour", parts)

    def weekday(self, node: ast.Call, parts: Sequence[Expr]) -> Expr | None:
        return self.of_time(node, "weekday", parts)

    def of_time(self, node: ast.Call, name: Function, parts: Sequence[Expr]) -> Expr | None:
        part = parts[0] if parts else Use(BUILTINS["at"])
        if part.kind is not Kind.TIME:
            message = f"{name}() takes a time; `{self.parsed.words(node.args[0])}` is {KIND_WORDS[part.kind]}"
            self.fault(Code.TYPE_MISMATCH, node.args[0], message)
            return None
        return Call(name, (part,), Kind.INT)


_Work = Callable[[_Checker, ast.Call, Sequence[Expr]], Expr | None]

FUNCTIONS: dict[str, tuple[int, int, str, _Work]] = {
    "holds": (1, 1, "holds('service')", _Checker.holds),
    "member": (1, 1, "member('list')", _Checker.member),
    "known": (1, 1, "known(x)", _Checker.known),
    "default": (2, 2, "default(x, instead)", _Checker.default),
    "in_area": (2, 2, "in_area(cell, 'area')", _Checker.in_area),
    "abs": (1, 1, "abs(x)", _Checker.absolute),
    "min": (2, 16, "min(x, y)", _Checker.extreme),
    "max": (2, 16, "max(x, y)", _Checker.extreme),
    "hour": (0, 1, "hour()", _Checker.hour),
    "weekday": (0, 1, "weekday()", _Checker.weekday),
}
"""Every function: how many arguments at least and at most, its shape, what makes the tree."""


def is_text(expr: Expr) -> bool:
    """Whether a node is a constant text."""
    return isinstance(expr, Literal) and expr.kind is Kind.STRING


def is_duration(expr: Expr) -> bool:  # noqa: PLR0911 one case a node
    """Whether a number counts milliseconds: a declared duration, a difference of times, or made from these."""
    match expr:
        case Use(operand):
            return operand.duration
        case Arith("-", left, right, _) if left.kind is Kind.TIME and right.kind is Kind.TIME:
            return True
        case Arith("+" | "-" | "%", left, right, _) if expr.kind in NUMBERS:
            return is_duration(left) or is_duration(right)
        case Arith("*", left, right, _):
            return is_duration(left) is not is_duration(right)
        case Arith("/" | "//", left, right, _):
            return is_duration(left) and not is_duration(right)
        case Default(part) | Negate(part) | ToFloat(part):
            return is_duration(part)
        case Call("abs" | "min" | "max", parts, _) if expr.kind in NUMBERS:
            return any(map(is_duration, parts))
        case _:
            return False


def promoted(left: Expr, right: Expr) -> tuple[Expr, Expr]:
    """Two numbers as one kind."""
    if left.kind is right.kind:
        return left, right
    return fold.to_float(left), fold.to_float(right)


def time_arith(op: str, left: Kind, right: Kind) -> Kind | None:
    """The kind of a sum or difference with a TIME in it, or None where it means nothing."""
    if op == "-" and left is Kind.TIME and right is Kind.TIME:
        return Kind.INT
    if left is Kind.TIME and right is Kind.INT and op in {"+", "-"}:
        return Kind.TIME
    if left is Kind.INT and right is Kind.TIME and op == "+":
        return Kind.TIME
    return None


def _fits(value: Scalar) -> bool:
    return INT_MIN <= int(value) <= INT_MAX
