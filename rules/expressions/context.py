"""What every step of the type check shares: the text, the scope, the faults found so far, and words for kinds."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from rules.codes import Code
from rules.diagnostics import Diagnostic
from rules.expressions.parse import Parsed
from rules.expressions.tree import INT_MAX, INT_MIN, Expr, Literal, Scalar, Scope, Use
from rules.windows import duration_ms
from state.schema import Kind

__all__ = ["KIND_WORDS", "NUMBERS", "ORDERED", "Context", "is_text"]

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


@dataclass(slots=True)
class Context:
    """One expression while it is checked. Whoever reports a fault returns None for the node, so it has no echoes."""

    parsed: Parsed
    scope: Scope
    faults: list[Diagnostic] = field(default_factory=list)

    def words(self, node: ast.expr) -> str:
        """A node as its author wrote it."""
        return self.parsed.words(node)

    def fault(self, code: Code, node: ast.expr, message: str, *, label: str = "", hint: str = "") -> None:
        """Report a fault at a node."""
        self.faults.append(Diagnostic(code, message, self.parsed.place(node), label, hint))

    def not_a_condition(self, node: ast.expr, expr: Expr) -> None:
        """Report a value where a condition must stand."""
        words = self.words(node)
        hint = f"compare it, as in `{words} == ...`" if isinstance(expr, Use) else ""
        message = f"`{words}` is {KIND_WORDS[expr.kind]}, not a condition"
        self.fault(Code.NOT_A_CONDITION, node, message, hint=hint)

    def mismatch(self, node: ast.expr, op: str, left_node: ast.expr, left: Expr, right: Expr) -> None:
        """Report at `node`, the right one, a pair of kinds that an operator cannot join."""
        left_words, right_words = self.words(left_node), self.words(node)
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

    def valued(self, node: ast.expr, expr: Expr | None) -> Expr | None:
        """Report a constant that has no value (None from `fold`), or is a whole number beyond 64 bits."""
        if expr is None or (isinstance(expr, Literal) and expr.kind is Kind.INT and not _fits(expr.value)):
            message = f"`{self.words(node)}` has no value: division by zero, or beyond 64 bits"
            self.fault(Code.BAD_NUMBER, node, message)
            return None
        return expr


def is_text(expr: Expr) -> bool:
    """Whether a node is a constant text."""
    return isinstance(expr, Literal) and expr.kind is Kind.STRING


def _fits(value: Scalar) -> bool:
    return INT_MIN <= int(value) <= INT_MAX
