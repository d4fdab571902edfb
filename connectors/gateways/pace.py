"""How fast a gateway may be fed: additive increase, multiplicative decrease, and a pause after each refusal.

A pace starts without a limit. When the far side says "throttled", everything pauses (1 s, doubling while refusals
follow one another, at most `pause_ms_max`) and the rate becomes half of what was sent in the last second. From then on
it grows by `step_per_s` each second, until it is back where the first refusal came; then the limit is lifted.

Times are seconds of a monotonic clock that the caller passes in. The rate that operations configure is not here: see
`engine.dispatch.rates`.
"""

from dataclasses import dataclass
from math import inf

_BURST_S = 0.1


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """The bounds of a pace."""

    rate_min_per_s: float = 1.0
    step_per_s: float = 10.0
    pause_ms_min: int = 1_000
    pause_ms_max: int = 60_000


class Pace:
    """The pace of one gateway; `room` before a send, `sent` with it, `throttled` when refused."""

    def __init__(self, limits: PaceLimits) -> None:
        self._limits = limits
        self.rate_per_s = inf
        self._lift_at = inf
        self._tokens = 0.0
        self._at = 0.0
        self._second = 0
        self._sent_now = self._sent_before = 0
        self._paused_until = 0.0
        self._pause_s = 0.0

    @property
    def unlimited(self) -> bool:
        """Whether no refusal is being worked off."""
        return self.rate_per_s == inf

    def room(self, now: float) -> int:
        """Return how many sends are allowed at `now`: a large number while there is no limit."""
        if now < self._paused_until:
            return 0
        if self.rate_per_s == inf:
            return 1 << 30
        self._grow(now)
        return int(self._tokens) if self.rate_per_s < inf else 1 << 30

    def sent(self, now: float) -> None:
        """Count one send."""
        second = int(now)
        if second != self._second:
            self._sent_before = self._sent_now if second == self._second + 1 else 0
            self._sent_now = 0
            self._second = second
        self._sent_now += 1
        self._tokens -= 1.0

    def throttled(self, now: float) -> int:
        """Count a refusal; return the milliseconds to wait. Refusals during the pause change nothing."""
        if now < self._paused_until:
            return int((self._paused_until - now) * 1000) + 1
        limits = self._limits
        follows = self._pause_s > 0 and now < self._paused_until + self._pause_s
        self._pause_s = self._pause_s * 2 if follows else limits.pause_ms_min / 1000
        self._pause_s = min(self._pause_s, limits.pause_ms_max / 1000)
        self._paused_until = now + self._pause_s
        seen = min(self.rate_per_s, float(max(self._sent_now, self._sent_before)))
        if self.rate_per_s == inf:
            self._lift_at = max(seen, 2 * limits.rate_min_per_s)
        self.rate_per_s = max(limits.rate_min_per_s, seen / 2)
        self._tokens = 1.0
        self._at = self._paused_until
        return int(self._pause_s * 1000) + 1

    def _grow(self, now: float) -> None:
        elapsed = now - self._at
        if elapsed <= 0:
            return
        self._at = now
        self.rate_per_s += self._limits.step_per_s * elapsed
        if self.rate_per_s >= self._lift_at:
            self.rate_per_s = self._lift_at = inf
            return
        self._tokens = min(self._tokens + self.rate_per_s * elapsed, max(1.0, self.rate_per_s * _BURST_S))
