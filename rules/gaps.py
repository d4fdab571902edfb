"""The gaps of a rule's texts: what fills them, and what a record keeps for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rules.codes import Code
from rules.diagnostics import nearest
from rules.expressions import BUILTINS, Operand, Scope
from rules.templates import Gap, Template, check_format
from state.schema import Kind

__all__ = ["GapFault", "facts_read", "gap_fault", "gap_operand", "with_kinds"]

OFFER_GAPS = ("offer.title", "offer.script", "offer.link")
SUBSCRIBER_GAP = "subscriber"


@dataclass(frozen=True, slots=True)
class GapFault:
    """What is wrong with a gap, or with a text, from `start` to `end` of it."""

    code: Code
    message: str
    start: int
    end: int
    hint: str = ""


def gap_operand(name: str, scope: Scope) -> Operand | None:
    """Return what fills a gap of this name; None where nothing does."""
    if name in OFFER_GAPS or name == SUBSCRIBER_GAP:
        return Operand(name, "builtin", -1, Kind.STRING)
    return scope.names.get(name) or BUILTINS.get(name)


def with_kinds(text: Template, operands: Mapping[str, Operand | None]) -> Template:
    """Return the text with its gaps named as the facts of a record are: `{call.kind}` and `{kind}` are the same one."""
    known = {name: one for name, one in operands.items() if one is not None}
    kinds = {one.name: (one.name, one.kind, one.duration) for one in known.values()}
    parts = tuple(
        replace(part, name=known[part.name].name) if isinstance(part, Gap) and part.name in known else part
        for part in text.parts
    )
    return Template(text.text, parts, tuple(kinds.values()))


def gap_fault(gap: Gap, scope: Scope, offer: str | None) -> GapFault | None:
    """What is wrong with a gap: its name or its format."""
    name = gap.name
    if name in OFFER_GAPS and offer is None:
        return GapFault(Code.UNKNOWN_NAME, f"`{name}` is used, but the rule has no offer", gap.start, gap.end)
    operand = gap_operand(name, scope)
    if operand is None:
        known = [*scope.names, *BUILTINS, SUBSCRIBER_GAP, *(OFFER_GAPS if offer is not None else ())]
        hint = f"`{name}` is {scope.elsewhere[name]}" if name in scope.elsewhere else nearest(name, known)
        return GapFault(Code.UNKNOWN_NAME, f"unknown name `{name}` in a text", gap.start, gap.end, hint)
    wrong = check_format(gap.format, operand.kind, operand.duration)
    if not wrong:
        return None
    start = gap.end + 1
    return GapFault(Code.BAD_FORMAT, f"format of `{name}`: {wrong}", start, start + len(gap.format))


def facts_read(read: tuple[Operand, ...], texts: tuple[Template, ...], scope: Scope) -> tuple[Operand, ...]:
    """What the condition and the texts read, each once, in order of first use."""
    found = {operand.name: operand for operand in read}
    for text in texts:
        for name, _, _ in text.kinds:
            operand = gap_operand(name, scope)
            if operand is not None and operand.index >= 0:
                found |= {one.name: found.get(one.name, one) for one in operand.all_words}
    return tuple(found.values())
