"""`opportune init`: what it writes is checked, tested and run as it stands."""

import json
import time
from pathlib import Path

import pytest

from engine.commands import main


def test_what_init_writes_is_checked_tested_and_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["init"]) == 0
    assert main(["check"]) == 0
    assert main(["test"]) == 0
    now_s = int(time.time())
    lines = [{"type": "profile", "msisdn": 8613800000001, "time": stamp(now_s - 10), "name": "Li"}] + [
        {"type": "call", "msisdn": 8613800000001, "time": stamp(now_s - 9 + i), "kind": "long_distance"}
        for i in range(3)
    ]
    (tmp_path / "inbox" / "day.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["run", "--drain", "--quiet"]) == 0

    capsys.readouterr()
    sent = [json.loads(line) for line in (tmp_path / "spool" / "out.ndjson").read_text().splitlines()]
    assert [one["text"].startswith("Dear Li, you call far away often") for one in sent] == [True]


def test_init_touches_no_folder_that_holds_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("x")

    assert main(["init", str(tmp_path)]) == 1

    said = capsys.readouterr().err
    assert said == f"opportune init: {tmp_path}: holds 'mine' already; init writes into an empty folder only\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def stamp(at_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))
