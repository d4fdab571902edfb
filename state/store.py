"""Where pages, sleeping rows and the partitions' own records are kept: a sorted map with atomic batches.

Everything stands in one column family, told apart by the first byte of its key (`state.keys`). Our
log is the write-ahead log, so RocksDB's is off, and one family is what makes that safe: its memtables reach the disk in
the order they were filled, so after a crash the store holds the outcome of some prefix of the batches, at least up to
the last `flush`. Several families would each lose a tail of their own. Pages go to blob files, rows stay in the tree,
by their size alone.

A write holds the interpreter's lock, also while RocksDB makes writers wait; so a batch should take about a millisecond,
and `write` answers False where RocksDB wants it to come back later.
"""

import gc
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from state.disk import DiskError, DiskFullError, LockedError

Write = tuple[bytes, bytes | None]
"""A key and its value; None deletes the key."""

CACHE_BYTES = 64 << 20
MEMTABLE_BYTES = 64 << 20
BLOB_BYTES_MIN = 1024
ROOM_BYTES = 16 << 20
"""Beside what the memtables hold: there must be so much before a database that met a full disk is opened again."""
BATCH_ROWS = 256
STALL_S = 0.005
LET_GO_TRIES = 1_000
OPEN_S = 60.0
"""How long a reader waits for a database that is opened again."""

_COME_BACK = "Result incomplete"
"""How RocksDB begins its answer to a write that would have had to wait."""
_HELD = ("While lock file", "lock hold by current process")
"""What RocksDB says of a folder that another process, or this one, has open."""


class Store(Protocol):
    """A sorted map of bytes with atomic batches; what fails raises DiskError."""

    def write(self, batch: Sequence[Write]) -> bool:
        """Apply a batch, whole or not at all; False when it should be tried again later.

        Raises:
            DiskFullError: no room; the call may be repeated, and nothing is lost.
            DiskError: the store is broken until it is opened again; batches since the last flush may be lost.
        """

    def flush(self) -> None:
        """Return when every batch applied before the call survives a crash."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key."""

    def multi_get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of many keys, in their order."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys that begin with `prefix`, in order, with their values."""

    def close(self) -> None:
        """Let go of the store; nothing is flushed."""


class RocksStore:
    """The store on disk.

    RocksDB takes nothing more once a flush or a compaction of its own has met a full disk, until it is opened again;
    what its memtables hold is gone then. So the keys that they hold are remembered. Where a write is tried again and
    there is room, their values are read, RocksDB is opened again, and they are written first. Readers wait meanwhile:
    nobody sees a value that was not the last.

    Args:
        path: folder, created when missing.
        cache_bytes: memory for blocks of sleeping rows, indexes and filters.

    Raises:
        LockedError: another process holds it.
        DiskError: it cannot be opened.
    """

    def __init__(self, path: Path, *, cache_bytes: int = CACHE_BYTES) -> None:
        self.path = path
        self._cache_bytes = cache_bytes
        self._rocks: Rdict | None = self._open()
        self._there = threading.Event()  # set while `_rocks` may be asked
        self._there.set()
        self._writing = threading.Lock()
        self._unflushed: deque[bytes] = deque()  # keys of the memtables, oldest first
        self._saved: list[Write] = []  # of memtables that are gone
        self._full = False
        self._write_options = cast("Any", WriteOptions())  # the stub calls its properties methods
        self._write_options.disable_wal = True
        self._write_options.no_slowdown = True

    def write(self, batch: Sequence[Write]) -> bool:
        """Apply a batch; False when RocksDB would have made us wait."""
        with self._writing:
            self._mend()
            return self._apply(batch)

    def flush(self) -> None:
        """Write the memtable out and wait for it."""
        with self._writing:
            self._mend()
            rocks = self._opened()
        try:
            rocks.flush(wait=True)
        except Exception as error:  # rocksdict raises bare Exception
            del rocks  # whoever keeps the fault keeps this frame, and the database would stay locked
            raise self._refused("flush", error) from error

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key."""
        value: bytes | None = self._get(key)
        return value

    def multi_get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of many keys; the interpreter's lock is released meanwhile."""
        return list(self._get(list(keys)))

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values below a prefix, reading ahead, leaving the cache alone."""
        options = ReadOptions()
        options.set_iterate_upper_bound(_after(prefix))
        options.set_readahead_size(4 << 20)
        rocks = self._opened()
        try:
            yield from rocks.items(from_key=prefix, read_opt=options)
        except Exception as error:  # rocksdict raises bare Exception
            del rocks  # as in `flush`
            raise _error_of("read", self.path, error) from error

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        rocks, self._rocks = self._rocks, None
        try:
            if rocks is not None and not self._full:
                rocks.close()
        except Exception as error:  # rocksdict raises bare Exception
            fault = _error_of("close", self.path, error)
            if not isinstance(fault, DiskFullError):  # it tries to flush, which nobody was promised
                raise fault from error

    def _open(self) -> Rdict:
        options = _options(self._cache_bytes)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Without `column_families` an existing store would be opened with the options of its creation.
            return Rdict(str(self.path), options, column_families={"default": options})
        except Exception as error:  # rocksdict raises bare Exception
            raise _error_of("open", self.path, error) from error

    def _opened(self) -> Rdict:
        """Return the database, waiting while it is opened again; DiskFullError where that takes too long."""
        if not self._there.wait(OPEN_S):
            raise DiskFullError(f"open {self.path}: no room left on the disk")
        rocks = self._rocks
        if rocks is None:
            raise DiskError(f"{self.path} is closed")
        return rocks

    def _get(self, key: Any) -> Any:
        """Return a value, or those of a list of keys."""
        rocks = self._opened()
        try:
            return rocks.get(key)
        except Exception as error:  # rocksdict raises bare Exception
            del rocks  # as in `flush`
            raise _error_of("read", self.path, error) from error

    # ---- writing, and mending what a full disk broke; under `_writing`

    def _apply(self, batch: Sequence[Write]) -> bool:
        rows = WriteBatch(raw_mode=True)
        for key, value in batch:
            if value is None:
                rows.delete(key)
            else:
                rows.put(key, value)
        assert self._rocks is not None
        try:
            self._rocks.write(rows, self._write_options)
        except Exception as error:  # rocksdict raises bare Exception
            if str(error).startswith(_COME_BACK):
                self._full = self._full or self._property("rocksdb.background-errors") > 0  # or it would wait for ever
                return False
            raise self._refused("write", error) from error
        self._unflushed.extend(key for key, _ in batch)
        held = self._property("rocksdb.num-entries-active-mem-table")
        held += self._property("rocksdb.num-entries-imm-mem-tables")
        for _ in range(len(self._unflushed) - held):
            self._unflushed.popleft()
        return True

    def _property(self, name: str) -> int:
        assert self._rocks is not None
        return int(self._rocks.property_int_value(name) or 0)

    def _refused(self, operation: str, error: Exception) -> DiskError:
        """Name what RocksDB reported, and remember that it takes nothing more."""
        fault = _error_of(operation, self.path, error)
        self._full = self._full or isinstance(fault, DiskFullError)
        return fault

    def _mend(self) -> None:
        """Open the database again after a full disk, where there is room now; DiskFullError where there is not."""
        if not self._full:
            return
        if self._rocks is not None:
            self._need_room(self._property("rocksdb.size-all-mem-tables") + ROOM_BYTES)
            keys = list(dict.fromkeys(self._unflushed))
            if keys and not self._saved:  # or the last attempt ended before all of it was written again
                self._saved = list(zip(keys, self.multi_get(keys), strict=True))
            self._there.clear()
            self._rocks = None  # dropped, not closed: closing would flush
        try:
            self._rocks = self._open_when_let_go()
        except DiskFullError:
            raise
        except DiskError:
            self._there.set()  # it will not be opened any more: nobody is to wait for it
            raise
        self._unflushed.clear()
        for start in range(0, len(self._saved), BATCH_ROWS):
            while not self._apply(self._saved[start : start + BATCH_ROWS]):
                if self._property("rocksdb.background-errors") > 0:
                    raise DiskFullError(f"write {self.path}: no room left on the disk")
                self._wait()
        self._saved = []
        self._full = False
        self._there.set()

    def _need_room(self, wanted: int) -> None:
        disk = os.statvfs(self.path)
        if disk.f_bavail * disk.f_frsize < wanted:
            raise DiskFullError(f"write {self.path}: no room left on the disk")

    def _open_when_let_go(self) -> Rdict:
        """Open the database; a reader that still has the old one keeps it locked for a moment."""
        for attempt in range(LET_GO_TRIES):
            try:
                return self._open()
            except LockedError:
                if attempt % 100 == 0:
                    gc.collect()  # a fault that somebody caught may hold the old one in a cycle
                self._wait()
        return self._open()

    def _wait(self) -> None:
        threading.Event().wait(STALL_S)


def _after(prefix: bytes) -> bytes:
    """Return the first key after all that begin with `prefix`."""
    return (int.from_bytes(prefix, "big") + 1).to_bytes(len(prefix), "big")


def _error_of(operation: str, path: Path, error: Exception) -> DiskError:
    """Name what RocksDB reported."""
    text = " ".join(str(error).split())
    if "No space left" in text:
        return DiskFullError(f"{operation} {path}: no room left on the disk")
    if any(words in text for words in _HELD):
        return LockedError(f"{path} is held by another process: {text}")
    return DiskError(f"{operation} {path}: {text}")


def _options(cache_bytes: int) -> Any:
    """Return RocksDB's settings; what is not named here is its default."""
    table = BlockBasedOptions()
    table.set_block_cache(Cache.new_hyper_clock_cache(cache_bytes, 16 << 10))
    table.set_block_size(16 << 10)
    table.set_bloom_filter(10, block_based=False)
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_size(MEMTABLE_BYTES)
    options.set_max_write_buffer_number(3)
    options.set_max_background_jobs(2)
    options.set_max_open_files(-1)
    options.set_bytes_per_sync(1 << 20)
    options.set_keep_log_file_num(2)
    options.set_enable_blob_files(True)
    options.set_min_blob_size(BLOB_BYTES_MIN)
    options.set_blob_compression_type(DBCompressionType.lz4())
    options.set_enable_blob_gc(True)
    options.set_blob_gc_age_cutoff(0.5)
    options.set_blob_gc_force_threshold(0.5)
    return options
