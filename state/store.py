"""Where pages, sleeping rows and the partitions' own records are kept: a sorted map with atomic batches.

Everything stands in one column family, told apart by the first byte of its key (`state.keys`). Our
log is the write-ahead log, so RocksDB's is off, and one family is what makes that safe: its memtables reach the disk in
the order they were filled, so after a crash the store holds the outcome of some prefix of the batches, at least up to
the last `flush`. Several families would each lose a tail of their own. Pages go to blob files, rows stay in the tree,
by their size alone.

A write holds the interpreter's lock, also while RocksDB makes writers wait; so a batch should take about a millisecond,
and `write` answers False where RocksDB wants it to come back later.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DbClosedError,
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

_COME_BACK = "Result incomplete"
"""How RocksDB begins its answer to a write that would have had to wait."""
_HELD = ("While lock file", "lock hold by current process")
"""What RocksDB says of a folder that another process, or this one, has open."""


class Store(Protocol):
    """A sorted map of bytes with atomic batches; what fails raises DiskError."""

    def write(self, batch: Sequence[Write]) -> bool:
        """Apply a batch, whole or not at all; False when it should be tried again later.

        Raises:
            DiskFullError: no room.
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

    Args:
        path: folder, created when missing.
        cache_bytes: memory for blocks of sleeping rows, indexes and filters.

    Raises:
        LockedError: another process holds it.
        DiskError: it cannot be opened.
    """

    def __init__(self, path: Path, *, cache_bytes: int = CACHE_BYTES) -> None:
        self.path = path
        options = _options(cache_bytes)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without `column_families` an existing store would be opened with the options of its creation.
            self._rocks = Rdict(str(path), options, column_families={"default": options})
        except Exception as error:  # rocksdict raises bare Exception
            raise _error_of("open", path, error) from error
        self._write_options = cast("Any", WriteOptions())  # the stub calls its properties methods
        self._write_options.disable_wal = True
        self._write_options.no_slowdown = True

    def write(self, batch: Sequence[Write]) -> bool:
        """Apply a batch; False when RocksDB would have made us wait."""
        rows = WriteBatch(raw_mode=True)
        for key, value in batch:
            if value is None:
                rows.delete(key)
            else:
                rows.put(key, value)
        try:
            self._rocks.write(rows, self._write_options)
        except Exception as error:  # rocksdict raises bare Exception
            if str(error).startswith(_COME_BACK):
                return False
            raise _error_of("write", self.path, error) from error
        return True

    def flush(self) -> None:
        """Write the memtable out and wait for it."""
        try:
            self._rocks.flush(wait=True)
        except Exception as error:  # rocksdict raises bare Exception
            raise _error_of("flush", self.path, error) from error

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
        try:
            yield from self._rocks.items(from_key=prefix, read_opt=options)
        except Exception as error:  # rocksdict raises bare Exception
            raise _error_of("read", self.path, error) from error

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        try:
            self._rocks.close()
        except DbClosedError:
            return

    def _get(self, key: Any) -> Any:
        """Return a value, or those of a list of keys."""
        try:
            return self._rocks.get(key)
        except Exception as error:  # rocksdict raises bare Exception
            raise _error_of("read", self.path, error) from error


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
