"""What is read of a data directory: as much as the log has, the same whatever memory there is."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.commands import main
from engine.evidence import spill
from perf.bench_evidence import FRAME_DECISIONS, write
from state.log import Log

FRAMES = 60
SEGMENT_BYTES = 1 << 16


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, FRAMES * FRAME_DECISIONS, SEGMENT_BYTES)
    return tmp_path


def report(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[list[dict[str, Any]], str]:
    words = ["report", "--config", str(folder / "config.toml"), "--format", "ndjson", *options]
    assert main(words) == 0
    said = capsys.readouterr()
    return [orjson.loads(line) for line in said.out.splitlines()], said.err


def test_every_decision_and_outcome_is_counted_once_in_any_number_of_buckets(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,), complaints = report(folder, capsys)
    monkeypatch.setattr(spill, "BUCKET_BYTES", 1 << 15)
    assert spill.buckets_for((folder / "data" / "journal" / "0").stat().st_size + (1 << 20)) > 8

    (many,), _ = report(folder, capsys)

    assert one == many
    assert complaints == ""
    assert one["candidates"] == one["decided"] + one["held_out"] == FRAMES * FRAME_DECISIONS
    assert one["sent"] == (FRAMES - 1) * FRAME_DECISIONS * 4 // 5
    assert one["waiting"] == one["decided"] - one["sent"]
    assert one["converted_early"] > 0


def test_decisions_from_before_the_log_are_left_out_and_that_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log(folder / "data" / "log" / "0", segment_bytes=SEGMENT_BYTES)
    log.retain(FRAMES // 2, bytes_max=0)
    first = log.first_position
    log.close()
    assert 0 < first <= FRAMES // 2

    (one,), complaints = report(folder, capsys)

    assert one["candidates"] == (FRAMES - first) * FRAME_DECISIONS
    assert one["sent"] == (FRAMES - first - 1) * FRAME_DECISIONS * 4 // 5
    assert "decisions from before are left out" in complaints


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "rule,rule"], "must name, once each"),
        (["--by", "clark"], "must name, once each"),
        (["--format", "html"], "add --to-file FILE"),
        (["--terminals", "config.toml"], "must have a column `terminal`"),
    ],
)
def test_a_wrong_call_is_answered_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    write(tmp_path, FRAME_DECISIONS)
    monkeypatch.chdir(tmp_path)

    assert main(["report", *options]) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
