"""Token buckets: so many messages on the air a second, with a burst of a tenth of a second.

A text of several parts takes a token for each, and may leave a debt of all but one: what follows waits for it.

Times are seconds of a clock that does not go back, passed in. What a gateway itself refuses is not here: see
`connectors.gateways.pace`.
"""

from math import floor, inf

_BURST_S = 0.1


class TokenBucket:
    """Lets `rate_per_s` parts a second pass."""

    __slots__ = ("_at_s", "_burst", "_tokens", "rate_per_s")

    def __init__(self, rate_per_s: float) -> None:
        if not rate_per_s > 0:
            raise ValueError(f"rate_per_s={rate_per_s} must be > 0")
        self.rate_per_s = rate_per_s
        self._burst = max(1.0, rate_per_s * _BURST_S) if rate_per_s < inf else inf
        self._tokens = self._burst
        self._at_s = -inf

    def room(self, now_s: float) -> int:
        """Return how many may pass now; none, or less, while there is a debt."""
        if self.rate_per_s == inf:
            return 1 << 30
        if now_s > self._at_s:
            if self._at_s > -inf:
                self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self.rate_per_s)
            self._at_s = now_s
        return floor(self._tokens)

    def take(self, parts: int) -> None:
        """Let the parts of one text pass."""
        if self.rate_per_s < inf:
            self._tokens -= parts
