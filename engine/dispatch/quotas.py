"""How many messages a calendar day, by channel and by campaign.

An attempt takes a place of the day it is made on; a refusal gives it back to that day. What is on its way, taken or in
doubt keeps its place, so a quota is never exceeded. Counters of past days are forgotten. They are rebuilt from the
outbox after a restart: see `engine.dispatch.outbox`.
"""

from collections.abc import Iterable, Mapping

Counted = tuple[int, str, str, int]
"""Day, scope ("channel" or "campaign"), name, count."""


class Quotas:
    """Counters of the days that still matter."""

    def __init__(self, channels: Mapping[str, int], campaigns: Mapping[str, int]) -> None:
        self._bounds = {("channel", name): bound for name, bound in channels.items() if bound > 0}
        self._bounds |= {("campaign", name): bound for name, bound in campaigns.items() if bound > 0}
        self._counts: dict[tuple[int, str, str], int] = {}
        self._newest_day = 0

    def left(self, day: int, channel: str, campaign: str) -> bool:
        """Return whether one more message of the channel and the campaign fits the day."""
        for scope in (("channel", channel), ("campaign", campaign)):
            bound = self._bounds.get(scope)
            if bound is not None and self._counts.get((day, *scope), 0) >= bound:
                return False
        return True

    def take(self, day: int, channel: str, campaign: str) -> None:
        """Count one attempt."""
        if day > self._newest_day:
            self._newest_day = day
            self._counts = {key: count for key, count in self._counts.items() if key[0] >= day - 1}
        self._add(day, channel, campaign, 1)

    def give_back(self, day: int, channel: str, campaign: str) -> None:
        """Take back an attempt that certainly reached nobody."""
        self._add(day, channel, campaign, -1)

    def _add(self, day: int, channel: str, campaign: str, change: int) -> None:
        for key in ((day, "channel", channel), (day, "campaign", campaign)):
            count = self._counts.get(key, 0) + change
            if count > 0:
                self._counts[key] = count
            else:
                self._counts.pop(key, None)

    def counted(self) -> list[Counted]:
        """Return all counters, as plain data."""
        return [(*key, count) for key, count in self._counts.items()]

    def restore(self, counted: Iterable[Counted]) -> None:
        """Replace all counters."""
        self._counts = {(day, scope, name): count for day, scope, name, count in counted}
        self._newest_day = max((day for day, *_ in self._counts), default=0)
