"""The audit log: a command is durable before it begins, whatever ends the process; what a crash tore hides nothing."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from connectors.audit import Act, AuditLog, Caller, read_entries

LI = Caller("li.wei", "operator", "10.1.2.3", "console")
NOON_MS = 1_796_040_000_000
"""2026-11-30T12:00:00Z."""
DYING = """
import os, signal, sys
from pathlib import Path
from connectors.audit import Act, AuditLog, Caller
audit = AuditLog(Path(sys.argv[1]), lambda: 1_796_040_000_000)
number = audit.asked(Caller("li.wei", "operator", "10.1.2.3", "console"), Act("kill", "rule first-call", "why not"))
if sys.argv[2] == "answered":
    audit.answered(number, "touched 3")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def audit(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "audit", count(NOON_MS).__next__)


@pytest.mark.parametrize(("when", "answer"), [("asked", ""), ("answered", "touched 3")])
def test_a_command_is_there_after_kill_9_and_its_answer_where_there_was_one(
    tmp_path: Path, when: str, answer: str
) -> None:
    died = subprocess.run([sys.executable, "-c", DYING, str(tmp_path / "audit"), when], check=False, cwd=Path.cwd())

    assert died.returncode == -signal.SIGKILL
    assert [(entry.act.act, entry.act.why, entry.answer) for entry in read_entries(tmp_path / "audit")] == [
        ("kill", "why not", answer)
    ]


async def test_the_answer_of_a_command_that_fails_is_its_fault(audit: AuditLog) -> None:
    with pytest.raises(KeyError):
        async with audit.of(LI, Act("pause", "rule a")):
            raise KeyError("b")
    async with audit.of(LI, Act("pause", "rule a")) as answer:
        answer.text = "touched 1"

    assert [entry.answer for entry in read_entries(audit.folder)] == ["touched 1", "failed: 'b'"]


def test_only_its_owner_reads_it(audit: AuditLog) -> None:
    audit.asked(LI, Act("pause", "rule a"))

    assert audit.folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in audit.folder.iterdir()] == [0o600]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_root_writes_is_the_engines_too(audit: AuditLog) -> None:
    os.chown(audit.folder.parent, 12_345, 12_345)
    audit.asked(LI, Act("roll back", "book 0123"))

    assert {path.stat().st_uid for path in (audit.folder, *audit.folder.iterdir())} == {12_345}


@pytest.mark.parametrize("torn", [b'{"at": 17960400', b"\x00\x00\x00", b"[]\n{}\n7\n\n", b'{"of": "x"}'])
def test_what_a_crash_tore_is_passed_over_and_the_next_line_stands_for_itself(audit: AuditLog, torn: bytes) -> None:
    audit.asked(LI, Act("pause", "rule a"))
    with next(audit.folder.iterdir()).open("ab") as file:
        file.write(torn)
    audit.answered(audit.asked(LI, Act("kill", "rule b")), "touched 0")

    assert [(entry.act.what, entry.answer) for entry in read_entries(audit.folder)] == [
        ("rule b", "touched 0"), ("rule a", ""),
    ]  # fmt: skip


def test_the_newest_come_first_through_months_and_any_number_of_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.audit.BLOCK_BYTES", 1_024)
    audit = AuditLog(tmp_path, count(NOON_MS, 64_800_000).__next__)
    for number in range(50):
        audit.asked(LI, Act("pause", f"rule {number}", "x" * (number * 10)))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-11.ndjson", "2026-12.ndjson", "2027-01.ndjson"]
    assert all(path.stat().st_size > 2 * 1_024 for path in tmp_path.glob("2026-12*"))
    assert [entry.act.what for entry in read_entries(tmp_path)] == [f"rule {number}" for number in range(49, -1, -1)]


def test_a_text_that_forges_a_line_is_a_text_and_a_long_one_is_cut(audit: AuditLog) -> None:
    forged = '"}\n{"at": 1, "id": "z", "who": "root", "role": "", "from": "", "door": "", "act": "kill", "what": ""}\n'
    audit.asked(LI, Act("pause", "rule a\u2028\x1b[2J", forged))
    audit.asked(LI, Act("pause", "rule b", "y" * 100_000))

    entries = list(read_entries(audit.folder))
    assert [(entry.caller.who, len(entry.act.why)) for entry in entries] == [("li.wei", 500), ("li.wei", len(forged))]


def test_a_command_is_run_where_the_disk_takes_no_line_and_the_line_is_written_later(audit: AuditLog) -> None:
    audit.folder.parent.mkdir(exist_ok=True)
    audit.folder.write_bytes(b"")  # no folder can be made here
    number = audit.asked(LI, Act("kill", "rule a"))
    assert audit.fault

    audit.folder.unlink()
    audit.answered(number, "touched 2")

    assert audit.fault == ""
    assert [(entry.act.act, entry.answer) for entry in read_entries(audit.folder)] == [("kill", "touched 2")]


def test_lines_of_many_threads_and_processes_stay_whole(tmp_path: Path) -> None:
    audits = [AuditLog(tmp_path, lambda: NOON_MS) for _ in range(2)]

    def write(number: int) -> None:
        one = audits[number % 2]
        one.answered(one.asked(LI, Act("pause", f"rule {number}")), f"touched {number}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(100)))

    found = {(entry.act.what, entry.answer) for entry in read_entries(tmp_path)}
    assert found == {(f"rule {number}", f"touched {number}") for number in range(100)}
    assert [path.name for path in tmp_path.iterdir()] == ["2026-11.ndjson"]
