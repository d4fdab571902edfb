"""What reached each subscriber last, by channel: a reply most likely answers it.

Kept are the newest `KEPT_MAX` pairs of subscriber and channel, in the order of their contacts. A reply may answer a
contact for `ANSWERED_DAYS`. A restart knows what the outbox still holds of them. No clock, no disk here.
"""

from collections.abc import Collection
from typing import NamedTuple

ANSWERED_DAYS = 7
KEPT_MAX = 200_000
_DAY_MS = 86_400_000


class Contact(NamedTuple):
    """A decision that reached its subscriber, or may have, and when."""

    decision_id: str
    at_ms: int


class Reached:
    """The last contacts; `kept_max` bounds how many are remembered."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._last: dict[int, dict[str, Contact]] = {}
        self._count = 0

    def note(self, subscriber: int, channel: str, decision_id: str, at_ms: int) -> None:
        """Remember a contact, unless a later one on that channel is known; the oldest are forgotten for it."""
        channels = self._last.pop(subscriber, {})
        known = channels.get(channel)
        self._count += known is None
        if known is None or known.at_ms <= at_ms:
            channels[channel] = Contact(decision_id, at_ms)
        self._last[subscriber] = channels
        while self._count > self._kept_max:
            self._count -= len(self._last.pop(next(iter(self._last))))

    def answered(self, subscriber: int, channels: Collection[str], now_ms: int) -> str:
        """Return the id of the decision that a reply to one of the channels answers, empty where none is known."""
        found = [one for name, one in self._last.get(subscriber, {}).items() if name in channels]
        last = max(found, key=lambda one: one.at_ms, default=None)
        return last.decision_id if last is not None and now_ms - last.at_ms < ANSWERED_DAYS * _DAY_MS else ""
