"""The Compose file, as far as it can be judged without Docker: its schema, its commands, what it mounts and opens."""

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.commands import parser_of
from engine.commands.worker import changed
from engine.settings.reading import load_config
from tests.parts.need import missing

OPERATIONS = Path(__file__).parents[2] / "engine" / "operations"
ROOT = OPERATIONS.parents[1]
FILE = OPERATIONS / "docker-compose.yml"
OURS = re.compile(r"opportune:\d+\.\d+\.\d+")
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-\w+)*@sha256:[0-9a-f]{64}")

pytestmark = pytest.mark.parts


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    if importlib.util.find_spec("check_jsonschema") is None:
        missing("check-jsonschema (.ci/setup --tests installs it)")
    from ruamel.yaml import YAML  # noqa: PLC0415 comes with check-jsonschema

    file: dict[str, Any] = YAML(typ="safe").load(FILE)
    return file


def test_the_file_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    words = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_of_ours_parses_and_its_settings_are_ours(compose: dict[str, Any]) -> None:
    ours = {name: one["command"] for name, one in compose["services"].items() if one["image"].startswith("opportune:")}
    agents = set()
    for words in ours.values():
        args = parser_of(words[:1]).parse_args(words)
        assert args.config == Path("/etc/opportune/cluster.toml")
        if words[0] == "worker":
            config = changed(load_config(OPERATIONS / args.config.name), args)
            agents |= set(config.cluster.agents)
            assert config.data.clock == "wall"
            assert str(config.data.directory).startswith("/var/lib/opportune/")
            assert config.cluster.bootstrap == ("kafka:19092",)
    assert agents == {"intake", "decide", "dispatch"}
    assert len(ours) == 4


def test_images_are_pinned_by_digest_users_are_not_root_and_ports_are_this_machine_s(compose: dict[str, Any]) -> None:
    for name, one in compose["services"].items():
        assert OURS.fullmatch(one["image"]) or PINNED.fullmatch(one["image"]), name
        assert one["user"] not in {"root", "0", "0:0"}, name
        assert all(port.startswith("127.0.0.1:") for port in one.get("ports", ())), name
        assert "healthcheck" in one, name
    images = re.findall(r"^(?:ARG BASE=|FROM )(\S+)", (OPERATIONS / "Dockerfile").read_text(), re.MULTILINE)
    assert [image for image in images if image != "${BASE}" and not PINNED.fullmatch(image)] == []


def test_every_container_has_a_read_only_file_system_no_capability_and_gains_none(compose: dict[str, Any]) -> None:
    for name, one in compose["services"].items():
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert "/tmp" in one["tmpfs"], name
        assert "cap_add" not in one, name
        assert "privileged" not in one, name


def test_kafka_lets_nobody_in_who_does_not_log_in(compose: dict[str, Any]) -> None:
    settings = compose["services"]["kafka"]["environment"]
    protocols = [one.partition(":")[2] for one in settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")]

    assert set(protocols) == {"SASL_PLAINTEXT"}
    assert settings["KAFKA_ALLOW_EVERYONE_IF_NO_ACL_FOUND"] == "false"
    assert settings["KAFKA_AUTHORIZER_CLASS_NAME"].endswith("StandardAuthorizer")
    assert load_config(OPERATIONS / "cluster.toml").cluster.sasl == "PLAIN"


def test_the_image_that_runs_holds_nothing_that_builds() -> None:
    text = (OPERATIONS / "Dockerfile").read_text()
    last = text[text.rindex("\nFROM ") :]

    assert "requirements-build" not in last
    names = {line.partition("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}
    assert not names & {"hatchling", "editables", "pip", "setuptools", "wheel", "uv"}


def test_what_is_mounted_and_named_is_there(compose: dict[str, Any]) -> None:
    volumes, secrets, configs = (set(compose[name]) for name in ("volumes", "secrets", "configs"))
    read = (OPERATIONS / "cluster.toml").read_text()
    for name, one in compose["services"].items():
        for mount in one.get("volumes", ()):
            if isinstance(mount, str):
                assert mount.partition(":")[0] in volumes, (name, mount)
            else:
                assert (OPERATIONS / mount["source"]).exists(), (name, mount)
        assert set(one.get("secrets", ())) <= secrets
        assert {config["source"] for config in one.get("configs", ())} <= configs
        assert set(one.get("depends_on", ())) <= set(compose["services"])
    assert set(re.findall(r"/run/secrets/(\w+)", read)) <= secrets
    copied = re.findall(r"^COPY (\S+)", (OPERATIONS / "Dockerfile").read_text(), re.MULTILINE)
    assert all((OPERATIONS.parents[1] / one).exists() for one in copied)


def test_what_the_image_runs_while_it_is_built_is_there() -> None:
    named = re.findall(r"from ([\w.]+) import (\w+)", (OPERATIONS / "Dockerfile").read_text())

    assert named
    assert [name for module, name in named if not hasattr(importlib.import_module(module), name)] == []
