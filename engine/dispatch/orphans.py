"""Receipts that no message awaits yet: they came before their answer, or for a message of another process, or twice.

Each is kept for `ORPHAN_MS` and found by any id that it may mean, or by the subscriber's number for a send whose
outcome is unknown. The oldest go first when there are more than `ORPHANS_MAX`.

Numbers are compared by `same_number`: networks write them with and without the country code.
"""

from cachetools import Cache, LRUCache, TTLCache

from connectors.contract import Receipt

ORPHAN_MS = 600_000
ORPHANS_MAX = 100_000
CLOCKS_MS = 5_000
"""How far the clocks of two workers may be apart: a receipt that is older than the attempt by more is not its own."""

_SETTLED_MAX = 100_000
_NUMBER_MIN = 1_000_000
"""Seven digits: what is shorter is a service, not a subscriber."""

Key = tuple[str, str]
"""Gateway and message id."""


def same_number(one: int, other: int) -> bool:
    """Return whether two numbers are one subscriber's, the country code in both or in one of them."""
    if one == other:
        return True
    return min(one, other) >= _NUMBER_MIN and (str(one).endswith(str(other)) or str(other).endswith(str(one)))


def concerns(receipt: Receipt, subscriber: int, *, guessed: bool) -> bool:
    """Return whether a receipt can be about a subscriber's message; one without a number can, unless `guessed`."""
    numbers = [number for number in receipt.numbers if number >= _NUMBER_MIN]
    return any(same_number(number, subscriber) for number in numbers) if numbers else not guessed


def tail_of(number: int) -> int:
    """Return the digits that all ways to write a number have in common."""
    return number % (10 * _NUMBER_MIN)


class _Parked(TTLCache[Key, Receipt]):
    """A cache that counts what it lets go of, and finds receipts by number."""

    dropped = 0

    def __init__(self, orphans: "Orphans") -> None:
        super().__init__(ORPHANS_MAX, ORPHAN_MS, timer=lambda: orphans.now_ms)
        self.by_number: dict[tuple[str, int], dict[Key, None]] = {}

    def peek(self, key: Key) -> Receipt:
        """Return a receipt without making it younger."""
        return Cache.__getitem__(self, key)

    def index(self, key: Key, receipt: Receipt) -> None:
        for number in receipt.numbers:
            self.by_number.setdefault((receipt.gateway, tail_of(number)), {})[key] = None

    def unindex(self, key: Key, receipt: Receipt) -> None:
        for number in receipt.numbers:
            place = (receipt.gateway, tail_of(number))
            keys = self.by_number.get(place, {})
            keys.pop(key, None)
            if not keys:
                self.by_number.pop(place, None)

    def expire(self, time: float | None = None) -> list[tuple[Key, Receipt]]:
        gone = super().expire(time)
        self.dropped += len(gone)
        for key, receipt in gone:
            self.unindex(key, receipt)
        return gone

    def popitem(self) -> tuple[Key, Receipt]:
        self.dropped += 1
        key, receipt = super().popitem()
        self.unindex(key, receipt)
        return key, receipt


class Orphans:
    """Receipts that no message awaits yet; those of one process."""

    def __init__(self) -> None:
        self.now_ms = 0
        self._parked = _Parked(self)
        self._guesses: LRUCache[Key, Key] = LRUCache(4 * ORPHANS_MAX)
        self._settled: LRUCache[Key, None] = LRUCache(_SETTLED_MAX)

    @property
    def seen(self) -> int:
        """How many were given up."""
        return self._parked.dropped

    def park(self, receipt: Receipt, now_ms: int) -> None:
        """Keep a receipt for a while; the first of several for a message counts."""
        self.tidy(now_ms)
        key = (receipt.gateway, receipt.gateway_message_id)
        if key in self._parked:
            if self._parked.peek(key).numbers == receipt.numbers:
                return
            self._pop(key)  # the id is in use again
        self._parked[key] = receipt
        self._parked.index(key, receipt)
        for guess in receipt.guesses:
            self._guesses[receipt.gateway, guess] = key

    def claim(self, gateway: str, message_id: str, subscriber: int = 0, since_ms: int = 0) -> Receipt | None:
        """Return and forget the receipt of a message that is awaited from now on.

        One about another subscriber, or from before the attempt at `since_ms`, is of a message that had the id earlier.
        """
        key = (gateway, message_id)
        if key in self._parked and self._fits(self._parked.peek(key), subscriber, since_ms, guessed=False):
            return self._pop(key)
        guessed = self._guesses.get(key)
        if (
            guessed is not None
            and guessed in self._parked
            and self._fits(self._parked.peek(guessed), subscriber, since_ms, guessed=True)
        ):
            return self._pop(guessed)
        return None

    def claim_for(self, gateway: str, subscriber: int, since_ms: int) -> Receipt | None:
        """Return and forget a receipt for a subscriber's message whose id is not known."""
        for key in self._parked.by_number.get((gateway, tail_of(subscriber)), {}):
            fits = key in self._parked and self._fits(self._parked.peek(key), subscriber, since_ms, guessed=True)
            if fits and not self.is_double(self._parked.peek(key)):
                return self._pop(key)
        return None

    def settle(self, receipt: Receipt) -> None:
        """Remember a receipt that was matched, so its double is not taken for that of another message."""
        self._settled[receipt.gateway, receipt.gateway_message_id] = None

    def is_double(self, receipt: Receipt) -> bool:
        """Return whether a receipt with this id was matched lately."""
        return (receipt.gateway, receipt.gateway_message_id) in self._settled

    def tidy(self, now_ms: int) -> None:
        """Let go of what has waited long enough."""
        self.now_ms = max(self.now_ms, now_ms)
        self._parked.expire()

    def _pop(self, key: Key) -> Receipt:
        receipt = self._parked.pop(key)
        self._parked.unindex(key, receipt)
        return receipt

    def _fits(self, receipt: Receipt, subscriber: int, since_ms: int, *, guessed: bool) -> bool:
        return receipt.at_ms + CLOCKS_MS >= since_ms and concerns(receipt, subscriber, guessed=guessed)
