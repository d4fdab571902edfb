"""Receipts, matched to what was sent by gateway and message id.

A receipt may come before the gateway's own answer, on another link, twice, or days later. One that matches nothing is
kept for ten minutes, in case its answer is still on the way; then it counts as an orphan. A message whose receipt came
is forgotten, so a second copy of the receipt becomes an orphan and changes nothing.

A text of several parts is delivered when all its parts are, undelivered with the first that is not. Waiting for
receipts ends after `keep_ms` (72 hours), or for the oldest when `awaited_max` are waiting.
"""

from typing import NamedTuple

from cachetools import TTLCache

from connectors.contract import Receipt, ReceiptState
from engine.dispatch.model import Report
from state.decisions import OutcomeState

ORPHAN_MS = 600_000
ORPHANS_MAX = 100_000

_STATES = {
    ReceiptState.DELIVERED: OutcomeState.DELIVERED,
    ReceiptState.UNDELIVERED: OutcomeState.UNDELIVERED,
    ReceiptState.EXPIRED: OutcomeState.UNDELIVERED,
    ReceiptState.REJECTED: OutcomeState.UNDELIVERED,
}


class Awaited:
    """A message whose receipts have not all come.

    `accepted_ms` is when the gateway took it; `position` is that of the record which says so.
    """

    __slots__ = ("accepted_ms", "decision_id", "gateway", "ids", "position", "subscriber")

    def __init__(
        self, decision_id: str, subscriber: int, gateway: str, ids: tuple[str, ...], accepted_ms: int, position: int
    ) -> None:
        self.decision_id = decision_id
        self.subscriber = subscriber
        self.gateway = gateway
        self.ids = ids
        self.accepted_ms = accepted_ms
        self.position = position


class Matched(NamedTuple):
    """What a receipt says; `report` is None when more parts are to come or it says nothing new."""

    awaited: Awaited
    report: Report | None


class _ParkedReceipts(TTLCache[tuple[str, str], Receipt]):
    """A cache that counts what it lets go of."""

    dropped = 0

    def expire(self, time: float | None = None) -> list[tuple[tuple[str, str], Receipt]]:
        gone = super().expire(time)
        self.dropped += len(gone)
        return gone

    def popitem(self) -> tuple[tuple[str, str], Receipt]:
        self.dropped += 1
        return super().popitem()


class Orphans:
    """Receipts that no message awaits yet, by gateway and message id; those of one process.

    Each is kept for `ORPHAN_MS`, the oldest go first when there are more than `ORPHANS_MAX`.
    """

    def __init__(self) -> None:
        self._now_ms = 0
        self._parked = _ParkedReceipts(ORPHANS_MAX, ORPHAN_MS, timer=lambda: self._now_ms)

    @property
    def seen(self) -> int:
        """How many were given up."""
        return self._parked.dropped

    def park(self, receipt: Receipt, now_ms: int) -> None:
        """Keep a receipt for a while; the first of several for a message counts."""
        self.tidy(now_ms)
        key = (receipt.gateway, receipt.gateway_message_id)
        if key not in self._parked:
            self._parked[key] = receipt

    def claim(self, gateway: str, message_id: str) -> Receipt | None:
        """Return and forget the receipt of a message that is awaited from now on."""
        key = (gateway, message_id)
        return self._parked.pop(key) if key in self._parked else None

    def tidy(self, now_ms: int) -> None:
        """Let go of what has waited long enough."""
        self._now_ms = max(self._now_ms, now_ms)
        self._parked.expire()


class Receipts:
    """Messages that wait for receipts, and receipts that wait for messages."""

    def __init__(self, keep_ms: int, awaited_max: int, orphans: Orphans | None = None) -> None:
        self._keep_ms = keep_ms
        self._awaited_max = awaited_max
        self._orphans = orphans or Orphans()
        # By decision, in the order of positions, because compaction rewrites the first one first. A plain dict and no
        # cache: each message also stands in `_by_id`, once a part, and must leave both.
        self._awaited: dict[str, Awaited] = {}
        self._by_id: dict[tuple[str, str], Awaited] = {}
        self.given_up = 0

    def __len__(self) -> int:
        return len(self._awaited)

    @property
    def orphans_seen(self) -> int:
        """Receipts that were given up because no message came to await them."""
        return self._orphans.seen

    def awaits(self, receipt: Receipt) -> bool:
        """Return whether a receipt is for a message of ours."""
        return (receipt.gateway, receipt.gateway_message_id) in self._by_id

    def expect(self, awaited: Awaited) -> list[Receipt]:
        """Wait for the receipts of a message; return those that came before it."""
        if awaited.decision_id in self._awaited:
            self.forget(self._awaited[awaited.decision_id])
        self._awaited[awaited.decision_id] = awaited
        for message_id in awaited.ids:
            self._by_id[awaited.gateway, message_id] = awaited
        if len(self._awaited) > self._awaited_max:
            self.given_up += 1
            self.forget(next(iter(self._awaited.values())))
        early = [self._orphans.claim(awaited.gateway, message_id) for message_id in awaited.ids]
        return [one for one in early if one is not None]

    def match(self, receipt: Receipt, now_ms: int) -> Matched | None:
        """Return which message a receipt belongs to; None when no message awaits it yet."""
        key = (receipt.gateway, receipt.gateway_message_id)
        awaited = self._by_id.get(key)
        if awaited is None:
            self._orphans.park(receipt, now_ms)
            return None
        state = _STATES.get(receipt.state)
        if state is OutcomeState.DELIVERED and len(awaited.ids) > 1:
            self.part_came(*key)
            return Matched(awaited, None)
        self.forget(awaited)
        code = "" if state is OutcomeState.DELIVERED else receipt.code or receipt.state.value
        report = Report(awaited.decision_id, awaited.subscriber, state, awaited.gateway, code) if state else None
        return Matched(awaited, report)

    def part_came(self, gateway: str, message_id: str) -> None:
        """Strike out one part."""
        awaited = self._by_id.pop((gateway, message_id), None)
        if awaited is not None:
            awaited.ids = tuple(one for one in awaited.ids if one != message_id)

    def forget(self, awaited: Awaited) -> None:
        """Expect nothing more of a message."""
        self._awaited.pop(awaited.decision_id, None)
        for message_id in awaited.ids:
            if self._by_id.get((awaited.gateway, message_id)) is awaited:
                del self._by_id[awaited.gateway, message_id]

    def of(self, decision_id: str) -> Awaited | None:
        """Return what a decision waits for."""
        return self._awaited.get(decision_id)

    def tidy(self, now_ms: int) -> None:
        """Let go of what has waited long enough."""
        self._orphans.tidy(now_ms)
        while self._awaited:
            oldest = next(iter(self._awaited.values()))
            if now_ms - oldest.accepted_ms < self._keep_ms:
                break
            self.given_up += 1
            self.forget(oldest)

    def oldest(self) -> Awaited | None:
        """Return the one with the lowest position."""
        return next(iter(self._awaited.values()), None)

    def moved(self, awaited: Awaited, position: int) -> None:
        """Move a message to the end: compaction has written it again, at `position`."""
        awaited.position = position
        self._awaited[awaited.decision_id] = self._awaited.pop(awaited.decision_id)
