"""Arms: parts of a campaign's, or a rule's, candidates that are treated in different ways, so that these are compared.

Who is in which arm is drawn by a hash of the subscriber and of what the arms belong to. So it needs no memory, is the
same for ever, in every partition and after every reload, and has nothing to do with any other draw. The arm `control`
stands first and gets nothing; the others follow by name. Whose share grows takes from its neighbours alone, and nobody
comes into the control group, or out of it, while its share stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from state.hashing import stable_id

__all__ = ["ARMS_MAX", "CONTROL", "PPM", "Arm", "Arms", "arms_of"]

CONTROL = "control"
"""The arm that gets nothing: its members are held out."""
ARMS_MAX = 16
PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Arm:
    """A part of the subscribers, in millionths."""

    name: str
    ppm: int


@dataclass(frozen=True, slots=True)
class Arms:
    """All arms of a campaign or a rule, which `of` names as in "campaign spring"; their shares are the whole."""

    of: str
    arms: tuple[Arm, ...]

    @property
    def salt(self) -> int:
        """What draws: a function of the name alone."""
        return stable_id(f"arms of {self.of}")

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of their numbers in records, which count from 1."""
        return tuple(one.name for one in self.arms)

    @property
    def ends(self) -> tuple[int, ...]:
        """Below which ticket each arm ends."""
        return tuple(accumulate(one.ppm for one in self.arms))

    def all_in(self, name: str | None) -> Arms:
        """The same arms with everybody in `name`, if there is such a one; else in the first that gets something."""
        chosen = name if name in self.names else next(one for one in self.names if one != CONTROL)
        return replace(self, arms=tuple(replace(one, ppm=PPM * (one.name == chosen)) for one in self.arms))

    @property
    def control_ppm(self) -> int:
        """The share of `control`."""
        return self.arms[0].ppm if self.arms[0].name == CONTROL else 0


def arms_of(of: str, arms: Sequence[Arm]) -> Arms:
    """Return arms in their order, whatever that of the book is."""
    return Arms(of, tuple(sorted(arms, key=lambda one: (one.name != CONTROL, one.name))))
