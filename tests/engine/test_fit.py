"""A configuration that does not fit its book is told so with file, line and column, before a feed shows it."""

from pathlib import Path

import pytest

from engine.commands import main
from engine.settings.compatibility import check_compatibility
from engine.settings.reading import ConfigErrors, load_config
from rules.load import load_text
from tests.engine.world import BOOK

FITS = """[gateways.spool]
kind = "spool"
folder = "spool"
[channels.sms]
gateway = "spool"
[channels.alert]
gateway = "spool"
"""


def said(folder: Path, text: str) -> list[str]:
    """What is wrong with a configuration for the book; the file's folder is left out."""
    path = folder / "config.toml"
    path.write_text(text)
    try:
        check_compatibility(load_config(path), path, load_text({"book.toml": BOOK}))
    except ConfigErrors as errors:
        return [fault.removeprefix(f"{folder}/") for fault in errors.faults]
    return []


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (
            '[[sources.http]]\nname = "posts"\nmapping.types = { CALL = "cal" }\n',
            "config.toml:10:17: source 'posts', mapping.types: event type 'cal' is not in the book",
        ),
        (
            '[[sources.tcp]]\nname = "lines"\nport = 0\n[sources.tcp.mapping]\nrename = { k = "kid" }\n',
            "config.toml:12:10: source 'lines', mapping.rename: no event type has a field 'kid' (for 'k')",
        ),
        (
            '[channels.smss]\ngateway = "spool"\n',
            "config.toml:8:2: channels.smss: the book has no such channel; did you mean `sms`?",
        ),
        (
            '[channels.desk]\ngateway = "spool"\n',
            "config.toml:8:2: channels.desk: the book's channel is the desk's; gateway, quota and rate are never used",
        ),
        (
            "[desk]\nenabled = false\n",
            "config.toml:9:11: desk.enabled=false, but rules of the book use its desk channel 'desk'",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(tmp_path: Path, more: str, fault: str) -> None:
    assert said(tmp_path, FITS) == []
    assert said(tmp_path, FITS + more) == [fault]


def test_a_channel_that_rules_use_and_nothing_sends_is_missed(tmp_path: Path) -> None:
    assert said(tmp_path, FITS.replace("alert", "alarm")) == [
        "config.toml:1:1: channels.alert is missing: rules of the book use it, and no gateway sends it",
        "config.toml:6:2: channels.alarm: the book has no such channel; there are: sms, alert, desk",
    ]


def test_check_holds_the_book_against_the_configuration_it_is_given_or_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "book.toml").write_text(BOOK)
    assert main(["check", "book"]) == 0
    assert capsys.readouterr().out.endswith("no config.toml beside it\n")
    (tmp_path / "config.toml").write_text(FITS)
    assert main(["check", "book"]) == 0
    assert capsys.readouterr().out.endswith("config.toml fits it\n")
    (tmp_path / "other.toml").write_text("[gateways]\n")
    assert main(["check", "book", "--config", "other.toml"]) == 1
    assert "other.toml:1:1: channels.sms is missing" in capsys.readouterr().err
    assert main(["check", "book", "--config", "none.toml"]) == 1
    assert capsys.readouterr().err == "opportune check: none.toml: No such file or directory\n"
