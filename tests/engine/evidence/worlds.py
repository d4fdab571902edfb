"""Worlds of a campaign with a control group, looked at daily for 60 days; and the count of 1,000 of each kind."""

import sys
import time

import numpy as np
from numpy.typing import NDArray

from engine.evidence.interval import ALPHA, interval, log_e

DAYS = 60
__all__ = ["ALPHA", "excludes_zero", "share_found", "world"]


def world(rng: np.random.Generator, *, a_day: int, held_out: float, share: float, lift: float) -> NDArray[np.float64]:
    """Subscribers and successes, contacted and held out, of each day; the share swings from day to day."""
    n = rng.poisson(a_day, DAYS)
    n0 = rng.binomial(n, held_out)
    p0 = share * (1 + 0.3 * np.sin(np.arange(DAYS)))
    found = [n - n0, rng.binomial(n - n0, p0 + lift), n0, rng.binomial(n0, p0)]
    return np.stack(found, axis=1).astype(np.float64)


def excludes_zero(blocks: NDArray[np.float64]) -> bool:
    """Whether any look, one a day, ever said that there is an effect."""
    return bool(log_e(blocks, np.zeros(1)).max() >= -np.log(ALPHA))


def share_found(rng: np.random.Generator, lift: float, worlds: int) -> tuple[float, float]:
    """Return the shares of worlds whose effect was found, and whose interval held it."""
    found = [interval(world(rng, a_day=2_000, held_out=0.1, share=0.1, lift=lift)) for _ in range(worlds)]
    return (
        sum(one.sure for one in found) / worlds,
        sum(one.low <= lift <= one.high for one in found) / worlds,
    )


def main() -> None:
    """Print the counts."""
    rng = np.random.default_rng(1)
    for a_day, held_out, share in ((1_000, 0.1, 0.05), (200, 0.01, 0.02), (5_000, 0.1, 0.2), (30, 0.5, 0.5)):
        began = time.monotonic()
        wrong = sum(
            excludes_zero(world(rng, a_day=a_day, held_out=held_out, share=share, lift=0.0)) for _ in range(1_000)
        )
        sys.stdout.write(
            f"{a_day:,} a day, {held_out:.0%} held out, {share:.0%} reach the goal anyway: {wrong} of 1,000 worlds "
            f"without an effect ever exclude zero ({time.monotonic() - began:.1f} s)\n"
        )
    for lift in (0.01, 0.02, 0.05):
        found, held = share_found(rng, lift, 200)
        sys.stdout.write(f"an effect of {lift:.0%}: found in {found:.1%} of 200 worlds, held by {held:.1%}\n")


if __name__ == "__main__":
    main()
