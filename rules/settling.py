"""What a feature takes in place of a field, and when that counts.

    as = EXPRESSION         what it takes of the event: a number, a time, true or false
    sightings = 3           a value counts when it was seen so often, with no other in between,
    held_for = DURATION     or again so long after it was first seen

The last two are for the kinds `settled` and `replaced` (`state.features.settling`).
"""

from __future__ import annotations

from rules.codes import Code
from rules.diagnostics import Diagnostic
from rules.expressions import Expr, read
from rules.expressions.context import KIND_WORDS
from rules.model import Settling
from rules.names import Names
from rules.reading import read_faults
from rules.sections import Declared, read_reach
from rules.shape import Faults, FeatureShape
from state.features import KINDS
from state.schema import Kind

__all__ = ["read_as", "read_settling"]

SIGHTINGS = 3
"""How often a value must be seen, where the book does not say."""
TEXTS = (Kind.STRING, Kind.SET)


def read_as(one: Declared[FeatureShape], code: int, names: Names, faults: Faults) -> Expr | None:
    """What the feature takes of an event of type `code`; None where it does not say, or it is wrong and reported."""
    text = one.shape.as_
    if text is None:
        return None
    origin = one.document.origin((*one.path, "as"))
    found = read_faults(read(text, origin, names.where_scope(code), None), names.broken, faults)
    if found is not None and found.kind in TEXTS:
        message = f"`as` makes a number, a time, true or false; `{text}` is {KIND_WORDS[found.kind]}"
        hint = "a text is kept as its field has it"
        faults.extend([Diagnostic(Code.TYPE_MISMATCH, message, origin.place(0, len(text)), hint=hint)])
        return None
    return found


def read_settling(one: Declared[FeatureShape], kind: str, faults: Faults) -> Settling | None:
    """When a value counts, for a kind that asks that; None for all others, which must not say it."""
    shape = one.shape
    if not KINDS[kind].settles:
        for key in ("sightings", "held_for"):
            if getattr(shape, key) is not None:
                hint = "it is for `settled` and `replaced`"
                message = f"`{key}` stands here beside `{kind}`"
                faults.add(Code.KEY_ALONE, one.document, (*one.path, key), message, hint=hint, key=True)
        return None
    for key in ("over", "panes"):
        if key in shape.model_fields_set:
            message = f"`{key}` stands here beside `{kind}`, which keeps the last value for ever"
            faults.add(Code.KEY_ALONE, one.document, (*one.path, key), message, key=True)
    held_ms = 0
    if shape.held_for is not None:
        held_ms = read_reach(shape.held_for, "held_for", one.document, (*one.path, "held_for"), faults)
    return Settling(shape.sightings or SIGHTINGS, held_ms)
