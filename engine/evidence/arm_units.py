"""Arms against `control` and against each other: who was drawn into which, and who then reached the goal.

A unit is a subscriber, from the first decision of the arms' campaign or rule that it was a candidate of, made or held
out, as in `units`; it counts in the arm of that decision, whatever became of it. Who is held out for another reason,
as by `[book] holdout`, is left out: nothing was tried on them, and they get nothing else either. Each comparison has an
interval of its own, which holds in 95% of cases; of twenty comparisons of arms that do not differ one may exclude 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from engine.evidence.interval import ALPHA, interval
from engine.evidence.meaning import Meanings
from engine.evidence.spill import Rows
from engine.evidence.tally import Span, local_days
from engine.evidence.units import Lift, first_of, over
from rules.arms import CONTROL
from rules.model import Goal

Counts = dict[tuple[int, int], dict[int, NDArray[np.int64]]]
"""By draw and arm: by local day how many were drawn, and of them reached the goal."""


@dataclass(slots=True)
class ArmUnits:
    """Counts units bucket by bucket: `add` is a `BucketReader` of `joined`."""

    goals: Sequence[Goal]
    transitions: NDArray[np.int64]
    span: Span = field(default_factory=Span)
    counts: Counts = field(default_factory=dict)

    def add(self, made: Rows, said: Rows, clock_ms: NDArray[np.int64]) -> None:
        """Count the units of a bucket; `clock_ms` as of `effects.effects_of`."""
        within_ms = np.array([goal.within_ms for goal in self.goals], np.int64)
        for draw in np.unique(made["draw"][(made["draw"] >= 0) & (made["goal"] >= 0)]).tolist():
            units = first_of(made[made["draw"] == draw])
            units = units[self.span.holds(units["log_ms"]) & (units["arm"] > 0)]
            self._count(draw, *over(units, said, within_ms, clock_ms))

    def _count(self, draw: int, units: Rows, reached: NDArray[np.bool_]) -> None:
        days = local_days(units["log_ms"], self.transitions)
        for arm, day in sorted(set(zip(units["arm"].tolist(), days.tolist(), strict=True))):
            mine = (units["arm"] == arm) & (days == day)
            by_day = self.counts.setdefault((draw, arm), {})
            by_day[day] = by_day.get(day, np.zeros(2, np.int64)) + np.array([mine.sum(), (mine & reached).sum()])


def arm_lifts(units: ArmUnits, meanings: Meanings, alpha: float = ALPHA) -> Iterator[Lift]:
    """Yield the difference of each two arms: first each against `control`, then those that get something."""
    for draw, (goal, of) in enumerate(meanings.draws):
        arms = sorted((meanings.arms[arm], arm) for one, arm in units.counts if one == draw)
        control = [one for one in arms if one[0] == CONTROL]
        treated = [one for one in arms if one[0] != CONTROL]
        for one, other in [*((one, other) for one in treated for other in control), *combinations(treated, 2)]:
            first, second = units.counts[draw, one[1]], units.counts[draw, other[1]]
            days = sorted({*first, *second})
            none = np.zeros(2, np.int64)
            blocks = np.array([[*first.get(day, none), *second.get(day, none)] for day in days], np.float64)
            n1, s1, n0, s0 = blocks.sum(axis=0).astype(int).tolist()
            scope = f"{of}: {one[0]} against {other[0]}"
            found = interval(blocks, alpha)
            yield Lift(units.goals[goal].name, scope, n1, s1, n0, s0, len(days), found, other[0] != CONTROL)
