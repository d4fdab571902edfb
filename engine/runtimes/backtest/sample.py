"""A part of the subscribers, chosen by a hash of their numbers: the same part in every book and every run.

Partitions are hashes of numbers too, so a small sample reads as few partitions as hold enough subscribers, and takes of
each the same part. What was counted in a sample stands for `count / share`, within bounds that `interval` gives.
"""

from dataclasses import dataclass
from math import ceil, floor, sqrt

import numpy as np
from numpy.typing import NDArray

_ODD = np.int64(-0x5A4D3CFB2E6F1A87)  # any odd number; another one than `state.hashing` has, so parts do not depend
_SHIFT = np.int64(33)
_BITS = 40
Z_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Sample:
    """`share` of all subscribers, above 0 and at most 1, of a log with so many partitions."""

    share: float
    partitions: int

    @property
    def whole(self) -> bool:
        """Whether it is everybody."""
        return self.share >= 1

    @property
    def chosen(self) -> range:
        """The partitions that are read."""
        return range(self.partitions if self.whole else max(1, ceil(self.share * self.partitions - 1e-9)))

    def rows(self, subscriber: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which rows of the partitions read are in the sample."""
        mixed = (subscriber ^ (subscriber >> _SHIFT)) * _ODD
        mixed ^= mixed >> _SHIFT
        mixed *= _ODD
        part = self.share * self.partitions / len(self.chosen)
        return (mixed & ((1 << _BITS) - 1)) < int(part * (1 << _BITS))

    def scaled(self, bound: int | None) -> int | None:
        """Return the sample's part of a bound for everybody; at least 1, as 0 would close it."""
        return bound if bound is None or self.whole else max(1, round(bound * self.share))


def interval(counts: NDArray[np.int64], share: float) -> tuple[int, int]:
    """Return the bounds between which the whole lies in 95 of 100 samples.

    `counts` int64[n] are the counts of each subscriber of the sample that has any. A subscriber brings all of its
    events or none, so not events but subscribers were drawn: the sum spreads as the squares of the counts. Where few
    were drawn, their number is taken as Poisson's, whose bounds are those of gamma (by Wilson and Hilferty).
    """
    total = int(counts.sum())
    if share >= 1:
        return total, total
    squares = float((counts.astype(np.float64) ** 2).sum())
    weight = squares / total if total else 1.0
    drawn = total / weight
    narrower = sqrt(1 - share)
    low = drawn - (drawn - _gamma(drawn, -Z_95)) * narrower
    high = drawn + (_gamma(drawn + 1, Z_95) - drawn) * narrower
    return max(total, floor(low * weight / share)), ceil(high * weight / share)


def _gamma(shape: float, z: float) -> float:
    """Return the quantile at the normal deviate `z` of the gamma distribution of scale 1; 0 of shape 0."""
    return shape * float(max(0.0, 1 - 1 / (9 * shape) + z / (3 * sqrt(shape)))) ** 3 if shape > 0 else 0.0
