"""The preallocated file: when it is made, what a needed file costs then, and what a fault leaves of it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from state.disk import DiskFullError, RealDisk
from state.segments import Segments
from tests.fakes.disk import SimulatedDisk

FOLDER = Path("/log")
NEXT_FILE = "next.draft"
RECORD = [bytes(100)]  # 136 bytes in the file
WAIT_S = 10.0


class LazyDisk(SimulatedDisk):
    """A disk whose background does nothing by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[Callable[[], None]] = []

    def later(self, task: Callable[[], None]) -> None:
        """Keep the task."""
        self.tasks.append(task)


class PromptDisk(RealDisk):
    """The real disk, its background done at once."""

    def later(self, task: Callable[[], None]) -> None:
        """Do the task."""
        task()


def written_part(path: Path) -> float:
    """Return the share of a file up to its first block that was reserved and never written."""
    handle = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(handle).st_size
        return os.lseek(handle, 0, os.SEEK_HOLE) / size if size else 0.0
    finally:
        os.close(handle)


def test_a_log_that_hardly_grows_preallocates_nothing() -> None:
    disk = SimulatedDisk()
    segments = Segments(FOLDER, disk, segment_bytes=1 << 16)
    for _ in range(10):
        segments.append(RECORD, 0)
    assert NEXT_FILE not in disk.names(FOLDER)


def test_the_next_file_is_written_when_the_present_one_is_half_full_and_only_renamed_when_it_is_full() -> None:
    steps: list[tuple[str, str]] = []
    disk = SimulatedDisk(on_step=lambda operation, path: steps.append((operation, path.name)))
    segments = Segments(FOLDER, disk, segment_bytes=4096)
    for _ in range(16):
        segments.append(RECORD, 0)
    assert sum(step == ("write", NEXT_FILE) for step in steps) == 1 + 8  # the first in a hurry, the next in strides
    while segments.next_position < 30:
        segments.append(RECORD, 0)
    steps.clear()
    segments.append(RECORD, 0)
    first, second = f"{0:020d}.seg", f"{30:020d}.seg"
    assert [step for step in steps if step != ("write", NEXT_FILE)] == [
        ("truncate", first), ("sync", first), ("rename", NEXT_FILE), ("sync folder", FOLDER.name), ("write", second),
    ]  # fmt: skip
    assert ("write", NEXT_FILE) not in steps


def test_each_file_is_twice_as_long_as_the_one_before_up_to_the_bound() -> None:
    lengths: dict[str, int] = {}
    disk = SimulatedDisk()
    segments = Segments(FOLDER, disk, segment_bytes=4 << 20)
    while len(lengths) < 5:
        segments.append([bytes(100_000)], 0)
        last = [name for name in disk.names(FOLDER) if name != NEXT_FILE][-1]
        lengths.setdefault(last, disk.open(FOLDER / last, writable=False).size())
    assert [length >> 20 for length in lengths.values()] == [1, 2, 4, 4, 4]


def test_the_file_in_use_has_no_block_that_is_only_reserved(tmp_path: Path) -> None:
    segments = Segments(tmp_path, PromptDisk(), segment_bytes=4 << 20)
    written: dict[Path, float] = {}
    while len(written) < 4:
        segments.append([bytes(100_000)], 0)
        last = max(tmp_path.glob("*.seg"))
        written.setdefault(last, written_part(last))
    segments.close()
    assert list(written.values()) == [1.0] * 4


def test_the_next_file_is_written_while_nobody_waits(tmp_path: Path) -> None:
    segments = Segments(tmp_path, segment_bytes=4 << 20)
    for _ in range(6):
        segments.append([bytes(100_000)], 0)
    ends = time.monotonic() + WAIT_S
    while not (tmp_path / NEXT_FILE).exists() or written_part(tmp_path / NEXT_FILE) < 1.0:
        assert time.monotonic() < ends
        time.sleep(0.01)
    segments.close()
    assert (tmp_path / NEXT_FILE).stat().st_size == 2 << 20


def test_a_file_needed_before_it_is_written_is_taken_as_it_is() -> None:
    disk = LazyDisk()
    segments = Segments(FOLDER, disk, segment_bytes=4096)
    for _ in range(16):
        segments.append(RECORD, 0)
    assert len(disk.tasks) == 1
    for _ in range(15):
        segments.append(RECORD, 0)
    disk.tasks.pop()()
    assert [record.position for record in segments.read(0)] == list(range(31))
    assert disk.names(FOLDER) == [f"{0:020d}.seg", f"{30:020d}.seg"]


def test_no_room_for_the_next_file_stops_nothing_until_it_is_needed() -> None:
    disk = SimulatedDisk(capacity_bytes=5000)
    segments = Segments(FOLDER, disk, segment_bytes=4096)
    for _ in range(30):
        segments.append(RECORD, 0)
    assert NEXT_FILE not in disk.names(FOLDER)
    with pytest.raises(DiskFullError):
        segments.append(RECORD, 0)
    assert NEXT_FILE not in disk.names(FOLDER)
    disk.capacity_bytes = None
    assert segments.append(RECORD, 0) == 30
    assert len(list(segments.read(0))) == 31


def test_a_preallocated_file_left_by_a_crash_is_removed_at_the_next_start() -> None:
    disk = SimulatedDisk()
    segments = Segments(FOLDER, disk, segment_bytes=4096)
    for _ in range(20):
        segments.append(RECORD, 0)
    segments.close()
    assert NEXT_FILE in disk.names(FOLDER)
    again = Segments(FOLDER, disk, segment_bytes=4096)
    assert NEXT_FILE not in disk.names(FOLDER)
    assert again.next_position == 20
