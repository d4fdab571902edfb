"""Receipts, matched to what was sent by gateway, message id, subscriber and time.

A receipt may come before the gateway's own answer, on another link, twice, or days later. One that matches nothing is
kept for ten minutes, in case its answer is still on the way (`orphans`); then it counts as an orphan. A message whose
receipt came is forgotten, so a second copy of the receipt becomes an orphan and changes nothing.

Networks use ids again, so an id counts only for the subscriber whom the receipt names, the newest message first. A
send with an unknown outcome has no id: the gateway's late answer settles it, or a receipt for its subscriber that is of
no other message, while nothing else is on its way there.

A text of several parts is delivered when all its parts are, undelivered with the first that is not. Waiting for
receipts ends after `keep_ms` (72 hours), or for the oldest when `awaited_max` are waiting.
"""

from collections.abc import Callable
from typing import NamedTuple

from connectors.contract import Receipt, ReceiptState
from engine.dispatch.model import Report
from engine.dispatch.orphans import CLOCKS_MS, Key, Orphans, concerns, tail_of
from state.decisions import OutcomeState

_STATES = {
    ReceiptState.DELIVERED: OutcomeState.DELIVERED,
    ReceiptState.UNDELIVERED: OutcomeState.UNDELIVERED,
    ReceiptState.EXPIRED: OutcomeState.UNDELIVERED,
    ReceiptState.REJECTED: OutcomeState.UNDELIVERED,
}
_ANSWERS = {ReceiptState.ACCEPTED: OutcomeState.COMMITTED, ReceiptState.REFUSED: OutcomeState.REFUNDED}
_GOOD = (OutcomeState.DELIVERED, OutcomeState.COMMITTED)


class Awaited:
    """A message whose receipts have not all come.

    `accepted_ms` is when the gateway took it, `attempted_ms` when that was tried; `position` is that of the record
    which says so. `doubtful_parts` are the parts of a text whose outcome is unknown, 0 of any other.
    """

    __slots__ = (
        "accepted_ms",
        "attempted_ms",
        "decision_id",
        "doubtful_parts",
        "gateway",
        "ids",
        "position",
        "subscriber",
    )

    def __init__(
        self,
        decision_id: str,
        subscriber: int,
        gateway: str,
        ids: tuple[str, ...],
        accepted_ms: int,
        position: int,
        attempted_ms: int = 0,
        doubtful_parts: int = 0,
    ) -> None:
        self.decision_id = decision_id
        self.subscriber = subscriber
        self.gateway = gateway
        self.ids = ids
        self.accepted_ms = accepted_ms
        self.position = position
        self.attempted_ms = attempted_ms
        self.doubtful_parts = doubtful_parts


class Matched(NamedTuple):
    """What a receipt says; `report` is None when more parts are to come or it says nothing new.

    `message_id` is the id under which it was found, empty for a send without one.
    """

    awaited: Awaited
    report: Report | None
    message_id: str = ""


class Receipts:
    """Messages that wait for receipts, and receipts that wait for messages.

    Args:
        keep_ms: how long a message waits.
        awaited_max: how many do.
        orphans: receipts that no message awaits yet; its own unless several share them.
        is_flying: whether something is on its way to a subscriber, whose receipt may come before its answer.
    """

    def __init__(
        self,
        keep_ms: int,
        awaited_max: int,
        orphans: Orphans | None = None,
        is_flying: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._keep_ms = keep_ms
        self._awaited_max = awaited_max
        self._orphans = orphans or Orphans()
        # By decision, in the order of positions, because compaction rewrites the first one first. A plain dict and no
        # cache: each message also stands in `_by_id`, once a part, and must leave both.
        self._awaited: dict[str, Awaited] = {}
        self._by_id: dict[Key, Awaited] = {}
        self._older: dict[Key, list[Awaited]] = {}  # those before the newest with the same id, which are few
        self._doubtful: dict[tuple[str, int], list[Awaited]] = {}  # by gateway and the tail of the number
        self._is_flying = is_flying
        self.given_up = 0

    def __len__(self) -> int:
        return len(self._awaited)

    @property
    def orphans_seen(self) -> int:
        """Receipts that were given up because no message came to await them."""
        return self._orphans.seen

    def awaits(self, receipt: Receipt) -> bool:
        """Return whether a receipt is for a message of ours."""
        return self._find(receipt) is not None

    def expect(self, awaited: Awaited) -> list[Receipt]:
        """Wait for the receipts of a message; return those that came before it."""
        if awaited.decision_id in self._awaited:
            self.forget(self._awaited[awaited.decision_id])
        self._awaited[awaited.decision_id] = awaited
        for message_id in awaited.ids:
            self._add((awaited.gateway, message_id), awaited)
        if awaited.doubtful_parts:
            self._doubtful.setdefault((awaited.gateway, tail_of(awaited.subscriber)), []).append(awaited)
        if len(self._awaited) > self._awaited_max:
            self.given_up += 1
            self.forget(next(iter(self._awaited.values())))
        gateway, subscriber, since_ms = awaited.gateway, awaited.subscriber, awaited.attempted_ms
        early = [self._orphans.claim(gateway, message_id, subscriber, since_ms) for message_id in awaited.ids]
        if awaited.doubtful_parts == 1 and not self._is_flying(subscriber):
            early.append(self._orphans.claim_for(gateway, subscriber, since_ms))
        return [one for one in early if one is not None]

    def match(self, receipt: Receipt, now_ms: int) -> Matched | None:
        """Return which message a receipt belongs to; None when no message awaits it yet."""
        found = self._find(receipt)
        if found is None:
            if not receipt.decision_id:
                self._orphans.park(receipt, now_ms)
            return None
        awaited, message_id = found
        if not receipt.decision_id:
            self._orphans.settle(receipt)
        state = (_ANSWERS if receipt.decision_id else _STATES).get(receipt.state)
        if state is OutcomeState.DELIVERED and len(awaited.ids) > 1:
            self.part_came(awaited.gateway, message_id, awaited.decision_id)
            return Matched(awaited, None, message_id)
        self.forget(awaited)
        code = "" if state in _GOOD else receipt.code or receipt.state.value
        report = Report(awaited.decision_id, awaited.subscriber, state, awaited.gateway, code) if state else None
        return Matched(awaited, report, message_id)

    def _find(self, receipt: Receipt) -> tuple[Awaited, str] | None:
        """Return the message of a receipt, and the id by which it was found."""
        if receipt.decision_id:
            awaited = self._awaited.get(receipt.decision_id)
            return (awaited, "") if awaited is not None and awaited.doubtful_parts else None
        for message_id in (receipt.gateway_message_id, *receipt.guesses):
            guessed = message_id != receipt.gateway_message_id
            for awaited in self._with((receipt.gateway, message_id)):
                if concerns(receipt, awaited.subscriber, guessed=guessed):
                    return awaited, message_id
        return self._find_doubtful(receipt)

    def _find_doubtful(self, receipt: Receipt) -> tuple[Awaited, str] | None:
        """Return the newest send of one part, with an unknown outcome, that a receipt can be about."""
        for number in receipt.numbers:
            for awaited in reversed(self._doubtful.get((receipt.gateway, tail_of(number)), [])):
                if (
                    awaited.doubtful_parts == 1
                    and concerns(receipt, awaited.subscriber, guessed=True)
                    and awaited.attempted_ms <= receipt.at_ms + CLOCKS_MS
                    and not self._orphans.is_double(receipt)
                    and not self._is_flying(awaited.subscriber)
                ):
                    return awaited, ""
        return None

    def _with(self, key: Key) -> list[Awaited]:
        """Return the messages with an id, the newest first."""
        newest = self._by_id.get(key)
        return [] if newest is None else [newest, *reversed(self._older.get(key, []))]

    def _add(self, key: Key, awaited: Awaited) -> None:
        before = self._by_id.get(key)
        if before is not None and before is not awaited:
            self._older.setdefault(key, []).append(before)
        self._by_id[key] = awaited

    def _remove(self, key: Key, awaited: Awaited) -> None:
        older = self._older.get(key, [])
        if self._by_id.get(key) is not awaited:
            if awaited in older:
                older.remove(awaited)
        elif older:
            self._by_id[key] = older.pop()
        else:
            del self._by_id[key]
        if not older:
            self._older.pop(key, None)

    def part_came(self, gateway: str, message_id: str, decision_id: str = "") -> None:
        """Strike out one part of a message, of the newest with that id unless its decision is named."""
        awaited = self._awaited.get(decision_id) if decision_id else self._by_id.get((gateway, message_id))
        if awaited is not None:
            self._remove((gateway, message_id), awaited)
            awaited.ids = tuple(one for one in awaited.ids if one != message_id)

    def forget(self, awaited: Awaited) -> None:
        """Expect nothing more of a message."""
        self._awaited.pop(awaited.decision_id, None)
        for message_id in awaited.ids:
            self._remove((awaited.gateway, message_id), awaited)
        if awaited.doubtful_parts:
            key = (awaited.gateway, tail_of(awaited.subscriber))
            left = [one for one in self._doubtful.get(key, []) if one is not awaited]
            if left:
                self._doubtful[key] = left
            else:
                self._doubtful.pop(key, None)

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
