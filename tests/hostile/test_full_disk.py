"""A disk that fills under the pages alone: the database stops for good, and is opened again when there is room."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.conftest import Make
from tests.engine.engines import ROOT, wait_for
from tests.engine.world import BASE_MS, call, joined
from tests.parts.need import missing
from tests.parts.small_disk import NO_SMALL_DISK_STATUS

pytestmark = pytest.mark.parts

DISK_BYTES = 64 << 20
STORE_ON_A_SMALL_DISK = """
import os, sys
from pathlib import Path
from state.disk import DiskFullError
from state.store import RocksStore
from tests.parts.small_disk import mount_small_disk

folder = Path(sys.argv[1])
mount_small_disk(folder, 64 << 20)
store = RocksStore(folder / "pages")
kept = {}


def write(first, count):
    for number in range(first, first + count):
        key, value = b"P%08d" % number, os.urandom(3_000) if number % 7 else None
        assert store.write([(key, value)])
        kept[key] = value


def full(act):
    try:
        act()
    except DiskFullError as fault:
        assert "no room left on the disk" in str(fault)
        return True
    return False


write(0, 2_000)
store.flush()
ballast = folder / "ballast"
room = os.statvfs(folder)
with ballast.open("wb") as file:
    os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - (1 << 20))
write(1_000, 3_000)
assert full(store.flush)
assert full(store.flush)
assert full(lambda: store.write([(b"refused", b"x")]))
assert store.multi_get(list(kept)) == list(kept.values())
ballast.unlink()
write(4_000, 10)
assert store.multi_get(list(kept)) == list(kept.values())
store.flush()
store.close()
store = RocksStore(folder / "pages")
assert dict(store.scan(b"P")) == {key: value for key, value in kept.items() if value is not None}
assert store.get(b"refused") is None
"""


def test_a_store_that_met_a_full_disk_answers_meanwhile_and_has_lost_nothing_when_there_is_room(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STORE_ON_A_SMALL_DISK, str(tmp_path / "disk")],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if done.returncode == NO_SMALL_DISK_STATUS:
        missing(f"a mount of our own: {done.stderr}")
    assert done.returncode == 0, done.stderr


def test_an_engine_whose_pages_find_no_room_waits_says_so_and_goes_on(make: Make) -> None:
    engine = make(more="[state]\nrecovery_target_s = 0.01\n")
    process = engine.start(disk_bytes=DISK_BYTES, disk_at="data/pages", ready=False).process
    assert process is not None
    wait_for(lambda: engine.serves or process.exit is not None, "the engine")
    if process.exit == NO_SMALL_DISK_STATUS:
        missing(f"a mount of our own: {process.err}")
    # The small disk is mounted for the engine alone; Linux shows the files of a process as it sees them there.
    ballast = Path(f"/proc/{process.pid}/root{engine.data}/pages/ballast")
    room = os.statvfs(ballast.parent)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - 4096)

    calls = [call(8613800000001 + n % 2_000, BASE_MS + n * 10, kind="short") for n in range(80_000)]
    for number in range(8):  # a sweep takes some time of events
        engine.put(f"{number}.ndjson", joined(calls[number * 10_000 : (number + 1) * 10_000]))
    wait_for(lambda: process.exit is not None or "the flow waits" in process.err, "a full disk")
    assert process.exit is None, process.err
    time.sleep(0.6)
    ballast.unlink()
    wait_for(lambda: process.exit is not None or "the flow goes on" in process.err, "room")
    wait_for(lambda: process.exit is not None or engine.status()["events"] == 80_000, "the rest")
    assert process.exit is None, process.err
    assert "pages: no room left on the disk; the flow waits until there is room" in process.err
    assert engine.stop() == 0
    assert "Traceback" not in process.err
