"""A store in memory that forgets, at a crash, batches since the last flush."""

import bisect
import random
from collections.abc import Iterator, Sequence

from state.store import Write


class MemoryStore:
    """The store in memory; a crash may take every batch since the last flush, the newest first."""

    def __init__(self) -> None:
        self.refusals = 0  # how many of the next writes are put off
        self._durable: dict[bytes, bytes] = {}
        self._seen: dict[bytes, bytes] = {}
        self._keys: list[bytes] | None = None
        self._pending: list[list[Write]] = []

    def write(self, batch: Sequence[Write]) -> bool:
        """Apply a batch."""
        if self.refusals > 0:
            self.refusals -= 1
            return False
        self._pending.append(list(batch))
        _apply(self._seen, batch)
        self._keys = None
        return True

    def flush(self) -> None:
        """Make every batch durable."""
        for batch in self._pending:
            _apply(self._durable, batch)
        self._pending.clear()

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key."""
        return self._seen.get(key)

    def multi_get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of many keys."""
        return [self._seen.get(key) for key in keys]

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values below a prefix."""
        if self._keys is None:
            self._keys = sorted(self._seen)
        keys = self._keys
        for place in range(bisect.bisect_left(keys, prefix), len(keys)):
            if not keys[place].startswith(prefix):
                return
            yield keys[place], self._seen[keys[place]]

    def close(self) -> None:
        """Nothing is held."""

    def crash(self, chance: random.Random) -> None:
        """Forget the batches since the last flush but the first few: memtables are written out in their order."""
        for batch in self._pending[: chance.randint(0, len(self._pending))]:
            _apply(self._durable, batch)
        self._pending.clear()
        self._seen = dict(self._durable)
        self._keys = None


def _apply(rows: dict[bytes, bytes], batch: Sequence[Write]) -> None:
    for key, value in batch:
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value
