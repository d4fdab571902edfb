"""Commands for rule authors that need no data: explain, advice, and tests by name, as XML and with what they show."""

import xml.etree.ElementTree as Xml
from pathlib import Path

import pytest

from engine.commands import main

SHIPPED = str(Path(__file__).parents[2] / "rules" / "book")


def test_explain_tells_what_a_rule_asks_keeps_and_offers_its_gates_in_order_and_whom_it_meets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain", "data-burst", "--book", SHIPPED]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]

    for said in (
        "data-burst: asked on every event `data`, priority 55",
        "(burst_kb >= 10240)",
        "burst_kb: sum of data.kbytes over 10m; 56 bytes, read by 0 other rules",
        "package-used-up (priority 80) goes before it; both want channel sms",
        "1 test of the book expect it.",
    ):
        assert said in lines
    order = [next(at for at, line in enumerate(lines) if line.startswith(word)) for word in GATES]
    assert order == sorted(order)


GATES = (
    "paused:",
    "stale:",
    "eligibility:",
    "list:",
    "offer:",
    "outranked:",
    "on desk: no visit",
    "on sms: cap",
    "holdout",
)


def test_explain_lists_every_rule_and_knows_a_slip(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--book", SHIPPED]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 15
    assert main(["explain", "data-brust", "--book", SHIPPED]) == 1
    assert "did you mean `data-burst`?" in capsys.readouterr().err


def test_advice_has_an_exit_status_and_names_files_that_are_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in Path(SHIPPED).glob("*.toml"):
        (tmp_path / path.name).write_text(path.read_text().replace('home_city = "string"\n', ""))
    assert main(["check", str(tmp_path), "--lint"]) == 0
    (tmp_path / "old.toml.bak").touch()
    assert main(["check", str(tmp_path)]) == 0
    assert main(["check", str(tmp_path), "--lint"]) == 1
    assert "warning[W108]" in capsys.readouterr().out


def test_tests_are_chosen_by_words_and_written_as_xml(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["test", SHIPPED, "-k", "data-burst", "--junit", "out.xml", "--coverage"]) == 0
    out = capsys.readouterr().out
    suite = Xml.parse(tmp_path / "out.xml").getroot()

    assert int(suite.attrib["tests"]) == len(suite.findall("testcase")) > 0
    assert "left out" in out
    assert "data-burst: decided on sms, not on desk; stopped by cap" in out
    assert "spend-velocity: no test expects anything of it" in out
    assert main(["test", SHIPPED, "-k", "no such words"]) == 1
