"""Damaged files are found, named in one line, and never make records go missing in silence."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.flow.committer import commit
from engine.flow.datadir import DataDir, DataDirError, Fixed
from engine.flow.fold import Appended
from engine.flow.patience import Patience
from state.disk import DiskFullError
from tests.engine.conftest import Make
from tests.engine.world import BASE_MS, call, joined

BROKEN = [
    b"",
    b"{",
    b'{"format":1,"partitions":4',
    b"\0" * 60,
    b"[]",
    b'{"format":1}',
    b'{"format":1,"partitions":"4"}',
]


def made(root: Path, partitions: int) -> DataDir:
    datadir = DataDir(root)
    datadir.hold()
    datadir.fix(Fixed(partitions, 24))
    for number in range(partitions):
        datadir.log(number).mkdir(parents=True)
    return datadir


@pytest.mark.parametrize("content", [None, *BROKEN])
def test_a_data_directory_whose_record_is_missing_or_half_written_refuses_other_partitions(
    tmp_path: Path, content: bytes | None
) -> None:
    datadir = made(tmp_path, 4)
    record = tmp_path / "opportune.json"
    record.unlink() if content is None else record.write_bytes(content)

    with pytest.raises(DataDirError, match="partitions=2 must be 4, of which there are logs") as raised:
        datadir.fix(Fixed(2, 24))
    assert "\n" not in str(raised.value)
    datadir.fix(Fixed(4, 24))
    assert datadir.fixed() == Fixed(4, 24)
    datadir.release()


def test_a_format_that_cannot_be_is_one_short_line(tmp_path: Path) -> None:
    datadir = made(tmp_path, 1)
    (tmp_path / "opportune.json").write_bytes(b'{"format":999999,"partitions":1,"contacts_max":24}')

    with pytest.raises(DataDirError, match=r"format=999999 of .* must be 1"):
        datadir.fix(Fixed(1, 24))
    datadir.release()


def flip_the_last_byte(folder: Path) -> None:
    """Turn a bit of the last record of a journal."""
    path = max(folder.glob("*.seg"))
    data = bytearray(path.read_bytes())
    data[len(bytes(data).rstrip(b"\0")) - 1] ^= 1
    path.write_bytes(data)


def test_a_flipped_byte_in_the_last_entry_of_a_journal_drops_nothing_in_silence(make: Make) -> None:
    engine = make()
    engine.put("day.ndjson", joined(call(8613800000000 + n, BASE_MS + n) for n in range(1, 301)))
    engine.drain()
    records = engine.records()
    journal = max(
        (engine.data / "journal").iterdir(), key=lambda one: sum(map(len, map(Path.read_bytes, one.iterdir())))
    )
    flip_the_last_byte(journal)

    shown = engine.command("decisions")
    started = engine.command("run", "--drain", "--quiet")

    assert len(shown.out.splitlines()) < len(records)
    assert f"journal of partition {journal.name} stops early" in shown.err
    assert started.exit != 0
    assert f"journal of partition={journal.name}: records=" in started.err
    assert "does not read back as it was written" in started.err
    assert "Traceback" not in started.err


def test_a_whole_journal_says_nothing_of_an_early_end(make: Make) -> None:
    engine = make()
    engine.put("day.ndjson", joined(call(8613800000000 + n, BASE_MS + n) for n in range(1, 31)))
    engine.drain()

    assert engine.command("decisions").err == ""


class Full:
    """A write that a full disk refuses a number of times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.written: list[Any] = []

    def __call__(self, *what: Any) -> int:
        if self.left:
            self.left -= 1
            raise DiskFullError("write x: no room left on the disk")
        self.written.append(what)
        return 0


def test_a_full_disk_holds_the_journal_up_until_there_is_room(caplog: pytest.LogCaptureFixture) -> None:
    append = Full(20)
    partition = SimpleNamespace(
        log=SimpleNamespace(sync=lambda: 0),
        journal=SimpleNamespace(append=append, sync=lambda: 0, next_position=1),
        flusher=SimpleNamespace(durable=lambda *_: None),
        patience=Patience(retry_s=0.001),
    )
    decisions = SimpleNamespace(encode=lambda: b"decided")
    with caplog.at_level(logging.WARNING):
        commit(cast("Any", partition), [Appended(0, 5, 1, cast("Any", decisions), [])])

    assert append.written == [(0, [b"decided"], 5)]
    assert len(caplog.records) == 2
    assert partition.patience.fault is None


def test_a_full_disk_does_not_hold_up_an_end() -> None:
    patience = Patience(retry_s=0.001)
    patience.end()

    with pytest.raises(DiskFullError):
        patience.retry(Full(1))
