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
    assert len(capsys.readouterr().out.splitlines()) == 18
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


TABLED = """
[book]
zone = "Asia/Shanghai"
[events.call]
fields = { kind = "string!" }
[channels.sms]
[tables.words]
file = "words.csv"
columns = { kind = "string", word = "string" }
[[rule]]
id = "any"
on = "call"
when = "true"
channels = ["sms"]
text.sms = "{said}"
[values.said]
is = "lookup('words', 'word', kind, '')"
"""


def test_a_version_is_put_back_with_its_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text('[book]\nfolder = "book"\n[http]\nenabled = false\n')
    book = tmp_path / "book"
    book.mkdir()
    (book / "a.toml").write_text(TABLED)
    for word in ("old", "new"):
        (book / "words.csv").write_text(f"kind,word\nlocal,{word}\n")
        assert main(["run", "--drain"]) == 0
    (book / "more.csv").write_text("kind\n")
    capsys.readouterr()
    assert main(["books", "list"]) == 0
    version = capsys.readouterr().out.split()[0]

    assert main(["books", "diff", version]) == 0
    assert {"-local,old", "+local,new"} <= set(capsys.readouterr().out.splitlines())
    assert main(["books", "rollback", version, "--force"]) == 0
    assert f"holds version {version} again" in capsys.readouterr().out
    assert sorted(path.name for path in book.iterdir()) == ["a.toml", "words.csv"]
    assert (book / "words.csv").read_text() == "kind,word\nlocal,old\n"
