"""The subscriber's own quiet hours: `quiet = { from = "ATTRIBUTE", to = "ATTRIBUTE", zone = "ZONE" }` of `[book]`.

Which of the attributes are journaled with a decision is `rules.compile`'s; when a text goes, `engine.dispatch.quiet`'s.
"""

from __future__ import annotations

from collections.abc import Iterable

from rules.codes import Code
from rules.diagnostics import nearest
from rules.model import Quiet
from rules.sections import Declared
from rules.shape import BookShape, Faults, QuietShape, read_shape
from state import calendar
from state.schema import Field, Kind

__all__ = ["read_quiet"]

KINDS = (Kind.INT, Kind.STRING)


def read_quiet(
    book: Declared[BookShape], attributes: Iterable[Field], zone: str, broken: set[str], faults: Faults
) -> Quiet | None:
    """Return the quiet hours of a book, None where it has none or they are wrong; `zone` is the operator's."""
    if "quiet" not in book.shape.model_fields_set:
        return None
    path = (*book.path, "quiet")
    shape = read_shape(QuietShape, book.shape.quiet, book.document, path, faults)
    if shape is None:
        return None
    before = len(faults.found)
    kinds = {one.name: one.kind for one in attributes}
    for key, name in (("from", shape.start), ("to", shape.end)):
        if name not in kinds and name not in broken:
            message = f"unknown attribute `{name}`"
            faults.add(Code.UNKNOWN_NAME, book.document, (*path, key), message, hint=nearest(name, kinds))
        elif name in kinds and kinds[name] not in KINDS:
            message = f'attribute `{name}` must be an "int", minutes of the day, or a "string" such as "22:00"'
            faults.add(Code.TYPE_MISMATCH, book.document, (*path, key), message)
    if shape.zone is not None and not calendar.is_zone(shape.zone):
        message = f'zone="{shape.zone}" is not in the time zone database'
        hint = nearest(shape.zone, calendar.zones())
        faults.add(Code.BAD_ZONE, book.document, (*path, "zone"), message, hint=hint)
    return Quiet(shape.start, shape.end, shape.zone or zone) if len(faults.found) == before else None
