"""Settings: config.toml explains them all, and every fault is told with place, name, value and bound."""

import re
import socket
import tomllib
from pathlib import Path

import pytest

from connectors.gateways.smpp.config import SmppConfig
from engine.settings.config import Config
from engine.settings.reading import ConfigErrors, load_config, parse_config
from engine.settings.text import main, render
from rules.load import load_book

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config.toml"

SMSC = """
[gateways.smsc]
kind = "smpp"
host = "127.0.0.1"
system_id = "me"
password = { env = "SMSC_PASSWORD" }
"""


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(text)
    return caught.value.faults


def test_the_shipped_file_is_what_the_settings_say_of_themselves() -> None:
    text = SHIPPED.read_text(encoding="utf-8")

    assert render(tomllib.loads(text)) == text, "run `make config`"


def test_every_line_that_is_commented_out_is_a_setting_at_its_default() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    switched_on = re.sub(r'^#(?=[\[\w])(?!.*(?:\{ env = "NAME" \}|"PATH"))', "", text, flags=re.MULTILINE)

    config = parse_config(switched_on)

    assert isinstance(config.gateways["smsc"], SmppConfig)
    shipped = parse_config(text)
    sections = set(Config.model_fields) - {"gateways"}
    assert {name: getattr(config, name) for name in sections} == {name: getattr(shipped, name) for name in sections}


def test_a_setting_without_a_default_shows_the_form_that_it_takes() -> None:
    front = render({}).split("\n[http]\n")[1].split("\n[")[0]
    shown = tomllib.loads("\n".join(line[1:] for line in front.splitlines() if re.match(r"#\w+ = ", line)))

    assert shown["certificate_file"] == shown["key_file"] == "PATH"
    assert shown["token"] == {"env": "NAME"}
    Config.model_validate({"http": shown})


def test_a_file_without_a_line_has_every_default() -> None:
    assert parse_config("") == Config()


def test_the_shipped_channels_are_those_of_the_shipped_book() -> None:
    config, book = load_config(SHIPPED), load_book(ROOT / "rules" / "book")

    sent = {name for name, channel in book.channels.items() if channel.kind != "desk"}
    assert set(config.channels) == sent


def test_paths_begin_at_the_folder_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "site" / "config.toml"
    path.parent.mkdir()
    path.write_text(
        '[data]\ndirectory = "d"\n[book]\nfolder = "/b"\n[[sources.files]]\nname = "in"\ndirectory = "in"\n'
        '[gateways.spool]\nkind = "spool"\nfolder = "out"\n'
    )

    config = load_config(path)

    assert config.data.directory == path.parent / "d"
    assert config.book.folder == Path("/b")
    assert config.sources.files[0].directory == path.parent / "in"
    assert config.gateways["spool"].model_dump()["folder"] == path.parent / "out"


def test_reading_opens_no_socket_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.delenv("SMSC_PASSWORD", raising=False)

    assert isinstance(parse_config(SMSC).gateways["smsc"], SmppConfig)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[data]\npartitions = 0", "config.toml:2:14: data.partitions=0 must be >= 1"),
        ("[data]\ntreads = 2", "config.toml:2:1: data.treads is no setting; did you mean `threads`?"),
        ("[dta]\n", "config.toml:1:2: dta is no setting; did you mean `data`?"),
        ("[data]\nthreads = 'two'", "config.toml:2:11: data.threads='two' must be an integer"),
        ("[data]\npartitions = true", "config.toml:2:14: data.partitions=true must be a number"),
        ("[data]\npartitions = '2'", 'config.toml:2:14: data.partitions="2" must be a number'),
        ("[http]\nenabled = 'yes'", 'config.toml:2:11: http.enabled="yes" must be true or false'),
        ("[data]\ndirectory = 3", "config.toml:2:13: data.directory=3 must be a path"),
        ("[data]\nclock = 'sun'", "config.toml:2:9: data.clock='sun' must be 'wall' or 'events'"),
        ("[data\n", "config.toml:1:6: this is not TOML"),
        ("[limits]\nbatch_events_max = 10", "config.toml:2:20: limits.batch_events_max=10 must be >= 64"),
        ("[[sources.files]]\nname = 'in'", "config.toml:1:3: sources.files.0.directory is missing"),
        (
            "[[sources.tcp]]\nname = 'in'\nmapping = { line_bytes_max = 3 }",
            "config.toml:3:30: sources.tcp.0.mapping.line_bytes_max=3 must be >= 64",
        ),
        (
            "[[sources.tcp]]\nname = 'in'\n[[sources.tcp]]\nname = 'in'",
            "source name='in' must be used once",
        ),
        (
            "[[sources.kafka]]\nname = 'calls'\ntopic = 'raw'\n[[sources.kafka]]\nname = 'visits'\ntopic = 'raw'",
            "topic='raw' must be read by one source, not by 'calls' and 'visits'; one source takes events of all types",
        ),
        ("[gateways.g]\nkind = 'smpq'", "must be a known kind: 'smpq'"),
        (SMSC + "port = 70000", "config.toml:7:8: gateways.smsc.port=70000 must be <= 65535"),
        (SMSC + "prot = 1", "gateways.smsc.prot is no setting; did you mean `port`?"),
        (
            SMSC + "[channels.sms]\ngateway = 'smcs'",
            "config.toml:8:11: channels.sms.gateway='smcs' is not declared in [gateways.*]; did you mean `smsc`?",
        ),
        (
            SMSC + "[channels.sms]\ngateway = 'smsc'\nretry_ms_min = 5000\nretry_ms_max = 100",
            "retry_ms_max=100 must be >= retry_ms_min=5000",
        ),
        (
            SMSC + "[channels.sms]\ngateway = 'smsc'\nwindows = ['mon-fri 08:00-20:00', 'mo 08:00-20:00']",
            "config.toml:9:35: channels.sms.windows.1: window='mo 08:00-20:00': days='mo' must be among",
        ),
    ],
)
def test_a_fault_is_told_with_place_name_value_and_bound(text: str, told: str) -> None:
    found = faults(text)

    assert len(found) == 1
    assert told in found[0]


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    found = faults("[http]\nport = -1\n[data]\npartitions = 0\nthreads = 0\n[lgo]\n")

    assert [fault.split(":")[1] for fault in found] == ["2", "4", "5", "6"]


def test_a_secret_written_out_is_refused_and_not_repeated() -> None:
    found = faults(SMSC.replace('{ env = "SMSC_PASSWORD" }', '"hunter2"'))

    assert "gateways.smsc.password must say where the secret lies" in found[0]
    assert "hunter2" not in found[0]


def test_rewriting_the_comments_keeps_the_values(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[data]\ndirectory = "elsewhere"\n' + SMSC + '[channels.sms]\ngateway = "smsc"\n')
    before = parse_config(path.read_text())

    main([str(path)])

    assert parse_config(path.read_text()) == before
    assert "# Fold threads" in path.read_text()
