"""Token buckets: so many messages on the air a second, with a burst of a tenth of a second.

A text of several parts takes a token for each, and may leave a debt of all but one: what follows waits for it.

`Rates` holds those of one process: by gateway, by channel, each as large a part of what is configured as the process
has of the partitions. Several cores may share them.

Times are seconds of a clock that does not go back, passed in. What a gateway itself refuses is not here: see
`connectors.gateways.pace`.
"""

from collections.abc import Iterable, Mapping
from math import inf

_BURST_MS = 100
_TOKEN = 1_000_000_000
"""Parts of a token. Whole numbers, so that the tokens at a time do not depend on when else somebody looked."""

Level = tuple[str, str, int, int]
"""Kind ("gateway" or "channel"), name, parts of tokens left, and when, milliseconds."""


class TokenBucket:
    """Lets `rate_per_s` parts a second pass."""

    __slots__ = ("_burst", "_per_ms", "at_ms", "level", "rate_per_s")

    def __init__(self, rate_per_s: float) -> None:
        if not rate_per_s > 0:
            raise ValueError(f"rate_per_s={rate_per_s} must be > 0")
        self.rate_per_s = rate_per_s
        self._per_ms = max(1, round(rate_per_s * (_TOKEN // 1000))) if rate_per_s < inf else 0
        self._burst = max(_TOKEN, self._per_ms * _BURST_MS)
        self.level = self._burst
        self.at_ms = -1

    def room(self, now_s: float) -> int:
        """Return how many may pass now; none, or less, while there is a debt."""
        if self.rate_per_s == inf:
            return 1 << 30
        now_ms = round(now_s * 1000)
        if now_ms > self.at_ms:
            if self.at_ms >= 0:
                self.level = min(self._burst, self.level + (now_ms - self.at_ms) * self._per_ms)
            self.at_ms = now_ms
        return self.level // _TOKEN

    def take(self, parts: int) -> None:
        """Let the parts of one text pass."""
        if self.rate_per_s < inf:
            self.level -= parts * _TOKEN

    def due_ms(self) -> int:
        """Return when one may pass, as of the last look."""
        missing = _TOKEN - self.level
        return self.at_ms + max(0, -(-missing // self._per_ms)) if self._per_ms else self.at_ms


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

    def passed(self, gateway: str, channel: str, parts: int, now_s: float) -> None:
        """Count a text that went before a restart."""
        for bucket in (self.gateways.get(gateway), self.channels.get(channel)):
            if bucket is not None:
                bucket.room(now_s)
                bucket.take(parts)

    def levels(self) -> list[Level]:
        """Return what is left in every bucket that somebody took from, as plain data."""
        kinds = (("gateway", self.gateways), ("channel", self.channels))
        return [
            (kind, name, bucket.level, bucket.at_ms)
            for kind, buckets in kinds
            for name, bucket in buckets.items()
            if bucket.at_ms >= 0
        ]

    def restore(self, levels: Iterable[Level]) -> None:
        """Go on from what `levels` returned, as far as such buckets are still here."""
        for kind, name, level, at_ms in levels:
            bucket = (self.gateways if kind == "gateway" else self.channels).get(name)
            if bucket is not None:
                bucket.level, bucket.at_ms = level, at_ms

    def add(self, channels: Mapping[str, float]) -> None:
        """Take channels up that are new; those that are known go on."""
        for name, rate in channels.items():
            if name not in self.channels:
                self.channels[name] = TokenBucket(rate * self.part)
