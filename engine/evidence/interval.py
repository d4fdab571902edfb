"""How sure a difference of two shares is, however often and whenever it is looked at.

A sequence of intervals for `p1 - p0`, the share of successes in arm 1 minus that in arm 0, which holds the true
difference at all looks together with probability >= 1 - alpha. So it may be looked at every day, and stopped at any.

The e-values are those of R. Turner and P. Grünwald, "Exact anytime-valid confidence intervals for contingency tables
and beyond", Statistics & Probability Letters 198 (2023), after R. Turner, A. Ly and P. Grünwald, "Generic E-variables
for exact sequential k-sample tests that allow for optional stopping" (2021). Data come in blocks, here the subscribers
first contacted on one day. With n1 and n0 subscribers in a block, and for a hypothesis `p1 - p0 = delta`,

    E = prod over the block of   q1(y) / r1(y)  or  q0(y) / r0(y)

where q are shares guessed from the blocks before, and r the pair on the line `r1 - r0 = delta` that is nearest to them
in Kullback-Leibler divergence weighted with n1 and n0. Under any p on that line E has expectation <= 1: with
u = p0 - r0 = p1 - r1 and A1 = (q1 - r1) / (r1 (1 - r1)), A0 likewise, it is (1 + u A1)^n1 (1 + u A0)^n0, at most
exp(u (n1 A1 + n0 A0)), and that exponent is 0 because r is nearest (at an end of the line it is not above 0). So the
product over blocks is a test supermartingale: by Ville's inequality it ever reaches 1 / alpha with probability at most
alpha, and the deltas where it never did are the interval. It is exact, with three subscribers as with three million.
Shares may differ from day to day as long as their difference does not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05
PRIOR = 0.18
"""Imagined successes, and failures, of each arm before the first block; any number is valid."""
_GRID = 129
_EDGE = 1e-9
_STEPS = 40
_ROUNDS, _POINTS = 2, 17

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference of shares and where it lies; 0.01 is one point of a hundred."""

    difference: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether it excludes 0."""
        return self.low > 0 or self.high < 0


def log_e(blocks: Floats, delta: Floats) -> Floats:
    """Return the logarithm of the e-value of each difference after each block, float[blocks, deltas].

    `blocks` float[blocks, 4]: subscribers and successes of arm 1, then of arm 0, in the order of time.
    """
    before = np.cumsum(blocks, axis=0) - blocks
    n1, s1, n0, s0 = (column[:, None] for column in blocks.T)
    q1, q0 = guess(before[:, :1], before[:, 1:2]), guess(before[:, 2:3], before[:, 3:])
    r0 = nearest(q1, q0, n1, n0, delta[None, :])
    steps = _log_ratio(q1, r0 + delta, n1, s1) + _log_ratio(q0, r0, n0, s0)
    return np.cumsum(steps, axis=0)


def guess(n: Floats, s: Floats) -> Floats:
    """Return the share that is expected of a block after `s` successes among `n`."""
    return (s + PRIOR) / (n + 2 * PRIOR)


def nearest(q1: Floats, q0: Floats, n1: Floats, n0: Floats, delta: Floats) -> Floats:
    """Return r0 of the pair (r0 + delta, r0) that is nearest to (q1, q0), by bisection of a convex function's slope.

    It lies between the two places where one of the shares fits exactly.
    """
    first, last = np.maximum(0.0, -delta) + _EDGE, np.minimum(1.0, 1.0 - delta) - _EDGE
    last = np.maximum(first, last)
    low, high = (np.clip(end(q0, q1 - delta), first, last) for end in (np.minimum, np.maximum))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        r1 = middle + delta
        slope = n1 * (r1 - q1) * (middle * (1 - middle)) + n0 * (middle - q0) * (r1 * (1 - r1))
        below = slope < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    nearest_: Floats = (low + high) / 2
    return nearest_


def interval(blocks: Floats, alpha: float = ALPHA) -> Interval:
    """Return the interval after all blocks; `blocks` as of `log_e`.

    Where nobody is in one of the arms it is [-1, 1].
    """
    n1, s1, n0, s0 = blocks.sum(axis=0) if blocks.shape[0] else np.zeros(4)
    if n1 == 0 or n0 == 0:
        return Interval(0.0, -1.0, 1.0)
    difference = float(s1 / n1 - s0 / n0)
    inside = 1.0 - 4 * _EDGE
    grid = np.concatenate([np.linspace(-inside, inside, _GRID), _near(difference, n1, s1, n0, s0)])
    grid = np.unique(np.clip(grid, -inside, inside))
    held = np.flatnonzero(_holds(blocks, grid, alpha))
    if not held.shape[0]:
        return Interval(difference, difference, difference)
    low, high = int(held[0]), int(held[-1])
    return Interval(
        difference,
        _edge(blocks, grid[low - 1], grid[low], alpha) if low else -1.0,
        _edge(blocks, grid[high + 1], grid[high], alpha) if high + 1 < grid.shape[0] else 1.0,
    )


def _holds(blocks: Floats, delta: Floats, alpha: float) -> NDArray[np.bool_]:
    """Return which differences no look has excluded."""
    holds: NDArray[np.bool_] = log_e(blocks, delta).max(axis=0) < -np.log(alpha)
    return holds


def _near(difference: float, n1: float, s1: float, n0: float, s0: float) -> Floats:
    """Return differences up to ten standard errors from the one seen."""
    p1, p0 = (s1 + PRIOR) / (n1 + 2 * PRIOR), (s0 + PRIOR) / (n0 + 2 * PRIOR)
    error = np.sqrt(p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0)
    near: Floats = difference + error * np.linspace(-10, 10, _GRID)
    return near


def _edge(blocks: Floats, outside: float, inside: float, alpha: float) -> float:
    """Return where the interval ends between a difference outside and one inside, a little too far outside."""
    for _ in range(_ROUNDS):
        points = np.linspace(outside, inside, _POINTS)
        first = int(np.argmax(_holds(blocks, points, alpha)))
        outside, inside = points[first - 1], points[first]
    return float(outside)


def _log_ratio(q: Floats, r: Floats, n: Floats, s: Floats) -> Floats:
    """Return the logarithm of how much likelier `s` successes among `n` are with share `q` than with `r`."""
    r = np.clip(r, _EDGE, 1 - _EDGE)
    ratio: Floats = s * (np.log(q) - np.log(r)) + (n - s) * (np.log1p(-q) - np.log1p(-r))
    return ratio
