"""The functions of the expressions, one a file: what a rule may call, found by listing this folder.

To add a function, add one file here that makes a `FUNCTION` (`rules.expressions.signature` explains each part), and
nothing else. `abs.py` is a good one to start from: a type rule, the meaning in plain Python, bodies for the kernel, an
example. From the file alone

- `check` knows the name, the number of arguments and the type rule,
- `fold` and `interpret` work with `plain`,
- `arithmetic` deals opcodes to the bodies, and the kernel is compiled anew,
- the example is run through all of these by the tests, and stands in the `reference`.

Not here: operators and `in`. Kernel bodies are used by `rules.expressions.arithmetic` alone; the interpreter never
calls them.
"""

from collections.abc import Mapping

from rules.expressions.signature import Function
from rules.expressions.tree import Call, Expr, walk
from state.listing import modules_in

__all__ = ["FUNCTIONS", "page", "reads_local_time", "reference"]

PAGE_HEAD = """# Functions of the expressions

What `when` and `where` may call. Made of the files in `rules/expressions/functions`; write it anew with
`UPDATE_EXPECTED=1 pytest tests/rules/expressions/test_functions.py`. Operators stand in `rules/expressions/check.py`.

"""

_FOUND: tuple[Function, ...] = tuple(module.FUNCTION for module in modules_in("rules.expressions.functions"))

FUNCTIONS: Mapping[str, Function] = {one.name: one for one in _FOUND}
"""Every function by its name, in the order of the files."""


def reads_local_time(expr: Expr) -> bool:
    """Whether an expression's value depends on the operator's zone."""
    return any(isinstance(node, Call) and FUNCTIONS[node.name].local is not None for node in walk(expr))


def reference() -> str:
    """The functions for authors of rules: usage, what it gives and an example, one paragraph each."""
    return "\n\n".join(_entry(one) for one in FUNCTIONS.values())


def page() -> str:
    """The reference as the page `rules/FUNCTIONS.md`, which a test holds against the files here."""
    entries = reference().splitlines()
    lines = [f"## `{line}`\n" if line and not line.startswith(" ") else line.strip() for line in entries]
    lines = [f"\n{line}" if line.startswith("Example: ") else line for line in lines]
    return PAGE_HEAD + "\n".join(lines) + "\n"


def _entry(one: Function) -> str:
    example = one.example
    gives = "unknown" if example.gives is None else _written(example.gives)
    given = [f"{name} = {'unknown' if value is None else _written(value)}" for name, value in example.given.items()]
    given += [
        f"column {column} of tables.{name} = {dict(values)!r}"
        for name, columns in example.tables.items()
        for column, values in columns.items()
    ]
    given += [f"areas.{name} = {_written(list(cells))}" for name, cells in example.areas.items()]
    given += [f"the subscriber in areas.{name} since {ms} ms" for name, ms in example.stays.items()]
    where = f", where {', '.join(given)}" if given else ""
    return f"{one.usage}\n    {one.docs}\n    Example: {example.text} gives {gives}{where}."


def _written(value: object) -> str:
    """A value as an expression would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(sorted(value)) if isinstance(value, frozenset) else repr(value)
