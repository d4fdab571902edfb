"""What goes wrong on the way to us: lines that come late, twice or broken, in the shares asked for.

A late line, and the second copy of a doubled one, is moved back by up to `DELAY_ROWS_MAX` lines; what does not fit into
its chunk waits for the next. A broken line takes one of the forms in `BREAKS`, and the whole line is replaced.
The seed decides which; with all shares 0 the lines pass untouched.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DELAY_ROWS_MAX = 20_000

BREAKS: tuple[Callable[[str], str], ...] = (
    lambda line: line[: len(line) // 2],
    lambda line: line.replace('"msisdn":', '"msisdn":null,"was":', 1),
    lambda line: line.replace('"msisdn"', '"caller"', 1),
    lambda line: line.replace('"time":"20', '"time":"20x', 1),
    lambda line: line.replace('"type":"', '"type":"un', 1),
    lambda line: line[:-1] + ',"note":"\udcff\udcfe"}',
    lambda line: line.replace('"msisdn":', '"msisdn":99999999999999999999', 1),
    lambda line: '{"a":' * 400 + line,
    lambda line: line.replace(",", ";"),
    lambda _: "\x00\x01\x02",
)


@dataclass(frozen=True, slots=True)
class FaultShares:
    """Shares of all event lines, each in 0..1."""

    late: float = 0.0
    doubled: float = 0.0
    broken: float = 0.0

    def __post_init__(self) -> None:
        for name in ("late", "doubled", "broken"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name}={value} must be in 0..1")


class Faults:
    """Applies the shares chunk by chunk, in order; `late`, `doubled` and `broken` count what was done."""

    def __init__(self, shares: FaultShares, seed: int) -> None:
        self.shares = shares
        self.late = self.doubled = self.broken = 0
        self._rng = np.random.default_rng([seed, 3])
        self._held: list[tuple[int, str]] = []

    def apply(self, lines: list[str]) -> list[str]:
        """Return the lines that leave now, in the order they leave."""
        if self.shares == FaultShares():
            return lines
        rng, n = self._rng, len(lines)
        for row in np.flatnonzero(rng.random(n) < self.shares.broken).tolist():
            lines[row] = BREAKS[int(rng.integers(len(BREAKS)))](lines[row])
            self.broken += 1
        late = rng.random(n) < self.shares.late
        leaves = np.arange(n) + np.where(late, rng.integers(1, DELAY_ROWS_MAX + 1, n), 0)
        again = np.flatnonzero(rng.random(n) < self.shares.doubled)
        copies = leaves[again] + rng.integers(1, DELAY_ROWS_MAX + 1, len(again))
        self.late += int(late.sum())
        self.doubled += len(again)
        waiting = self._held + list(zip(leaves.tolist(), lines, strict=True))
        waiting += [(at, lines[row]) for at, row in zip(copies.tolist(), again.tolist(), strict=True)]
        waiting.sort(key=lambda item: item[0])
        self._held = [(at - n, line) for at, line in waiting if at >= n]
        return [line for at, line in waiting if at < n]

    def flush(self) -> list[str]:
        """Return what still waits."""
        held, self._held = self._held, []
        return [line for _, line in held]
