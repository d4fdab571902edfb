"""The log gives its frames back after any crash; the journal never says more than the log."""

import random
from pathlib import Path

import numpy as np
import pytest

from state.batch import Row, from_rows
from state.disk import DamagedError, GoneError
from state.frame import Frame, FrameKind
from state.journal import Journal
from state.log import Log
from state.schema import EventType, Field, Kind, Schema, make_schema, schema_from_json, schema_to_json
from tests.fakes.disk import SimulatedDisk

LOG, JOURNAL = Path("data/log"), Path("data/journal")
ONE = make_schema((Field("name", Kind.STRING),), (EventType("call", (Field("seconds", Kind.INT, required=True),)),))
TWO = make_schema((Field("tags", Kind.SET, members=("a", "é")),), (EventType("data", (Field("bytes", Kind.FLOAT),)),))


def event_frame(schema: Schema, number: int) -> Frame:
    rows = [Row("call", 8613800000000 + i, 100 * number, {"seconds": number}) for i in range(number % 5)]
    if schema is TWO:
        rows = [Row("data", 7, 100 * number, {"bytes": number / 4})]
    return Frame(FrameKind.EVENTS, 1000 + number, from_rows(schema, rows), {"src": number})


def test_schemas_read_back_from_json_equal() -> None:
    for schema in (ONE, TWO):
        assert schema_from_json(schema_to_json(schema)) == schema


def test_frames_of_several_schemas_read_back_without_the_books_that_made_them(tmp_path: Path) -> None:
    log = Log(tmp_path, segment_bytes=4096)
    for number in range(200):
        assert log.append(event_frame(ONE if number % 3 else TWO, number)) == number
    assert log.sync() == 199
    reader = Log(tmp_path, read_only=True)
    seen = list(reader.read(50))
    assert [position for position, _ in seen] == list(range(50, 200))
    for number, frame in seen:
        want = event_frame(ONE if number % 3 else TWO, number)
        assert frame.batch is not None
        assert want.batch is not None
        assert frame.batch.schema == want.batch.schema
        assert np.array_equal(frame.batch.cells, want.batch.cells)
        assert (frame.sources, frame.append_ms) == (want.sources, want.append_ms)
    assert reader.position_at(1100) == 100
    log.retain(keep_from=100, bytes_max=0)
    with pytest.raises(GoneError):
        list(reader.read(0))
    assert len(list(reader.read(100))) == 100


def test_a_schema_that_is_missing_or_changed_is_reported_by_its_file(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append(event_frame(ONE, 3))
    log.close()
    path = tmp_path / f"{ONE.fingerprint}.schema"
    path.write_bytes(schema_to_json(TWO))
    with pytest.raises(DamagedError, match="does not read back as written"):
        list(Log(tmp_path, read_only=True).read(0))
    path.unlink()
    with pytest.raises(DamagedError, match="is missing"):
        list(Log(tmp_path, read_only=True).read(0))


def test_a_record_that_is_no_frame_is_reported_with_its_position(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append(event_frame(ONE, 3))
    log._segments.append([b"whole, and not a frame"], 5)
    with pytest.raises(DamagedError, match="position=1 is no frame: "):
        list(log.read(0))


def test_a_crash_never_leaves_a_frame_without_its_schema() -> None:
    for seed in range(60):
        disk, chance = SimulatedDisk(), random.Random(seed)
        log = Log(LOG, disk, segment_bytes=2048)
        for number in range(20):
            log.append(event_frame(chance.choice((ONE, TWO)), number))
            if chance.random() < 0.3:
                log.sync()
        disk.crash(chance)
        frames = list(Log(LOG, disk, segment_bytes=2048).read(0))
        assert all(frame.sources == {"src": position} for position, frame in frames)


def test_the_journal_knows_what_it_reached_and_finds_entries_by_log_position(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=1024)
    assert (journal.reached, journal.durable) == (-1, -1)
    for number in range(100):
        journal.append(3 * number + 2, [b"d" * number, b"e"], append_ms=1000 + number)
    assert (journal.reached, journal.durable) == (299, -1)
    assert journal.sync() == 299
    with pytest.raises(ValueError, match="reached=299 must be > 299"):
        journal.append(299, [], 0)
    for want, position in ((-1, 0), (0, 0), (2, 0), (3, 1), (150, 50), (299, 99), (300, 100)):
        assert journal.position_of(want) == position
    assert journal.position_at(1050) == 50
    journal.close()
    again = Journal(tmp_path, segment_bytes=1024)
    assert (again.reached, again.durable) == (299, 299)
    assert [(e.reached, bytes(e.payload)) for e in again.read(98)] == [(296, b"d" * 98 + b"e"), (299, b"d" * 99 + b"e")]


def test_after_a_crash_the_journal_forgets_what_the_log_lost_and_no_more() -> None:
    forgotten = 0
    for seed in range(60):
        disk, chance = SimulatedDisk(), random.Random(seed)
        log, journal = Log(LOG, disk, segment_bytes=2048), Journal(JOURNAL, disk, segment_bytes=2048)
        safe = -1
        for number in range(40):
            journal.append(log.append(event_frame(ONE, number)), [b"%d" % number], 0)
            if chance.random() < 0.2:
                log.sync()
                safe = journal.sync()
        disk.crash(chance)
        log, journal = Log(LOG, disk, segment_bytes=2048), Journal(JOURNAL, disk, segment_bytes=2048)
        forgotten += journal.forget_after(log.next_position - 1)
        assert safe <= journal.reached < log.next_position
        assert journal.durable == journal.reached
        disk.crash(chance)
        journal = Journal(JOURNAL, disk, segment_bytes=2048)
        assert [bytes(e.payload) for e in journal.read()] == [b"%d" % n for n in range(journal.reached + 1)]
    assert forgotten > 0
