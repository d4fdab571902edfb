"""What one function of the expressions consists of. `rules.expressions.functions` says how to add one.

A function is of one of four kinds:

- **A form** is another way to write a node of `tree`: `holds('x')` makes the node of `'x' in services`. It has a type
  rule and nothing else, because the node is evaluated like any other.
- **A function of values** has a meaning in plain Python (`plain`), which folds constants and is the interpreter's, and
  bodies for the kernel: `ints`, `floats` or both.
- **A function of a text** has `plain` and a `texts` body, which works on the text where it lies. Its further arguments
  are written out.
- **A function of local time** has `plain` and a `local` body. It is never folded: the operator's zone is known only
  when a book runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rules.expressions.tree import Expr

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments

__all__ = ["ARGUMENTS_MAX", "EXAMPLE_AT", "Example", "Function"]

ARGUMENTS_MAX = 16
"""Arguments of a function that takes any number of them."""
EXAMPLE_AT = "2008-11-04T09:30:00+08:00"
"""When the events of examples happen, a Tuesday, for an operator with this offset."""


@dataclass(frozen=True, slots=True)
class Example:
    """An expression, the values of the names in it, and what it gives; tests run it through every evaluator.

    A name's kind is that of its value: int, float, bool, str or a set of texts; None is an unknown whole number.
    `gives` is None where the result is unknown. `areas` are cells by area, `tables` values by table, column and key,
    `stays` how many milliseconds ago the subscriber came into an area.
    """

    text: str
    given: Mapping[str, int | float | bool | str | frozenset[str] | None]
    gives: int | float | bool | str | None
    areas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Mapping[Any, int | float | bool | str]]] = field(default_factory=dict)
    stays: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the expressions.

    Attributes:
        name: what an expression calls it.
        usage: the call as a hint shows it, such as "abs(x)".
        docs: what it gives, for authors of rules: a sentence or two.
        example: one use.
        arguments: how many at least and at most.
        rule: the type rule: from arguments whose types are known to a node, or None once a fault is reported.
        plain: its meaning in plain Python, on known values; None is unknown, and so is a result that the node's kind
            cannot hold. A function of local time gets one int, what a clock on the operator's wall shows, as
            milliseconds since it showed the start of 1970.
        ints: the body for 64-bit cells (INT, TIME, the hash of a STRING, 0 or 1 for BOOL) where the result is no FLOAT:
            one or two int64, to int64 and whether that is known.
        floats: the body for FLOAT to FLOAT: one or two floats, to a float that is unknown unless finite.
        texts: the body for a text: the addresses of a view of it and of what is written out (`text_view`), to int64 and
            whether that is known. A function that gives a text moves the bounds of the view, and what it returns is
            not read.
        local: the body for local time: int64 epoch milliseconds and the zone's transitions, to int64.

    Bodies are made by `state.jit.part` and must return for any 64 bits: they also run on lanes whose value is not
    known, and their result there is dropped. Of more than two arguments they are given the first two, then that result
    and the next. The node's kind says which runs: `floats` for a FLOAT, so a rule promotes the arguments of a mixed
    call.
    """

    name: str
    usage: str
    docs: str
    example: Example
    arguments: tuple[int, int]
    rule: Callable[[Arguments], Expr | None]
    plain: Callable[..., Any] | None = None
    ints: Callable[..., tuple[int, bool]] | None = None
    floats: Callable[..., float] | None = None
    texts: Callable[[int, int], tuple[int, bool]] | None = None
    local: Callable[..., int] | None = None
