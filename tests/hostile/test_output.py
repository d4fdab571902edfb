"""Text from outside that would draw over a terminal or forge a line: it is shown as what it is."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.seldom import EVERY_S, Seldom
from engine.commands.shared.faults import say
from engine.commands.shared.logs import LINE_CHARS_MAX, TRACE_LINES_MAX, OneLine
from engine.commands.shared.out import complain
from engine.commands.shared.out import say as say_line
from engine.commands.shared.reader import ndjson
from engine.serve.controls import RequestError
from rules.diagnostics import BookErrors
from rules.load import load_text
from state.visible import visible, visible_json, visible_lines
from tests.engine.conftest import Make
from tests.engine.engines import wait_for
from tests.engine.world import BASE_MS, call

FORGED = "quiet\x1b[2K\r\n2008-11-04 08:00:00  long-care: decided on sms\u202e\x9b31m\u2028\x00"
NUMBER = 8613800000001
BOOK = """
[book]
zone = "Asia/Shanghai"
[events.call]
fields = { kind = "string!", seconds = "int" }
[channels.sms]
[[rule]]
id = "any"
on = "call"
when = "kind != ''"
channels = ["sms"]
text.sms = "kind {kind}"
"""


@given(st.text())
def test_any_text_shows_on_one_line_without_a_control_character(text: str) -> None:
    shown = visible(text)

    assert shown.encode().decode() == shown
    assert len(shown.splitlines()) <= 1
    assert not any(
        ord(one) < 32 or 127 <= ord(one) < 160 or one in "\u200e\u200f\u202a\u202e\u2066\ufeff\ufffe\uffff"
        for one in shown
    )
    assert "\n".join(visible_lines(text).split("\n")).count("\n") == text.count("\n")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_json_that_is_made_visible_reads_back_as_it_was(text: str) -> None:
    line = visible_json(orjson.dumps({"a": text}).decode())

    assert orjson.loads(line) == {"a": text}
    assert line == visible(line, 1 << 20)


@pytest.mark.parametrize("text", ["尊敬的用户，您正在拨打长途", "😀 naïve", "a\\nb"])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_a_log_message_with_escapes_and_line_ends_is_one_line() -> None:
    record = logging.LogRecord("n", logging.INFO, "", 0, "file %s", (FORGED,), None)
    line = OneLine().format(record)

    assert "\n" not in line
    assert "\x1b" not in line
    assert r"\x1b[2K\r\n2008-11-04" in line


def test_no_line_of_a_traceback_looks_like_a_record() -> None:
    try:
        raise ValueError(
            "2008-11-04 08:00:00 INFO opportune: all is well\n2008-11-04 08:00:00 INFO opportune: forged\x1b[2J"
        )
    except ValueError as fault:
        record = logging.LogRecord("n", logging.ERROR, "", 0, "failed", (), (ValueError, fault, fault.__traceback__))
    first, *others = OneLine().format(record).split("\n")

    assert first.endswith("failed")
    assert all(line.startswith("| ") for line in others)
    assert "\x1b" not in "".join(others)


def test_a_fault_that_names_a_file_of_escapes_is_one_line() -> None:
    assert say(FileNotFoundError(2, "No such file", f"inbox/{FORGED}")).isprintable()
    assert say(RequestError(FORGED)).isprintable()


@pytest.mark.parametrize("print_", [say_line, complain])
def test_what_a_command_says_is_one_line(print_: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    print_(f"source {FORGED}: 3 lines")
    said = "".join(capsys.readouterr())

    assert said.count("\n") == 1
    assert said.rstrip("\n").isprintable()


def test_no_command_prints_a_formatted_text_that_is_not_made_visible() -> None:
    folder = Path(__file__).parents[2] / "engine" / "commands"
    raw = re.compile(r"""(?:stdout|stderr)\.write\(\s*f?["'].*\{|\bprint\(""")
    ours = {"engine/commands/__init__.py": 2}  # the version of ours, and what `say` has made visible
    found = {
        str(file.relative_to(folder.parents[1])): len(raw.findall(file.read_text(encoding="utf-8")))
        for file in folder.rglob("*.py")
    }

    assert {name: count for name, count in found.items() if count} == ours


def test_tracebacks_by_the_thousand_are_one_and_a_count(caplog: pytest.LogCaptureFixture) -> None:
    now_s = [100.0]
    seldom = Seldom(logging.getLogger("t"), lambda: now_s[0])
    for _ in range(1_000):
        try:
            raise ValueError("x" * 900_000)
        except ValueError:
            seldom.exception("%s %s failed", "POST", "/desk/visits")
    now_s[0] += EVERY_S
    seldom.error("%s %s failed", "POST", "/desk/visits")

    assert [bool(record.exc_info) for record in caplog.records] == [True, False]
    assert "999 more like this" in caplog.records[1].getMessage()
    formatted = OneLine().format(caplog.records[0])
    assert len(formatted) < (TRACE_LINES_MAX + 1) * (LINE_CHARS_MAX + 10)


def test_a_javascript_link_is_refused_by_check() -> None:
    with pytest.raises(BookErrors, match="R314"):
        load_text({"b.toml": BOOK + '\n[offers.run]\nlink = "javascript:alert(1)"\n'})


def test_an_event_of_escapes_and_line_ends_forges_no_line_of_why_decisions_or_dead(make: Make) -> None:
    engine = make(book=BOOK).start()
    assert engine.post("/events", call(NUMBER, BASE_MS, FORGED))[0] == 202
    assert (
        engine.post("/events", b'{"type":"\\u001b[2J\\nok","msisdn":"86138","time":"2008-11-04T08:00:00Z"}\n')[0] == 202
    )
    wait_for(lambda: engine.status()["dead_letters"], "the dead letter")
    printed = [
        engine.command("why", str(NUMBER)).out,
        engine.command("why", str(NUMBER), "--format", "ndjson").out,
        engine.command("decisions").out,
        engine.command("dead", "list").out,
        engine.command("dead", "list", "--format", "ndjson").out,
    ]

    for out in printed:
        assert out
        assert all(line.isprintable() for line in out.split("\n"))
        assert not any(line.startswith("2008-11-04 08:00:00  long-care") for line in out.split("\n"))
    assert r"kind = quiet\x1b[2K\r\n2008" in printed[0]
    assert orjson.loads(printed[1].splitlines()[0])["facts"]["kind"] == FORGED


def test_a_refusal_of_the_front_repeats_no_escape(make: Make) -> None:
    engine = make().start()
    order = orjson.dumps({"action": "pause", "kind": "rule", "name": FORGED})
    status, _, body = engine.post("/control", order)

    assert status == 400
    assert orjson.loads(body)["error"].isprintable()


def test_records_of_any_text_are_one_line_of_ndjson() -> None:
    assert ndjson({"a": FORGED}).count("\n") == 1


def test_files_of_a_run_are_private(make: Make) -> None:
    engine = make().start()
    assert engine.post("/events", call(NUMBER, BASE_MS))[0] == 202
    engine.post("/events", b"dead\n")
    assert engine.stop() == 0
    assert engine.command("dead", "replay").exit == 0

    below = [path for path in engine.data.rglob("*") if path.is_file()]
    assert {path.parent.name for path in below} >= {"pages", "dead", "books"}
    assert [path for path in [engine.data, *below] if path.stat().st_mode & 0o007] == []


def test_a_kernel_cache_that_others_may_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from state.jit import folder_fault  # noqa: PLC0415 numba is loaded for it

    ours = tmp_path / "ours" / "kernels"
    assert folder_fault(ours) == ""
    assert ours.stat().st_mode & 0o777 == 0o700
    for mode in (0o770, 0o702, 0o777):
        ours.chmod(mode)
        assert folder_fault(ours) == f"mode={mode:o}: others may write into it"
    ours.chmod(0o755)
    assert folder_fault(ours) == ""
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    if ours.stat().st_uid != 0:
        assert folder_fault(ours).startswith("it belongs to user")
    (tmp_path / "file").write_text("")
    assert folder_fault(tmp_path / "file") == "File exists"
