"""The store of one partition's pages: RocksDB, which takes in a transaction only after Kafka has.

    flusher ─► write ... write ─► [transaction on `pages`] ─► committed ─► RocksDB, with the offset behind it

A store that is a beginning of its topic can be brought up to date by reading the topic from its offset, on whatever
worker; one that was ahead of it could not be told from a store that took another way. So writes wait in memory, where
reads find them, until their transaction is committed. The transactional id belongs to the partition: when a new owner
starts its producer, the brokers give up the old one's open transaction and refuse it from then on.

`write`, `flush` and `close` are called by the flusher's threads, `restore` by the loop.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from connectors.kafka import BrokerError
from connectors.kafka.changes import Changes
from state.disk import DiskError
from state.store import Store, Write

GROUP_BYTES = 2 << 20
BATCH_BYTES = 128 << 10
STALL_S = 0.005
_KINDS = (b"P", b"S", b"T", b"L", b"M", b"C")
_PLACE = b"K"


class ChangelogStore:
    """The rows of one partition in a store that several share; see the module.

    Args:
        loop: where `changes` lives.
        changes: the partition's part of the pages topic, owned by us.
        store: RocksDB of this worker.
        partition: its number, part of every key.
        keep_ms: how long the topic remembers that a row was deleted: an older copy is thrown away.
        wall_ms: wall clock.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        changes: Changes,
        store: Store,
        partition: int,
        keep_ms: int,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._loop = loop
        self._changes = changes
        self._store = store
        self._partition = partition.to_bytes(2, "big")
        self._keep_ms = keep_ms
        self._wall_ms = wall_ms
        self._lock = threading.Lock()
        self._waiting: dict[bytes, bytes | None] = {}
        self._size = 0

    async def restore(self) -> int:
        """Bring our copy to the end of the topic; return how many rows that took."""
        offset, at_ms = self._place()
        if offset and self._wall_ms() - at_ms > self._keep_ms:
            await asyncio.to_thread(self._forget)
            offset = 0
        count = 0
        async for end, rows in self._changes.read(offset):
            await asyncio.to_thread(self._apply, rows, end)
            count += len(rows)
        return count

    # ---- the contract of `state.store.Store`

    def write(self, batch: Sequence[Write]) -> bool:
        """Take a batch; it is durable at the latest when `flush` returns."""
        with self._lock:
            for key, value in batch:
                self._waiting.pop(key, None)
                self._waiting[key] = value
                self._size += len(key) + len(value or b"")
        if self._size >= GROUP_BYTES:
            self._commit()
        return True

    def flush(self) -> None:
        """Return when every batch is in the topic and in our copy of it; the copy itself may be lost in a crash."""
        self._commit()

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key."""
        return self.multi_get([key])[0]

    def multi_get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of many keys, in their order."""
        with self._lock:
            waiting = {key: self._waiting[key] for key in keys if key in self._waiting}
        missing = [key for key in keys if key not in waiting]
        found = dict(zip(missing, self._store.multi_get(missing), strict=True)) if missing else {}
        return [waiting[key] if key in waiting else found[key] for key in keys]

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys that begin with `prefix`; called before anything was written."""
        assert not self._waiting
        return self._store.scan(prefix)

    def close(self) -> None:
        """Nothing is held: the store belongs to the worker, `changes` to who opened it."""

    # ---- inside

    def _commit(self) -> None:
        """Write what waits in one transaction, then to our copy."""
        with self._lock:
            rows = list(self._waiting.items())
            self._size = 0
        if not rows:
            return
        try:
            end = asyncio.run_coroutine_threadsafe(self._changes.write(rows), self._loop).result()
        except BrokerError as fault:
            raise DiskError(f"pages are not written: {fault}") from fault
        self._apply(rows, end)
        with self._lock:
            for key, value in rows:
                if self._waiting.get(key, b"") is value:
                    del self._waiting[key]

    def _apply(self, rows: Sequence[Write], end: int) -> None:
        """Write rows to our copy, in batches of about a millisecond, the offset in the last one."""
        place = end.to_bytes(8, "big") + self._wall_ms().to_bytes(8, "big")
        batch: list[Write] = []
        size = 0
        for key, value in rows:
            batch.append((key, value))
            size += len(value or b"")
            if size >= BATCH_BYTES:
                self._write(batch)
                batch, size = [], 0
        self._write([*batch, (_PLACE + self._partition, place)])

    def _write(self, batch: Sequence[Write]) -> None:
        while not self._store.write(batch):
            threading.Event().wait(STALL_S)

    def _place(self) -> tuple[int, int]:
        """Return the offset up to which our copy has the topic, and when that was."""
        place = self._store.get(_PLACE + self._partition)
        return (int.from_bytes(place[:8], "big"), int.from_bytes(place[8:], "big")) if place is not None else (0, 0)

    def _forget(self) -> None:
        """Delete our copy."""
        for kind in (*_KINDS, _PLACE):
            for key, _ in self._store.scan(kind + self._partition):
                self._write([(key, None)])
