"""`changed(x)` and `entered(x, value)`: what a row changes, of a field, an attribute or a `last` feature.

A call brings along a feature of the kind `change` (`state.features.kinds.change`) over the events that tell x: the
value before this one is kept, so there is no change on the first of them, nor on an older one that comes late. A set is
changed when any of its members is. Another book goes on with what was kept, as long as x is told by the same events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from rules.codes import Code
from rules.expressions import Expr, canonical, fold, meaning
from rules.expressions.functions import reads_local_time
from rules.expressions.refused import Refused
from rules.expressions.tree import Use
from rules.features import EVER
from rules.model import Feature
from rules.names import Names
from state.schema import DUE, Kind

__all__ = ["Changes"]


@dataclass(frozen=True, slots=True)
class Changes:
    """Makes the features of a book that its calls bring along; `features` are its own."""

    names: Names
    features: Sequence[Feature]

    def asked(self, code: int, part: Expr) -> Expr | Refused:
        """Whether a row of an event type changes what a name says."""
        source = self._source(code, part)
        if source is None:
            message = f"`{canonical(part)}` is no field, attribute or `last` feature: nothing keeps what it was before"
            return Refused(Code.WRONG_ARGUMENTS, 0, message, "keep it as a `last` feature over `ever`")
        type_, slot, where = source
        event = self.names.catalogue.schema.types[type_]
        words = [
            Use(self.names.bring(self._feature(type_, one, where, f"{event.name}.{event.fields[one].name}")))
            for one in event.words(slot)
        ]
        return fold.any_of(words)

    def _source(self, code: int, part: Expr) -> tuple[int, int, Expr | None] | None:
        """Type and slot of the field that tells a name, and which events do; None where none does."""
        if not isinstance(part, Use):
            return None
        operand = part.operand
        if operand.source == "cell" and code >= 0 and self.names.catalogue.schema.types[code].name != DUE.name:
            return code, operand.index, None
        if operand.source == "feature" and operand.index < len(self.features):
            one = self.features[operand.index]
            if one.kind == "last" and one.source_slot >= 0 and one.window == EVER:
                return one.source_type, one.source_slot, one.where
        return None

    def _feature(self, type_: int, slot: int, where: Expr | None, field: str) -> Feature:
        source = self.names.catalogue.schema.types[type_].fields[slot]
        zone = self.names.catalogue.zone if where is not None and reads_local_time(where) else ""
        prints = [
            blake2b(repr(("change", field, source.kind.name, text, zone)).encode(), digest_size=8).hexdigest()
            for text in ((canonical(where), meaning(where)) if where is not None else ("", ""))
        ]
        said = f"changed({field})" if where is None else f"changed({field} where {canonical(where)})"
        return Feature(
            said, "change", type_, slot, where, EVER, Kind.BOOL, prints[0], source.members, meaning=prints[1]
        )  # fmt: skip
