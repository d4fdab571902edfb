"""The audience that a rule keeps: `keep = { list = ID, for = DURATION }`."""

from __future__ import annotations

from rules.catalogue import OPT_OUT_LIST
from rules.codes import Code
from rules.model import Keep
from rules.sections import read_reach
from rules.shape import Faults, KeepShape
from rules.toml import Document, Path

__all__ = ["read_audience"]


def read_audience(keep: KeepShape, document: Document, rule: Path, faults: Faults) -> Keep:
    """Return the audience; a list of what customers said is refused. The caller looks whether the list is known."""
    path = (*rule, "keep")
    if keep.list == OPT_OUT_LIST or keep.list.startswith(f"{OPT_OUT_LIST}."):
        hint = 'declare a list of its own, with `excludes = "commercial"` if it is to silence'
        message = f"`{keep.list}` is what customers say: no rule puts them there"
        faults.add(Code.NAME_CLASH, document, (*path, "list"), message, hint=hint)
    return Keep(keep.list, read_reach(keep.for_, "for", document, (*path, "for"), faults))
