"""A store in memory, for state that ends with its process: nothing of it is on disk, and nothing outlives a crash."""

import bisect
from collections.abc import Iterator, Sequence

from state.store import Write


class MemoryStore:
    """A sorted map of bytes in memory; see `state.store.Store`."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._keys: list[bytes] | None = None

    def write(self, batch: Sequence[Write]) -> bool:
        """Apply a batch."""
        for key, value in batch:
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value
        self._keys = None
        return True

    def flush(self) -> None:
        """Return at once."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key."""
        return self._rows.get(key)

    def multi_get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of many keys, in their order."""
        return [self._rows.get(key) for key in keys]

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys that begin with `prefix`, in order, with their values."""
        if self._keys is None:
            self._keys = sorted(self._rows)
        keys = self._keys
        for place in range(bisect.bisect_left(keys, prefix), len(keys)):
            if not keys[place].startswith(prefix):
                return
            yield keys[place], self._rows[keys[place]]

    def close(self) -> None:
        """Hold nothing."""
