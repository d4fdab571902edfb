"""How many messages on the air a calendar day, by channel and by campaign.

An attempt takes a place of the day it is made on for each part of its text; a refusal gives them back to that day. What
is on its way, taken or in doubt keeps its places, so a quota is never exceeded. Counters of past days are forgotten.
They are rebuilt from the outbox after a restart: see `engine.dispatch.outbox`.

The first text with more parts than there are places ends the day for its channel or campaign, so that shorter ones do
not overtake it; a place given back opens it again.
"""

from collections.abc import Iterable, Mapping

Counted = tuple[int, str, str, int]
"""Day, scope ("channel" or "campaign"), name, count."""


class Quotas:
    """Counters of the days that still matter."""

    def __init__(self, channels: Mapping[str, int | None], campaigns: Mapping[str, int]) -> None:
        self._bounds = {("channel", name): bound for name, bound in channels.items() if bound is not None}
        self._bounds |= {("campaign", name): bound for name, bound in campaigns.items()}
        self._counts: dict[tuple[int, str, str], int] = {}
        self._full: set[tuple[int, str, str]] = set()
        self._newest_day = 0

    def left(self, day: int, channel: str, campaign: str) -> bool:
        """Return whether the channel and the campaign have places on the day."""
        return self._without_room(day, channel, campaign, 1) is None

    def never_fits(self, channel: str, campaign: str, parts: int) -> bool:
        """Return whether a text has more parts than any day has places."""
        bounds = self._bounds
        return bool(bounds) and not (
            parts <= bounds.get(("channel", channel), parts) and parts <= bounds.get(("campaign", campaign), parts)
        )

    def fits(self, day: int, channel: str, campaign: str, parts: int) -> bool:
        """Return whether a text fits the day; one that does not ends it."""
        full = self._without_room(day, channel, campaign, parts)
        if full is not None:
            self._full.add(full)
        return full is None

    def _without_room(self, day: int, channel: str, campaign: str, parts: int) -> tuple[int, str, str] | None:
        for scope in (("channel", channel), ("campaign", campaign)):
            bound, key = self._bounds.get(scope), (day, *scope)
            if bound is not None and (key in self._full or self._counts.get(key, 0) + parts > bound):
                return key
        return None

    def take(self, day: int, channel: str, campaign: str, parts: int) -> None:
        """Count one attempt."""
        if day > self._newest_day:
            self._newest_day = day
            self._counts = {key: count for key, count in self._counts.items() if key[0] >= day - 1}
            self._full = {key for key in self._full if key[0] >= day - 1}
        self._add(day, channel, campaign, parts)

    def give_back(self, day: int, channel: str, campaign: str, parts: int) -> None:
        """Take back an attempt that certainly reached nobody."""
        self._add(day, channel, campaign, -parts)

    def _add(self, day: int, channel: str, campaign: str, change: int) -> None:
        for key in ((day, "channel", channel), (day, "campaign", campaign)):
            count = self._counts.get(key, 0) + change
            if change < 0:
                self._full.discard(key)
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
