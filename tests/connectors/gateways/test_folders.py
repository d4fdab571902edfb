"""Every kind of gateway keeps the contract of the folder."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

import connectors.gateways
from connectors.contract import Gateway, GatewayError
from connectors.gateways import open_gateway, settings_type
from connectors.gateways.config import GatewayConfig

FOLDER = Path(connectors.gateways.__file__).parent
KINDS = sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__")
SETTINGS: dict[str, dict[str, object]] = {
    "smpp": {"host": "h", "system_id": "x", "password": {"env": "P"}},
    "spool": {"folder": "/nowhere"},
    "webhook": {"url": "https://hook.example.com", "secret": {"env": "S"}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_the_same_files_as_the_others(kind: str) -> None:
    names = {path.stem for path in (FOLDER / kind).glob("*.py")}
    assert {"__init__", "config", "codec", "client", "simulator"} <= names


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_reached_through_the_registry(kind: str) -> None:
    config = TypeAdapter(settings_type()).validate_python({"kind": kind, **SETTINGS[kind]})
    gateway = open_gateway("door", config, lambda: 0)
    assert isinstance(gateway, Gateway)
    assert (gateway.name, gateway.up) == ("door", False)
    assert {"links", "links_up", "in_flight"} <= gateway.status().keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_describes_each_of_its_settings(kind: str) -> None:
    model = __import__(f"connectors.gateways.{kind}", fromlist=["Config"]).Config
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_a_secret_in_plain_text_is_refused() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(settings_type()).validate_python(
            {"kind": "smpp", "host": "h", "system_id": "x", "password": "plain"}
        )


def test_a_kind_without_a_folder_is_refused_by_name() -> None:
    with pytest.raises(GatewayError, match="gateway door: kind='pidgeon' must be one of smpp, spool, webhook"):
        open_gateway("door", GatewayConfig(kind="pidgeon"), lambda: 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_kind_is_what_its_settings_accept(kind: str) -> None:
    model = __import__(f"connectors.gateways.{kind}", fromlist=["Config"]).Config
    assert model.model_validate(model.example).kind == kind
