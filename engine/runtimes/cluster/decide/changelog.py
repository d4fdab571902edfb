"""The store of one partition's pages: RocksDB, which takes in a transaction only after Kafka has.

    flusher ─► write ... write ─► [transaction on `pages`] ─► committed ─► RocksDB, with the offset after it

A copy that is a beginning of its topic can be brought up to date by reading the topic from its offset, on whatever
worker, its owner or one that stands by (`standby`); one that was ahead of it could not be distinguished from a store
that took another way. So writes wait in memory, where reads find them, until their transaction is committed. The
transactional id belongs to the partition: when a new owner starts its producer, the brokers give up the old one's open
transaction and refuse it from then on.

`write`, `flush`, `close` and `still_ours` are called by threads, `restore` by the loop.
"""

import asyncio
import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from connectors.kafka import BrokerError
from connectors.kafka.changes import Changes
from engine.runtimes.cluster.decide.page_rows import OWNER, check_row
from engine.runtimes.cluster.shared.record_guard import FAULTS, Place, RecordGuard
from engine.runtimes.cluster.shared.topics import TOMBSTONE_MS
from state.disk import DiskError
from state.keys import KINDS, partition_bytes
from state.store import Store, Write

GROUP_BYTES = 2 << 20
BATCH_BYTES = 128 << 10
STALL_S = 0.005
_PLACE = b"K"
_KINDS = (*KINDS, OWNER, _PLACE)
"""First bytes of all keys here: those of `state.keys`, an owner's row that says nothing, and our place in the topic."""

log = logging.getLogger("opportune.cluster")


class PagesCopy:
    """A worker's copy of one partition's pages: RocksDB, always a beginning of the topic.

    Args:
        store: RocksDB of this worker.
        partition: its number, part of every key.
        keep_ms: how long the topic remembers that a row was deleted: an older copy is thrown away.
        wall_ms: wall clock.
        place: where the rows stand.
        guard: counts rows that are none of this partition's.
    """

    def __init__(
        self,
        store: Store,
        partition: int,
        keep_ms: int = TOMBSTONE_MS // 2,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        place: Place | None = None,
        guard: RecordGuard | None = None,
    ) -> None:
        self.store = store
        self._place_of_rows = place or Place("pages", partition)
        self._guard = guard or RecordGuard()
        self._partition = partition_bytes(partition)
        self.owner_key = OWNER + self._partition
        self._keep_ms = keep_ms
        self._wall_ms = wall_ms

    def begin(self) -> int:
        """Return the offset from which the topic has to be read; throws a copy away that is too old to go on from."""
        offset, applied_ms = self._place()
        if offset and self._wall_ms() - applied_ms > self._keep_ms:
            self._forget()
            return 0
        return offset

    def apply(self, rows: Sequence[Write], end: int) -> None:
        """Take rows in that end at the offset `end`: in batches of about a millisecond, the offset in the last one."""
        place = end.to_bytes(8, "big") + self._wall_ms().to_bytes(8, "big")
        batch: list[Write] = []
        size = 0
        for offset, (key, value) in enumerate(rows, end - len(rows)):  # exact but for the marks of transactions between
            try:
                check_row(self._partition, key, value)
            except FAULTS as fault:
                self._guard.bury(self._place_of_rows, offset, key, value, fault)
                continue
            batch.append((key, value))
            size += len(value or b"")
            if size >= BATCH_BYTES:
                self._write(batch)
                batch, size = [], 0
        self._write([*batch, (_PLACE + self._partition, place)])

    def _write(self, batch: Sequence[Write]) -> None:
        while not self.store.write(batch):
            threading.Event().wait(STALL_S)

    def _place(self) -> tuple[int, int]:
        """Return the offset up to which we have the topic, and when that was."""
        place = self.store.get(_PLACE + self._partition)
        return (int.from_bytes(place[:8], "big"), int.from_bytes(place[8:], "big")) if place is not None else (0, 0)

    def _forget(self) -> None:
        for kind in _KINDS:
            for key, _ in self.store.scan(kind + self._partition):
                self._write([(key, None)])


class ChangelogStore:
    """The rows of one partition, as its owner writes them; see the module.

    Args:
        loop: where `changes` lives.
        changes: the partition's part of the pages topic, owned by us.
        copy: our copy of it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, changes: Changes, copy: PagesCopy) -> None:
        self._loop = loop
        self._changes = changes
        self._copy = copy
        self._lock = threading.Lock()
        self._committing = threading.Lock()
        self._waiting: dict[bytes, bytes | None] = {}
        self._size = 0

    async def restore(self) -> int:
        """Bring our copy to the end of the topic; return how many rows that took."""
        count = 0
        async for end, rows in self._changes.read(await asyncio.to_thread(self._copy.begin)):
            await asyncio.to_thread(self._copy.apply, rows, end)
            count += len(rows)
        return count

    def still_ours(self) -> bool:
        """Tell whether nobody has become the owner since we did: a transaction of a former owner is refused.

        It is a real one, with a row that says nothing, because an empty one would not reach the brokers.
        """
        self.write([(self._copy.owner_key, b"")])
        try:
            self.flush()
        except DiskError as fault:
            log.info("%s", fault)
            return False
        return True

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
        found = dict(zip(missing, self._copy.store.multi_get(missing), strict=True)) if missing else {}
        return [waiting[key] if key in waiting else found[key] for key in keys]

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys that begin with `prefix`, in order, with their values; what waits counts as written."""
        with self._lock:
            waiting = {key: value for key, value in self._waiting.items() if key.startswith(prefix)}
        stored = self._copy.store.scan(prefix)  # only now: what waits goes there, and never back
        if not waiting:
            return stored
        fresh = sorted((key, value) for key, value in waiting.items() if value is not None)
        return heapq.merge(fresh, (row for row in stored if row[0] not in waiting))

    def close(self) -> None:
        """Nothing is held: the store belongs to the worker, `changes` to its opener."""

    # ---- inside

    def _commit(self) -> None:
        """Write what waits in one transaction, then to our copy; one at a time."""
        with self._committing:
            with self._lock:
                rows = list(self._waiting.items())
                self._size = 0
            if not rows:
                return
            try:
                end = asyncio.run_coroutine_threadsafe(self._changes.write(rows), self._loop).result()
            except BrokerError as fault:
                raise DiskError(f"pages are not written: {fault}") from fault
            self._copy.apply(rows, end)
            with self._lock:
                for key, value in rows:
                    if self._waiting.get(key, b"") is value:
                        del self._waiting[key]
