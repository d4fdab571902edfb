"""The HTTP reference: every path that an engine serves stands in it, and nothing else does."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator

from connectors.sources.http.client import HttpSource
from engine.metrics import Metrics
from engine.runtimes.trial import add_trials
from engine.serve.controls import ReplayedBody
from engine.serve.face import Face
from engine.serve.openapi import DOCUMENT, PAGE, document, page
from engine.serve.paths import PATHS, answers_of
from engine.settings.reading import parse_config
from tests.connectors.console.world import Engine
from tests.engine.conftest import Make
from tests.engine.engines import fetch
from tests.engine.world import config


def served(tmp_path: Path) -> set[tuple[str, str]]:
    """Return method and path of every route of an engine that has all there is."""
    settings = parse_config(config())
    nobody = cast("Any", None)  # nothing is asked of them: routes are added, not called
    face = Face(settings, nobody, Metrics(), cast("Any", Desk()), tmp_path / "http.json", console=Engine())
    face.front.write("/dead/replayed", ReplayedBody, nobody)
    add_trials(face.front, settings, nobody, {}, tmp_path / "trials.ndjson", lambda: 0)
    face.front.app.router.add_routes(HttpSource(settings.sources.http[0], nobody).routes())
    found = {(route.method, route.resource.canonical) for route in face.front.app.router.routes() if route.resource}
    return {(method, path) for method, path in found if method != "HEAD"}


class Desk:
    """What the desk's routes look at when they are added."""

    config = parse_config(config()).desk


def test_every_path_that_is_served_stands_in_the_reference_and_no_other(tmp_path: Path) -> None:
    told = [(path.method, path.path) for part in PATHS.values() for path in part]

    assert len(told) == len(set(told))
    assert set(told) == served(tmp_path)


def test_the_files_are_what_the_table_makes() -> None:
    assert json.loads(DOCUMENT.read_text(encoding="utf-8")) == document()
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_document_names_what_it_has_and_its_schemas_are_schemas() -> None:
    whole = document()
    schemas, schemes = whole["components"]["schemas"], whole["components"]["securitySchemes"]
    operations = [one for path in whole["paths"].values() for one in path.values()]

    assert len({one["operationId"] for one in operations}) == len(operations)
    for one in operations:
        assert all(scheme in schemes for asked in one["security"] for scheme in asked)
        assert one["responses"]
    for text in json.dumps(whole).split('"$ref": "')[1:]:
        assert text.partition('"')[0].removeprefix("#/components/schemas/") in schemas
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "ControlBody",
            {"action": "pause", "kind": "rule", "name": "a"},
            {"action": "stop", "kind": "rule", "name": "a"},
        ),
        ("ListBody", {"list": "quiet", "member": True, "subscribers": [8613800135678]}, {"list": "quiet"}),
        ("VisitBody", {"terminal": "hall01-1", "subscriber": 8613800135678}, {"terminal": "a b"}),
    ],
)
def test_schemas_take_what_the_engine_takes_and_refuse_what_it_refuses(name: str, good: object, bad: object) -> None:
    whole = document()
    validator = Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": whole["components"]})

    assert validator.is_valid(good)
    assert not validator.is_valid(bad)


def test_whatever_an_engine_answers_stands_in_the_reference(make: Make) -> None:
    engine = make(clock="wall", more="[desk]\nclerk_opens_visits = false\n").start()
    wrong = []
    for path in [*PATHS["The engine"], *PATHS["The desk"]]:
        if path.kind == "text/event-stream":
            continue
        place = path.path.replace("{", "").replace("}", "")
        bodies = [None] if path.method != "POST" else [b"", b"\xff", b"{}", b'{"terminal": "a", "number": "1"}']
        for body in bodies:
            for kind in ("application/json", "text/plain"):
                status = fetch(engine.url + place, body, {"Content-Type": kind}, path.method)[0]
                if status not in answers_of(path):
                    wrong.append((path.method, path.path, body, kind, status))

    assert wrong == []
