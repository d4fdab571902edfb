"""The HTTP reference, as an OpenAPI 3.1 document and as a page, made of the table of paths and the bodies' models.

python -m engine.serve.openapi      writes openapi.json and HTTP.md beside this module
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

from pydantic.json_schema import models_json_schema

from engine.serve.paths import PATHS, Path, Who, answers_of

FOLDER = File(__file__).parent
HEAD = """\
# The HTTP front

Made by `make openapi` of [paths.py](paths.py); [openapi.json](openapi.json) says the same to programs. The front
listens where `http.host` and `http.port` say. A bearer token is sent as `Authorization: Bearer TOKEN`. A refusal is
JSON with `error`; of the console it is a page. Besides what stands below, each path answers 500 for a fault of the
engine, and 421 where the header `Opportune-Engine` names another one. What a caller can take:
[SECURITY.md](../../SECURITY.md).
"""
DOCUMENT, PAGE = FOLDER / "openapi.json", FOLDER / "HTTP.md"
_REF = "#/components/schemas/{model}"
_SECURITY: dict[Who, list[dict[str, list[str]]]] = {
    Who.ANYBODY: [],
    Who.CONTROL: [{"control": []}],
    Who.EVENTS: [{"events": []}],
    Who.DESK: [{"desk": []}, {"terminal": []}],
    Who.CONSOLE: [{"console": []}],
}
_SCHEMES = {
    "control": {"type": "http", "scheme": "bearer", "description": "http.token"},
    "events": {"type": "http", "scheme": "bearer", "description": "token of sources.http"},
    "desk": {"type": "http", "scheme": "bearer", "description": "desk.token"},
    "terminal": {"type": "apiKey", "in": "cookie", "name": "opportune_desk_TERMINAL"},
    "console": {"type": "apiKey", "in": "cookie", "name": "opportune_console"},
}


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    every = [path for part in PATHS.values() for path in part]
    models = {path.body for path in every if path.body is not None}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for title, part in PATHS.items():
        for path in part:
            paths.setdefault(path.path, {})[path.method.lower()] = _operation(title, path)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Opportune",
            "version": "1",
            "description": "The HTTP front of an engine. See HTTP.md for the same in words.",
        },
        "servers": [{"url": "http://127.0.0.1:8080"}],
        "paths": paths,
        "components": {"schemas": schemas["$defs"], "securitySchemes": _SCHEMES},
    }


def _operation(title: str, path: Path) -> dict[str, Any]:
    named = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path.path)
    ]
    asked = [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in path.query.items()
    ]
    made: dict[str, Any] = {
        "tags": [title],
        "summary": path.text,
        "operationId": "_".join([path.method.lower(), *re.findall(r"\w+", path.path)]).replace("-", "_"),
        "security": _SECURITY[path.who],
        "parameters": [*named, *asked],
        "responses": {str(status): _answer(path, status, text) for status, text in answers_of(path).items()},
    }
    content = _content(path)
    if content:
        made["requestBody"] = {"required": True, "content": content}
    return made


def _content(path: Path) -> dict[str, Any]:
    if path.body is not None:
        return {"application/json": {"schema": {"$ref": _REF.format(model=path.body.__name__)}}}
    if path.form:
        fields = {name: {"type": "string", "description": text} for name, text in path.form.items()}
        return {"application/x-www-form-urlencoded": {"schema": {"type": "object", "properties": fields}}}
    if path.path == "/events":
        lines = {"schema": {"type": "string", "description": "one event a line"}}
        return {"application/x-ndjson": lines, "application/json": {"schema": {"type": "array", "items": {}}}}
    return {}


def _answer(path: Path, status: int, text: str) -> dict[str, Any]:
    empty = status in (204, 303)
    kind = path.kind if status < 300 or path.kind == "text/html" else "application/json"
    return {"description": text} | ({} if empty else {"content": {kind: {}}})


def page() -> str:
    """Return the reference page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield HEAD
    for title, part in PATHS.items():
        yield from ("", f"## {title}")
        for path in part:
            yield from _described(path)


def _described(path: Path) -> Iterator[str]:
    yield from ("", f"### `{path.method} {path.path}`", "", f"{path.text} Who may ask: {path.who}.")
    takes = []
    if path.body is not None:
        schema = path.body.model_json_schema()
        required = set(schema.get("required", ()))
        takes = [f"`{name}`{'' if name in required else ' (may be left out)'}" for name in schema["properties"]]
        yield from ("", f"Body, JSON: {', '.join(takes)}.")
    for what, fields in (("Form", path.form), ("Query", path.query)):
        if fields:
            yield from ("", f"{what}: {'; '.join(f'`{name}`, {text}' for name, text in fields.items())}.")
    yield from ("", "| status | |", "|--|--|")
    yield from (f"| {status} | {text} |" for status, text in answers_of(path).items())


def main() -> int:
    """Write both files."""
    DOCUMENT.write_text(json.dumps(document(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
