"""Conditions and arithmetic of the rule book: Python's syntax, our own types, never Python's evaluation.

The life of an expression:

1. `parse(text, origin) -> Parsed | list[Diagnostic]`: Python's `ast`, held against a white list of nodes.
2. `check(parsed, scope, want=Kind.BOOL) -> Expr | list[Diagnostic]`: names, types and units resolved against a `Scope`;
   constants folded. The `Expr` (see `tree`) is all that later stages know.
3. `program.compile_program` turns many expressions into one array of instructions; `kernel` runs it over columns.
   `interpret.evaluate` gives the same answers slowly, one row at a time: it is what the kernel is tested against.

`read` is 1 and 2 in one call. What a rule may call (`abs`, `holds`, ...) stands in `functions`, one function a file.
Nothing here reads books from disk, or compiles machine code when a book is loaded.
"""

from rules.expressions.check import check, read
from rules.expressions.parse import Parsed, parse
from rules.expressions.tree import BUILTINS, Expr, Operand, Scope, operands
from rules.expressions.written import canonical, meaning

__all__ = [
    "BUILTINS",
    "Expr",
    "Operand",
    "Parsed",
    "Scope",
    "canonical",
    "check",
    "meaning",
    "operands",
    "parse",
    "read",
]
