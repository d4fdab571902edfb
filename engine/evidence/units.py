"""Subscribers held out against those contacted: who was asked first when, and who then reached the goal.

A unit is a subscriber whom a goal is about, from the first decision of the goal's campaign or rule that it was a
candidate of, whether that was made or held out, sent or not: the two groups differ in nothing but the draw. It counts
once, when the goal's time after that decision is over, as one that reached it or not; the day of the decision is its
block. What was decided before the log that is kept begins is not known here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.evidence.effects import credited
from engine.evidence.interval import ALPHA, Interval, interval
from engine.evidence.said import What
from engine.evidence.spill import Rows
from engine.evidence.tally import Span, local_days
from rules.model import Goal

Counts = dict[tuple[int, int], NDArray[np.int64]]
"""By goal and local day: contacted, of them reached the goal, held out, of them reached it."""


@dataclass(slots=True)
class Units:
    """Counts units bucket by bucket: `add` is a `BucketReader` of `joined`."""

    goals: Sequence[Goal]
    transitions: NDArray[np.int64]
    span: Span = field(default_factory=Span)
    counts: Counts = field(default_factory=dict)

    def add(self, made: Rows, said: Rows, clock_ms: NDArray[np.int64]) -> None:
        """Count the units of a bucket; `clock_ms` as of `effects.effects_of`."""
        within_ms = np.array([goal.within_ms for goal in self.goals], np.int64)
        units = first_of(made[made["goal"] >= 0])
        units = units[self.span.holds(units["log_ms"])]
        if not units.shape[0]:
            return
        self._count(*over(units, said, within_ms, clock_ms))

    def _count(self, units: Rows, reached: NDArray[np.bool_]) -> None:
        keys = np.stack([units["goal"].astype(np.int64), local_days(units["log_ms"], self.transitions)], axis=1)
        different, place = np.unique(keys, axis=0, return_inverse=True)
        held_out = units["held_out"] != 0
        counted = (~held_out, ~held_out & reached, held_out, held_out & reached)
        sums = np.stack([np.bincount(place.reshape(-1), one, different.shape[0]) for one in counted], axis=1)
        for (goal, day), row in zip(different.tolist(), sums.astype(np.int64), strict=True):
            known = self.counts.get((goal, day))
            self.counts[goal, day] = row if known is None else known + row


def over(
    units: Rows, said: Rows, within_ms: NDArray[np.int64], clock_ms: NDArray[np.int64]
) -> tuple[Rows, NDArray[np.bool_]]:
    """Return the units whose goal's time is over, and which of them reached it; `within_ms` is by goal."""
    of, _ = credited(units, units["log_ms"], said[said["what"] == What.GOAL], within_ms)
    reached = np.zeros(units.shape[0], np.bool_)
    reached[of] = True
    is_over = units["log_ms"] + within_ms[units["goal"]] < clock_ms[units["partition"]]
    return units[is_over], reached[is_over]


def first_of(made: Rows) -> Rows:
    """Return the first row of each goal and subscriber, by the log's clock."""
    order = np.lexsort([made["row"], made["position"], made["log_ms"], made["goal"], made["subscriber"]])
    rows = made[order]
    fresh = np.ones(rows.shape[0], np.bool_)
    fresh[1:] = (rows["subscriber"][1:] != rows["subscriber"][:-1]) | (rows["goal"][1:] != rows["goal"][:-1])
    return rows[fresh]


@dataclass(frozen=True, slots=True)
class Lift:
    """What contacts of a campaign, or of a rule, did to a goal. Shares are 0 to 1.

    `between`: both are arms that get something, the second in place of those held out.
    """

    goal: str
    scope: str
    contacted: int
    contacted_reached: int
    held_out: int
    held_out_reached: int
    days: int
    interval: Interval
    between: bool = False

    @property
    def verdict(self) -> str:
        """What the interval says, in a word."""
        if not self.contacted or not self.held_out:
            return "no control group" if not self.held_out else "nobody contacted"
        if not self.interval.sure:
            return "not known yet"
        low, high = ("worse", "better") if self.between else ("HURTS", "helps")
        return low if self.interval.high < 0 else high

    @property
    def hurts(self) -> bool:
        """Whether whoever is contacted certainly does worse than whoever is not."""
        return not self.between and self.interval.high < 0

    @property
    def warning(self) -> str:
        """What to say of contacts that hurt."""
        points = f"{-100 * self.interval.difference:.2f}"
        return f"Contacts of {self.scope} hurt: {points} of a hundred fewer reached {self.goal}. Pause or change them."


def lifts(units: Units, alpha: float = ALPHA) -> Iterator[Lift]:
    """Yield the lift of each goal."""
    for number, goal in enumerate(units.goals):
        days = sorted(day for one, day in units.counts if one == number)
        blocks = np.array([units.counts[number, day] for day in days], np.float64).reshape(-1, 4)
        n1, s1, n0, s0 = blocks.sum(axis=0).astype(int).tolist()
        scope = f"rule {goal.rule}" if goal.rule else f"campaign {goal.campaign}"
        yield Lift(goal.name, scope, n1, s1, n0, s0, len(days), interval(blocks, alpha))
