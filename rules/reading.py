"""Conditions as a book's files have them: read once a text, and quiet about names that are reported elsewhere."""

from __future__ import annotations

import re

from rules.codes import Code
from rules.diagnostics import Diagnostic, Origin, PlainOrigin
from rules.expressions import Expr, Parsed, Scope, check, parse, read
from rules.expressions.parse import two_texts
from rules.memory import remembered
from rules.shape import Faults

__all__ = ["read_expression", "read_faults", "uses"]

_WORD = re.compile(r"\w+")
_NAMELESS = frozenset(
    {Code.UNKNOWN_NAME, Code.UNKNOWN_AREA, Code.UNKNOWN_LIST, Code.UNKNOWN_MEMBER, Code.UNKNOWN_TABLE}
)


def uses(text: str, broken: frozenset[str]) -> bool:
    """Whether a text uses a name that is broken, so that nothing new can be said of it."""
    if not broken:
        return False
    return not broken.isdisjoint(_WORD.findall(text)) or any(name in text for name in broken if not name.isidentifier())


def read_expression(text: str, origin: Origin, scope: Scope, broken: frozenset[str], faults: Faults) -> Expr | None:
    """A condition, its syntax remembered by its text; None where it is wrong, and then what is wrong is reported.

    Of `broken` names nothing new can be said; the rest of a condition that uses one is judged all the same.
    """
    known = _parsed(text)
    parsed = Parsed(text, origin, known.body) if known is not None else None
    found = check(parsed, scope) if parsed is not None else read(text, origin, scope)
    if parsed is not None and not faults.kept and (doubled := two_texts(parsed)):
        faults.extend(doubled)
        return None
    return read_faults(found, broken, faults)


def read_faults(found: Expr | list[Diagnostic], broken: frozenset[str], faults: Faults) -> Expr | None:
    """The tree of an expression, or None where it is wrong: then its faults are reported but for those of `broken`."""
    if not isinstance(found, list):
        return found
    faults.extend(fault for fault in found if not _is_echo(fault, broken))
    return None


def _is_echo(fault: Diagnostic, broken: frozenset[str]) -> bool:
    """Whether a fault only says that a broken name is not there."""
    at = fault.place.column - 1
    marked = fault.place.excerpt[at : at + fault.place.width]
    return fault.code in _NAMELESS and uses(marked, broken)


@remembered
def _parsed(text: str) -> Parsed | None:
    parsed = parse(text, PlainOrigin("", text))
    return parsed if isinstance(parsed, Parsed) else None
