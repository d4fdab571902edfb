"""Whatever a crash leaves, pages and redo together are a clean fold of the log.

A world in small: one partition, a fold that any doubled, lost or reordered event would give away, subscribers that come
and go between memory and sleep, books that drop features and take them up again, a store that loses its tail, a log
that loses what was not durable.
"""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest

from state import recovery
from state.columns import Table
from state.contacts import Contacts
from state.disk import DiskFullError
from state.features import ColumnSpec
from state.flusher import Flusher, Recovered
from state.page_writer import PageWriter, RedoPoint
from state.pages import PageError, Pages
from state.store import RocksStore
from tests.fakes.store import MemoryStore
from tests.state.flusher_world import (
    OLD_FINDS,
    Frame,
    Life,
    assert_clean_fold,
    random_frame,
    run_world,
)


@pytest.mark.parametrize("block", range(3))
def test_after_every_crash_pages_and_redo_are_a_clean_fold_of_the_log(block: int) -> None:
    for seed in (*range(block * 25, block * 25 + 25), *OLD_FINDS):
        try:
            run_world(seed)
        except AssertionError as error:
            raise AssertionError(f"seed={seed}: {error}") from error


def stamps_ignored(patch: pytest.MonkeyPatch) -> None:
    real = Flusher.recover

    def recover(self: Flusher) -> Recovered:
        found = real(self)
        found.slot_stamps[:] = -1
        return found

    patch.setattr(Flusher, "recover", recover)


def pages_stamped_later(patch: pytest.MonkeyPatch) -> None:
    real = Pages.pack
    patch.setattr(Pages, "pack", lambda self, pages, position, stamps: real(self, pages, position + 1, stamps))


def pages_written_before_they_are_durable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PageWriter, "_ready", lambda self: bool(self._jobs))


def redo_from_the_end_of_the_sweep(patch: pytest.MonkeyPatch) -> None:
    real = PageWriter.enqueue

    def enqueue(self: PageWriter, job: Any) -> None:
        if job.redo is not None:
            record = orjson.dumps((job.position + 1, orjson.loads(job.writes[0][1])[1]))
            job.redo = RedoPoint(job.position + 1, record)
            job.writes = [(job.writes[0][0], record)]
        real(self, job)

    patch.setattr(PageWriter, "enqueue", enqueue)


def slots_ahead_forgotten(patch: pytest.MonkeyPatch) -> None:
    real = Pages.pack
    patch.setattr(Pages, "pack", lambda self, pages, position, stamps: real(self, pages, position))


def new_subscribers_take_their_pages_stamp(patch: pytest.MonkeyPatch) -> None:
    real = Flusher.recover

    def recover(self: Flusher) -> Recovered:
        found = real(self)
        pages = found.slot_stamps.reshape(-1, 64)
        pages[:] = pages.max(axis=1, keepdims=True)
        self._stamps = None
        return found

    patch.setattr(Flusher, "recover", recover)


def tombstones_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "apply_tombstones", lambda *_: None)


def tombstones_outlive_the_flush_of_their_page(patch: pytest.MonkeyPatch) -> None:
    real = MemoryStore.write
    patch.setattr(
        MemoryStore, "write", lambda self, batch: real(self, [w for w in batch if w[1] is not None or w[0][:1] != b"T"])
    )


def sleepers_lose_what_was_not_flushed(patch: pytest.MonkeyPatch) -> None:
    real = Flusher.put_to_sleep
    patch.setattr(Flusher, "put_to_sleep", lambda self, slots, position: real(self, slots, position + 1))


def columns_known_by_fingerprint_alone(patch: pytest.MonkeyPatch) -> None:
    def redone(self: Life) -> None:
        self.flusher.redo_done()
        self.stamps = None

    patch.setattr(Life, "redone", redone)
    real = Life.fold

    def fold(self: Life, position: int, frame: Frame) -> None:
        if frame.book is not None:
            born = dict(self.table.keys())
            self.columns = {name: born.get(name, position) for name in frame.book} | {
                k: v for k, v in self.columns.items() if k in frame.book
            }
        real(self, position, frame)

    patch.setattr(Life, "fold", fold)


BUGS: list[Callable[[pytest.MonkeyPatch], None]] = [
    stamps_ignored,
    pages_stamped_later,
    pages_written_before_they_are_durable,
    redo_from_the_end_of_the_sweep,
    slots_ahead_forgotten,
    new_subscribers_take_their_pages_stamp,
    tombstones_forgotten,
    tombstones_outlive_the_flush_of_their_page,
    sleepers_lose_what_was_not_flushed,
    columns_known_by_fingerprint_alone,
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_each_planted_bug_is_found(bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    for seed in range(150):
        try:
            run_world(seed)
        except (AssertionError, PageError, ValueError):
            return
    pytest.fail("not found within 150 seeds")


def test_with_events_coming_steadily_redo_stays_within_the_recovery_target() -> None:
    """Events behind `redo_from` never cost more than the target leaves after loading, whatever a frame carries."""
    for rows in (7, 100, 2000):
        table, contacts = Table(64 * 40), Contacts(64 * 40, 4)
        store = MemoryStore()
        flusher = Flusher(
            0, table, contacts, store, dict, recovery_target_s=1.5, fold_events_s=20_000, load_subscribers_s=5_000
        )
        flusher.recover()
        slots = np.zeros(2500, np.int32)
        table.lookup(np.arange(1, 2501), slots, 0)
        folded, furthest = 0, 0
        for position in range(200_000 // rows):
            table.lookup(np.arange(1, 2501)[folded % 2000 : folded % 2000 + 500], slots, position)
            folded += rows
            flusher.step(position, flusher.pages_due(position, folded))
            flusher.durable(position)
            flusher.pump()
            furthest = max(furthest, folded - flusher.redo_from * rows)
        assert flusher.sweeps >= 9
        assert furthest <= (1.5 - 2500 / 5_000) * 20_000 + 2 * rows


@pytest.mark.parametrize(("rows", "frame_s"), [(25, 0.0006), (100, 0.01), (2000, 0.05)])
def test_redo_stays_within_the_recovery_target_where_a_frame_costs_more_than_its_events_are_said_to(
    rows: int, frame_s: float
) -> None:
    """Ten thousand events a second in frames of 25: each frame costs what six hundred events of a large one do."""
    table, contacts = Table(64 * 40), Contacts(64 * 40, 4)
    flusher = Flusher(0, table, contacts, MemoryStore(), dict, recovery_target_s=2.0, fold_events_s=1_000_000)
    flusher.recover()
    slots = np.zeros(500, np.int32)
    furthest_s, frames = 0.0, int(30 / frame_s)
    for position in range(frames):
        table.lookup(np.arange(1, 501), slots, position)
        flusher.step(position, flusher.pages_due(position, (position + 1) * rows, (position + 1) * frame_s))
        flusher.durable(position)
        flusher.pump()
        furthest_s = max(furthest_s, (position + 1 - flusher.redo_from) * frame_s)

    assert flusher.sweeps >= 10
    assert 1.0 < furthest_s <= 2.0 + frame_s


def test_a_finished_flusher_leaves_nothing_to_redo() -> None:
    store = MemoryStore()
    life = Life(store, 100)
    life.recover()
    life.redone()
    chance, log = random.Random(5), []
    for position in range(40):
        log.append(random_frame(chance, position))
        life.fold(position, log[-1])
        life.flusher.step(position, position % 2)
    life.flusher.finish(39)
    life.flusher.durable(39)
    life.flusher.close(drain=True)
    nothing: Any = SimpleNamespace(randint=lambda *_: 0)
    store.crash(nothing)  # it keeps nothing that was not flushed
    again = Life(store, 100)
    assert again.recover() == 40
    again.redone()
    assert_clean_fold(again, log)


def test_the_writer_thread_carries_everything_into_rocksdb_and_back(tmp_path: Path) -> None:
    """Also while the store asks to come back later, which every third batch does here."""

    class Reluctant(RocksStore):
        calls = 0

        def write(self, batch: Sequence[tuple[bytes, bytes | None]]) -> bool:
            self.calls += 1
            return self.calls % 3 != 0 and super().write(batch)

    chance, log = random.Random(9), []
    store: RocksStore = Reluctant(tmp_path / "store")
    life = Life(store, 100)
    life.recover()
    life.redone()
    life.flusher.start()
    for position in range(150):
        log.append(random_frame(chance, position))
        life.fold(position, log[-1])
        life.flusher.step(position, 1)
        life.flusher.durable(position)
    life.flusher.finish(149)
    life.flusher.durable(149)
    while life.flusher.redo_from < 150:
        time.sleep(0.005)
    assert life.flusher.queued_bytes == 0
    life.flusher.close()
    store.close()
    store = RocksStore(tmp_path / "store")
    again = Life(store, 100)
    assert again.recover() == 150
    again.redone()
    assert again.flusher.sleeping == life.flusher.sleeping > 0
    assert_clean_fold(again, log)
    store.close()


def test_a_writer_that_failed_says_so_at_the_next_step_and_at_the_end() -> None:
    class Full(MemoryStore):
        def write(self, batch: Sequence[tuple[bytes, bytes | None]]) -> bool:
            raise DiskFullError("write store: no room left on the disk")

    life = Life(Full(), 100)
    life.recover()
    life.fold(0, Frame([(1, 5)], ("a",)))
    life.flusher.start()
    life.flusher.step(0, 1)
    life.flusher.durable(0)
    thread = life.flusher._writer._thread
    assert thread is not None
    thread.join(10)
    with pytest.raises(DiskFullError, match="no room left"):
        life.flusher.step(0, 0)
    with pytest.raises(DiskFullError, match="no room left"):
        life.flusher.close()


def test_a_table_too_small_for_what_is_stored_is_refused_with_both_numbers() -> None:
    store = MemoryStore()
    flusher = Flusher(0, Table(640), Contacts(640, 4), store, dict)
    flusher.recover()
    slots = np.zeros(600, np.int32)
    flusher._table.lookup(np.arange(1, 601), slots, 0)
    flusher.finish(0)
    flusher.durable(0)
    flusher.pump()
    small = Flusher(0, Table(128), Contacts(128, 4), store, dict)
    with pytest.raises(PageError, match="room for subscribers=128 must be >= 192"):
        small.recover()


def test_partitions_share_a_store_without_seeing_each_other() -> None:
    store = MemoryStore()
    flushers = [Flusher(number, Table(64), Contacts(64, 4), store, lambda: {"a": 1}) for number in (0, 1, 256)]
    for number, flusher in enumerate(flushers):
        flusher.recover()
        slots = np.zeros(9, np.int32)
        flusher._table.lookup(np.arange(1, 10) + 100 * number, slots, 0)
        flusher.put_to_sleep(slots[:4], 0)
        flusher.finish(0)
        flusher.durable(0)
        flusher.pump()
    for number, partition in enumerate((0, 1, 256)):
        table = Table(64)
        again = Flusher(partition, table, Contacts(64, 4), store, dict)
        assert again.recover().snapshot == {"a": 1}
        assert sorted(table.subs[table.subs > 0]) == list(range(5 + 100 * number, 10 + 100 * number))
        assert again.sleeping == 4


def test_a_column_that_was_widened_between_two_flushes_keeps_the_rows_of_both() -> None:
    store = MemoryStore()
    narrow, wide = [ColumnSpec("int32", 8)], [ColumnSpec("int32", 16)]
    table, flusher = blank(store)
    table.ensure(("lists", 0), narrow)
    slots = np.empty(128, np.int32)
    table.lookup(np.arange(1, 129), slots, 0)
    table.columns(("lists", 0))[0][slots, 0] = slots + 100
    flush(flusher, 0)
    table.ensure(("lists", 0), wide)
    table.lookup(np.array([128]), slots[:1], 1)  # the second page alone is written in the new width
    table.columns(("lists", 0))[0][127, 9] = 7
    flush(flusher, 1)
    table, _ = blank(store)
    column = table.columns(("lists", 0))[0]
    assert column[:128, 0].tolist() == list(range(100, 228))
    assert column[127, 9] == 7


def blank(store: MemoryStore) -> tuple[Table, Flusher]:
    """A partition just started, nothing to redo."""
    table = Table(256)
    flusher = Flusher(0, table, Contacts(256, 4), store, dict)
    flusher.recover()
    flusher.redo_done()
    return table, flusher


def flush(flusher: Flusher, position: int) -> None:
    flusher.step(position, 256)
    flusher.durable(position)
    flusher.pump()
