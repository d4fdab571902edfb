"""A sequence as the engine sees it: frozen, with every name resolved; `rules.sequences` is its only maker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rules.expressions.tree import CompareOp, Expr
    from state.schema import Kind

__all__ = ["Compared", "Sequence", "Step"]


@dataclass(frozen=True, slots=True)
class Compared:
    """An own field and one that an earlier step took along, by slot and number, and how they are compared."""

    op: CompareOp
    slot: int
    taken: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Step:
    """An event type, what its event must be, the slots that later steps look at, and what is compared."""

    name: str
    type: int
    where: Expr | None
    taken: tuple[int, ...]
    compared: tuple[Compared, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Steps within a span; `places` are the runs that a subscriber may have open."""

    name: str
    within_ms: int
    places: int
    steps: tuple[Step, ...]
