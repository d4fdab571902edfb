"""Both stores keep one contract; only what a crash may take is the simulated one's own."""

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.disk import DiskError, DiskFullError, LockedError
from state.store import RocksStore, Store
from tests.fakes.store import MemoryStore

NUMBERS = itertools.count()


@pytest.fixture(params=["memory", "rocks"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "store")
    yield opened
    opened.close()


def test_a_batch_is_applied_whole_and_in_its_order(store: Store) -> None:
    assert store.write([(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"b", None), (b"c", b"")])
    assert store.multi_get([b"a", b"b", b"c", b"d", b"a"]) == [b"3", None, b"", None, b"3"]
    assert store.get(b"a") == b"3"
    assert store.get(b"b") is None
    assert store.write([])


def test_a_scan_yields_the_keys_of_its_prefix_in_order(store: Store) -> None:
    keys = [b"A\xff", b"P\x00\x01", b"P\x00\x01\x00", b"P\x00\x01\xff\xff", b"P\x00\x02", b"Q"]
    store.write([(key, key * 3) for key in random.Random(1).sample(keys, len(keys))])
    assert list(store.scan(b"P\x00\x01")) == [(key, key * 3) for key in keys[1:4]]
    assert list(store.scan(b"P")) == [(key, key * 3) for key in keys[1:5]]
    assert list(store.scan(b"Z")) == []
    store.flush()
    assert list(store.scan(b"P\x00\x01")) == [(key, key * 3) for key in keys[1:4]]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 20), st.none() | st.sampled_from([0, 1, 1023, 1024, 5000])), max_size=6),
        max_size=12,
    )
)
def test_stores_are_maps_whatever_is_written(store: Store, batches: list[list[tuple[int, int | None]]]) -> None:
    prefix = b"%06d" % next(NUMBERS)
    model: dict[bytes, bytes] = {}
    for number, batch in enumerate(batches):
        rows = [(prefix + b"%02d" % key, None if size is None else (b"%d" % number) * size) for key, size in batch]
        assert store.write(rows)
        for key, value in rows:
            model.pop(key, None)
            if value is not None:
                model[key] = value
        if number % 3 == 0:
            store.flush()
    assert dict(store.scan(prefix)) == model
    keys = [prefix + b"%02d" % key for key in range(21)]
    assert store.multi_get(keys) == [model.get(key) for key in keys]


def test_what_was_flushed_is_there_after_opening_again_and_a_second_process_is_refused(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "deep" / "store")
    store.write([(b"a", b"1" * 10_000), (b"b", b"2")])
    store.flush()
    with pytest.raises(LockedError, match="is held by another process"):
        RocksStore(tmp_path / "deep" / "store")
    store.close()
    store.close()
    again = RocksStore(tmp_path / "deep" / "store")
    assert list(again.scan(b"a")) == [(b"a", b"1" * 10_000)]
    assert again.get(b"b") == b"2"
    again.close()


def test_a_folder_that_is_no_store_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(DiskError, match=r"open .*store: "):
        RocksStore(tmp_path / "store")


class Failing:
    """A RocksDB that answers every call with the same words."""

    def __init__(self, words: str) -> None:
        self.words = words

    def property_int_value(self, _: str) -> int:
        """Nothing is held, nothing has failed."""
        return 0

    def __getattr__(self, name: str) -> Callable[..., None]:
        def fail(*_args: object, **_named: object) -> None:
            raise Exception(self.words)

        return fail


def test_what_rocksdb_reports_is_told_by_its_own_words_and_not_by_those_of_the_path(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "install" / "stall.lock")
    real, batch = store._rocks, [(b"a", b"1")]
    assert real is not None
    vars(store)["_rocks"] = Failing("Result incomplete: Write stall")
    assert store.write(batch) is False
    vars(store)["_rocks"] = Failing(f"IO error: No space left on device: While appending to file: {store.path}/1.sst")
    with pytest.raises(DiskFullError, match="no room left"):
        store.write(batch)
    vars(store)["_full"] = False  # or it would be opened again
    vars(store)["_rocks"] = Failing(f"IO error: While pread: {store.path}/1.sst: Input/output error")
    for call in (lambda: store.write(batch), store.flush, lambda: store.get(b"a"), lambda: store.multi_get([b"a"])):
        with pytest.raises(DiskError, match="Input/output error") as caught:
            call()
        assert type(caught.value) is DiskError
    with pytest.raises(DiskError, match=r"read .*Input/output error"):
        list(store.scan(b"a"))
    real.close()


def keeping(kept: int, of: int) -> Any:
    """Chance that keeps so many batches, of as many as a crash may take."""

    def randint(low: int, high: int) -> int:
        assert (low, high) == (0, of)
        return kept

    return SimpleNamespace(randint=randint)


def test_a_crash_keeps_a_prefix_of_the_batches_and_never_less_than_what_was_flushed() -> None:
    for kept in range(4):
        store = MemoryStore()
        store.write([(b"a", b"0"), (b"x", b"0")])
        store.flush()
        for number in range(1, 4):
            store.write([(b"a", b"%d" % number), (b"x", None)])
        store.crash(keeping(kept, of=3))
        assert store.get(b"a") == b"%d" % kept
        assert (store.get(b"x") is None) == (kept > 0)
        store.crash(keeping(0, of=0))
        assert store.get(b"a") == b"%d" % kept


def test_after_a_killed_process_the_store_holds_a_prefix_with_all_that_was_flushed(tmp_path: Path) -> None:
    """Batches without a flush are lost with the process, flushed ones are not: our log is the only write-ahead log."""
    script = (
        "import os, sys, pathlib; from state.store import RocksStore\n"
        "store = RocksStore(pathlib.Path(sys.argv[1]))\n"
        "for number in range(60):\n"
        "    row, old = b'row%02d' % number, b'old%02d' % (number - 1)\n"
        "    store.write([(b'a', b'%d' % number), (row, bytes(2000)), (old, None), (b'old%02d' % number, b'')])\n"
        "    if number == 40: store.flush()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "store")], check=False, env=os.environ | {"PYTHONPATH": root}
    )
    assert done.returncode == -9
    store = RocksStore(tmp_path / "store")
    last = int(store.get(b"a") or b"-1")
    assert last >= 40
    assert [key for key, _ in store.scan(b"row")] == [b"row%02d" % number for number in range(last + 1)]
    assert [key for key, _ in store.scan(b"old")] == [b"old%02d" % last]
    store.close()
