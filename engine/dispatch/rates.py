"""Token buckets: so many messages on the air a second, with a burst of a tenth of a second.

A text of several parts takes a token for each, and may leave a debt of all but one: what follows waits for it.

`Rates` holds those of one process: by gateway, by channel, each as large a part of what is configured as the process
has of the partitions. Several cores may share them.

Times are seconds of a clock that does not go back, passed in. What a gateway itself refuses is not here: see
`connectors.gateways.pace`.
"""

from collections.abc import Mapping
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


class Rates:
    """The buckets of a process.

    Args:
        gateways: messages a second, by gateway.
        channels: the same by channel.
        part: the part of them that is ours, 0 to 1.
    """

    def __init__(self, gateways: Mapping[str, float], channels: Mapping[str, float], part: float = 1.0) -> None:
        self.part = part
        self.gateways = {name: TokenBucket(rate * part) for name, rate in gateways.items()}
        self.channels = {name: TokenBucket(rate * part) for name, rate in channels.items()}

    def add(self, channels: Mapping[str, float]) -> None:
        """Take channels up that are new; those that are known go on."""
        for name, rate in channels.items():
            if name not in self.channels:
                self.channels[name] = TokenBucket(rate * self.part)
