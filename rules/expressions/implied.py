"""Functions that read what the book keeps for them: a feature that nobody declares, and that the call brings along.

`contacted('spring', '30d')` is a number that must be kept of each subscriber from then on. Who makes books knows how
(`rules.implied`); here stands what it is asked, and what it may say. Equal calls are one feature, whose name is the
call, so that a record, an explanation and a fingerprint tell it as its author wrote it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from rules.codes import Code
from rules.expressions.refused import Refused
from rules.expressions.tree import Call, Expr, Use
from rules.expressions.written import canonical
from state.schema import Kind

if TYPE_CHECKING:
    from rules.expressions.arguments import Arguments

__all__ = ["Implied", "implied"]


Implied: TypeAlias = Callable[[str, tuple[Expr, ...]], Expr | Refused]
"""From a function and its arguments to what it asks of the feature that it reads."""


def implied(arguments: Arguments) -> Expr | None:
    """What the call reads of a subscriber; None where that is reported to be nothing."""
    function, context = arguments.function, arguments.context
    known = context.scope.names.get(canonical(Call(function.name, arguments.parts, Kind.INT)))
    if known is not None:
        return Use(known)
    if context.scope.implied is None:
        message = f"{function.name}() is known after features are counted: a `where` cannot ask for it, nor a goal"
        context.fault(Code.UNKNOWN_FUNCTION, arguments.node, message, hint="ask for it in the rule's `when`")
        return None
    found = context.scope.implied(function.name, arguments.parts)
    if isinstance(found, Refused):
        arguments.fault(found.code, found.at, found.message, hint=found.hint)
        return None
    return found
