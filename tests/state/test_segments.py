"""Records survive what was promised, and nothing else is taken for a record."""

import random
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.disk import DamagedError, DiskError, DiskFullError, GoneError, LockedError, RealDisk
from state.segments import Segments
from tests.fakes.disk import SimulatedDisk

FOLDER = Path("log")


def payload(position: int, length: int) -> bytes:
    return random.Random(position).randbytes(length)


def fill(segments: Segments, lengths: list[int]) -> None:
    for length in lengths:
        position = segments.next_position
        segments.append([payload(position, length)], append_ms=1000 + position)


def read_all(segments: Segments, start: int | None = None) -> list[tuple[int, int, bytes]]:
    first = segments.first_position if start is None else start
    return [(record.position, record.append_ms, bytes(record.payload)) for record in segments.read(first)]


def expected(lengths: list[int], start: int = 0) -> list[tuple[int, int, bytes]]:
    return [(p, 1000 + p, payload(p, n)) for p, n in enumerate(lengths)][start:]


Place = tuple[RealDisk | SimulatedDisk, Path]


@pytest.fixture(params=["real", "simulated"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return (RealDisk(), tmp_path / "log") if request.param == "real" else (SimulatedDisk(), FOLDER)


def test_records_read_back_from_any_position_over_many_files(place: Place) -> None:
    disk, folder = place
    lengths = [0, 1, 7, 8, 9, 300, 5000, 64] * 40
    segments = Segments(folder, disk, segment_bytes=4096)
    fill(segments, lengths)
    assert segments.sync() == len(lengths) - 1
    assert len(disk.names(folder)) > 10
    for start in (0, 1, 63, 64, 65, 200, len(lengths) - 1, len(lengths)):
        assert read_all(segments, start) == expected(lengths, start)
    segments.close()
    again = Segments(folder, disk, segment_bytes=4096)
    assert (again.next_position, again.durable) == (len(lengths), len(lengths) - 1)
    assert read_all(again) == expected(lengths)
    fill(again, [10])
    assert read_all(again) == expected([*lengths, 10])


def test_a_record_larger_than_the_read_window_reads_back(tmp_path: Path) -> None:
    segments = Segments(tmp_path, segment_bytes=1 << 16)
    fill(segments, [10, 5 << 20, 10, 9 << 20])
    assert read_all(segments) == expected([10, 5 << 20, 10, 9 << 20])
    segments.close()
    assert read_all(Segments(tmp_path)) == expected([10, 5 << 20, 10, 9 << 20])


def test_a_reader_that_comes_back_goes_on_where_it_was(place: Place) -> None:
    disk, folder = place
    lengths = [9, 300, 0, 5000, 64] * 30
    segments = Segments(folder, disk, segment_bytes=4096)
    found: list[tuple[int, int, bytes]] = []
    for at in range(0, len(lengths), 3):
        fill(segments, lengths[at : at + 3])
        found += read_all(segments, len(found))
    assert found == expected(lengths)


def test_a_reader_that_comes_back_after_a_cut_finds_what_was_written_since(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    fill(segments, [100, 200, 300])
    assert len(read_all(segments)) == 3
    segments.sync()
    segments.cut(2)
    fill(segments, [7, 5])
    assert read_all(segments, 3) == expected([100, 200, 7, 5], 3)


def test_a_second_appender_is_refused_with_the_holders_process(tmp_path: Path) -> None:
    held = Segments(tmp_path)
    with pytest.raises(LockedError, match=r"is held by process \d+"):
        Segments(tmp_path)
    held.close()
    Segments(tmp_path).close()


def test_a_reader_beside_the_appender_sees_what_was_appended_and_cuts_nothing(tmp_path: Path) -> None:
    segments = Segments(tmp_path, segment_bytes=1024)
    reader = Segments(tmp_path, read_only=True)
    lengths: list[int] = []
    for step in range(30):
        fill(segments, [100 + step] * 7)
        lengths += [100 + step] * 7
        assert read_all(reader, 0) == expected(lengths)
        assert reader.next_position == len(lengths)
    with pytest.raises(DiskError, match="for reading only"):
        reader.append([b"x"], 1)
    segments.retain(keep_from=100, bytes_max=0)
    with pytest.raises(GoneError, match=r"position=0 must be >= \d+"):
        read_all(reader, 0)
    assert read_all(reader, 100) == expected(lengths, 100)


def test_retention_never_passes_the_position_to_keep(place: Place) -> None:
    disk, folder = place
    segments = Segments(folder, disk, segment_bytes=1024)
    fill(segments, [100] * 100)
    assert segments.retain(keep_from=0, bytes_max=0) == 0
    assert segments.retain(keep_from=50) == 0
    segments.retain(keep_from=50, older_than_ms=1020)
    assert 10 < segments.first_position <= 20
    segments.retain(keep_from=50, keep_ms=1035, bytes_max=0)
    assert 25 < segments.first_position <= 35
    segments.retain(keep_from=50, bytes_max=0)
    assert 40 < segments.first_position <= 50
    segments.retain(keep_from=1000, bytes_max=0)
    assert segments.first_position < segments.next_position == 100
    assert read_all(segments, 99) == expected([100] * 100, 99)


def test_retention_keeps_the_last_record_when_the_file_begun_behind_it_is_empty() -> None:
    def refuse(operation: str, path: Path) -> None:
        if operation == "write" and path.name == f"{10:020d}.seg":
            raise DiskFullError("no room")

    disk, folder = SimulatedDisk(on_step=refuse), Path("/log")
    segments = Segments(folder, disk, segment_bytes=10 * 136)
    fill(segments, [100] * 10)
    with pytest.raises(DiskFullError):
        fill(segments, [100])
    assert segments.retain(keep_from=10, bytes_max=0) == 0
    assert read_all(segments, 9) == expected([100] * 10, 9)


def test_a_time_finds_the_first_record_appended_then(place: Place) -> None:
    disk, folder = place
    segments = Segments(folder, disk, segment_bytes=1024)
    assert segments.position_at(0) == 0
    for position in range(100):
        segments.append([bytes(50)], append_ms=1000 + position // 3 * 10)
    for at_ms in (0, 999, 1000, 1001, 1010, 1155, 1330, 1331, 9999):
        want = next((p for p in range(100) if 1000 + p // 3 * 10 >= at_ms), 100)
        assert segments.position_at(at_ms) == want


def test_a_full_disk_leaves_the_log_as_it_was_and_it_goes_on_when_there_is_room() -> None:
    disk = SimulatedDisk(capacity_bytes=3000)
    segments = Segments(FOLDER, disk, segment_bytes=1024)
    with pytest.raises(DiskFullError, match="no room left"):
        fill(segments, [100] * 100)
    lengths = [100] * segments.next_position
    assert 10 < len(lengths) < 30
    with pytest.raises(DiskFullError):
        fill(segments, [100])
    assert read_all(segments) == expected(lengths)
    disk.capacity_bytes = None
    fill(segments, [100, 200])
    assert read_all(segments) == expected([*lengths, 100, 200])
    segments.close()
    assert read_all(Segments(FOLDER, disk)) == expected([*lengths, 100, 200])


def test_after_a_failed_sync_nothing_is_appended_any_more() -> None:
    armed = False

    def fail(operation: str, path: Path) -> None:
        if armed and operation == "sync":
            raise DiskError(f"fdatasync {path}: Input/output error")

    segments = Segments(FOLDER, SimulatedDisk(on_step=fail), segment_bytes=4096)
    fill(segments, [10])
    armed = True
    with pytest.raises(DiskError, match="Input/output"):
        segments.sync()
    armed = False
    with pytest.raises(DiskError, match="takes no more records after: fdatasync"):
        fill(segments, [10])


@pytest.mark.parametrize("where", ["header", "payload", "length"])
def test_rot_in_a_durable_record_is_reported_with_its_place_and_not_cut(where: str) -> None:
    disk = SimulatedDisk()
    segments = Segments(FOLDER, disk, segment_bytes=4096)
    for _ in range(10):
        fill(segments, [100])
        segments.sync()
    segments.close()
    offset = 5 * 136 + {"header": 8, "payload": 60, "length": 2}[where]
    disk.damage(FOLDER / f"{0:020d}.seg", offset)
    with pytest.raises(DamagedError, match="position=5 at offset=680 was durable"):
        Segments(FOLDER, disk)
    assert len(disk.names(FOLDER)) == 1


def test_rot_in_a_sealed_file_is_reported_when_it_is_read() -> None:
    disk = SimulatedDisk()
    segments = Segments(FOLDER, disk, segment_bytes=1024)
    fill(segments, [100] * 50)
    disk.damage(FOLDER / f"{0:020d}.seg", 300)
    with pytest.raises(DamagedError, match="position=2 does not read back"):
        read_all(segments)
    segments.close()
    disk.damage(FOLDER / f"{0:020d}.seg", 8)
    with pytest.raises(DamagedError, match="position=0 does not read back"):
        Segments(FOLDER, disk)


def test_cut_forgets_the_last_records_durably_and_their_positions_are_used_again() -> None:
    disk = SimulatedDisk()
    segments = Segments(FOLDER, disk, segment_bytes=1024)
    fill(segments, [100] * 50)
    segments.sync()
    for keep in (50, 49, 30, 14, 7, 0):
        segments.cut(keep)
        assert (segments.next_position, segments.durable) == (min(keep, 50), min(keep, 50) - 1)
        disk.crash(random.Random(keep))
        segments = Segments(FOLDER, disk, segment_bytes=1024)
        assert read_all(segments) == expected([100] * keep)
    fill(segments, [10, 20])
    assert read_all(segments) == expected([10, 20])


class CrashedError(Exception):
    """The simulated machine lost power."""


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    segment_bytes=st.sampled_from([600, 2048, 1 << 16]),
    lives=st.lists(st.integers(1, 60), min_size=1, max_size=6),
)
def test_whatever_was_synced_survives_every_crash_and_what_is_read_was_appended(
    seed: int, segment_bytes: int, lives: list[int]
) -> None:
    """After a crash at any step: a dense run from 0, at least to the durable position, each record as appended."""
    chance = random.Random(seed)
    countdown = 0

    def crash_soon(operation: str, path: Path) -> None:
        nonlocal countdown
        countdown -= 1
        if countdown < 0:
            raise CrashedError

    disk = SimulatedDisk(on_step=crash_soon)
    written: dict[int, bytes] = {}
    durable = -1
    for countdown in lives:  # noqa: B007 -- counted down by crash_soon
        try:
            segments = Segments(FOLDER, disk, segment_bytes=segment_bytes)
            found = read_all(segments)
            assert [p for p, _, _ in found] == list(range(len(found)))
            assert len(found) > durable
            assert all(written[p] == data for p, _, data in found)
            durable = segments.durable
            assert durable == len(found) - 1
            while True:
                data = chance.randbytes(chance.choice((0, 3, 40, 400, 3000)))
                written[segments.next_position] = data
                segments.append([data[:7], data[7:]], 0)
                if chance.random() < 0.3:
                    durable = segments.sync()
                    assert durable == segments.next_position - 1
        except CrashedError:
            disk.crash(chance)
    disk.on_step = None
    found = read_all(Segments(FOLDER, disk))
    assert len(found) > durable
    assert all(written[p] == data for p, _, data in found)


def test_the_simulation_finds_a_sync_that_does_nothing() -> None:
    """A planted bug: were syncs of the log forgotten, a crash would lose acknowledged records within 50 seeds."""
    lost = 0
    for seed in range(50):
        disk = SimulatedDisk(forgetful=lambda path: path.suffix == ".seg")
        segments = Segments(FOLDER, disk, segment_bytes=4096)
        fill(segments, [100] * 10)
        segments.sync()
        disk.crash(random.Random(seed))
        lost += Segments(FOLDER, disk).next_position < 10
    assert lost > 0


def test_one_thread_appends_while_another_syncs_and_nothing_promised_is_missing(tmp_path: Path) -> None:
    segments = Segments(tmp_path, segment_bytes=1 << 14)
    promised: list[tuple[int, int]] = []
    done = threading.Event()

    def commit() -> None:
        while not done.is_set():
            before = segments.next_position - 1
            promised.append((before, segments.sync()))

    thread = threading.Thread(target=commit)
    thread.start()
    fill(segments, [100, 2000, 7] * 300)
    done.set()
    thread.join()
    assert all(before <= durable <= 899 for before, durable in promised)
    assert segments.sync() == 899
    segments.close()
    assert read_all(Segments(tmp_path, read_only=True), 0) == expected([100, 2000, 7] * 300)
