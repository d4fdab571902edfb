"""What features keep beside a plain history: deadlines, stays in areas, values that settle. A part of `rules.model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rules.expressions.lookups import CellsOf
    from rules.expressions.tree import Expr

__all__ = ["Area", "Settling", "Sighting", "Stays", "Timer"]


@dataclass(frozen=True, slots=True)
class Timer:
    """The deadlines of a rule with `after`: a span after the event that arms, unless another comes before.

    What arms is the feature's own source: `source_slot` is its key. `unless_type` is -1 where nothing ends it, the
    slots are -1 where it has no key. `starts_anew`: each event that arms begins the span anew. `keys_max`: deadlines
    that may be open at a time. `number` is the rule's, by which rows of the type `due_type` name it.
    """

    rule: str
    number: int
    span_ms: int
    starts_anew: bool
    keys_max: int
    unless_type: int
    unless_slot: int
    unless_where: Expr | None
    due_type: int
    due_slot: int


@dataclass(frozen=True, slots=True)
class Area:
    """A named set of cells, written out or those that a table has.

    `seen`: the fields that say where a subscriber is, as event type and slot; none where nobody is followed. A stay
    ends when sightings are outside for `leave_ms`.
    """

    name: str
    cells: tuple[str, ...] | CellsOf
    title: str = ""
    seen: tuple[tuple[int, int], ...] = ()
    leave_ms: int = 0


@dataclass(frozen=True, slots=True)
class Sighting:
    """Events that say where a subscriber is, if they know a slot: in the area if `inside` holds, else outside."""

    type: int
    slot: int
    inside: Expr


@dataclass(frozen=True, slots=True)
class Stays:
    """What a feature follows of an area; beside a timer, whether that is about leaving it (`leaves`), or staying."""

    area: str
    sightings: tuple[Sighting, ...]
    leave_ms: int
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class Settling:
    """When a value has settled: seen so many times in a row, or held for a time, 0 for never."""

    sightings: int
    held_ms: int
