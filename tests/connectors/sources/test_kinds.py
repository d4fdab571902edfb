"""Every kind of source keeps the contract of its folder."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.sources import kinds
from connectors.sources.config import SourceConfig
from connectors.sources.contract import Opening, PulledSource, ServedSource, Source, SourceError
from connectors.sources.opened import open_source, replay_config
from tests.connectors.sources.intake import KeptIntake

SETTINGS: dict[str, dict[str, Any]] = {
    "files": {"name": "in", "directory": "/nowhere"},
    "http": {"name": "in"},
    "kafka": {"name": "in", "topic": "raw"},
    "tcp": {"name": "in"},
}
SHAPES = {"files": {PulledSource}, "http": {ServedSource}, "tcp": set()}


def made(kind: str) -> SourceConfig:
    config = kinds()[kind].Config.model_validate(SETTINGS[kind])
    assert isinstance(config, SourceConfig)
    return config


def test_the_kinds_are_the_folders_that_have_settings() -> None:
    assert list(kinds()) == sorted(SETTINGS)


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_kind_is_named_as_its_folder_and_describes_its_settings(kind: str) -> None:
    model = kinds()[kind].Config

    assert model.kind == kind
    assert [name for name, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("kind", SHAPES)
def test_the_embedded_engine_opens_a_kind_by_its_shape(kind: str) -> None:
    source = open_source(made(kind), Opening(KeptIntake(), {}))

    assert isinstance(source, Source)
    assert {shape for shape in (PulledSource, ServedSource) if isinstance(source, shape)} == SHAPES[kind]
    assert source.config.name == "in"
    assert list(source.faults) == []


def test_a_kind_that_workers_read_is_refused_by_name() -> None:
    with pytest.raises(SourceError, match="source 'in' is of kind 'kafka': opportune worker reads those"):
        open_source(made("kafka"), Opening(KeptIntake(), {}))


def test_a_kind_without_a_folder_is_refused_and_the_known_ones_named() -> None:
    class Pidgeons(SourceConfig):
        kind: ClassVar = "pidgeons"

    with pytest.raises(SourceError, match="source 'in': kind='pidgeons' must be one of files, http, kafka, tcp"):
        open_source(Pidgeons(name="in"), Opening(KeptIntake(), {}))


@pytest.mark.parametrize(("kind", "deduplicated"), [("files", False), ("http", True), ("kafka", False), ("tcp", True)])
def test_replayed_lines_act_once_where_the_sources_own_do(kind: str, deduplicated: bool, tmp_path: Path) -> None:
    replay = replay_config(made(kind), tmp_path)

    assert made(kind).deduplicated is replay.deduplicated is deduplicated
    assert (replay.kind, replay.name, replay.mapping) == ("files", "in", made(kind).mapping)
