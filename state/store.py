"""Where pages, sleeping rows and partition records are kept. (Surface first; bodies follow.)"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

Write = tuple[bytes, bytes | None]  # key, value; None deletes


class Store(Protocol):
    """A sorted map with atomic batches. After a crash it holds the result of some prefix of the batches, at least the flushed ones."""

    def write(self, batch: Sequence[Write]) -> bool:
        """Apply a batch atomically; False when the store asks to come back later (nothing was applied)."""
        ...

    def flush(self) -> None:
        """Return when every batch written before the call survives a crash."""
        ...

    def get(self, key: bytes) -> bytes | None: ...
    def multi_get(self, keys: Sequence[bytes]) -> list[bytes | None]: ...
    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]: ...
    def close(self) -> None: ...


class RocksStore:
    def __init__(self, path: Path, *, memory_bytes: int = 256 << 20) -> None: ...


class MemoryStore:
    def crash(self, kept: int) -> None:
        """Forget unflushed batches but the first `kept`."""
        ...
