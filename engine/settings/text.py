"""The text of config.toml: values as given, comments from the settings' own descriptions.

`render(values)` writes every setting there is. One that `values` gives stands as a line; one that is left at its
default stands commented out, so that the file is the whole reference. Lines that begin with "# " explain, lines that
begin with "#" and no space can be switched on. A kind of table that comes twice is explained the first time.

    python -m engine.settings.text config.toml      rewrites the comments, keeps the values
"""

import json
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connectors import gateways
from connectors.secret import Secret
from engine.settings.config import Config
from engine.settings.send_windows import SendWindow

WIDTH = 116

HEAD = """\
# Opportune's settings. Each line says what it is, its default and its bounds; what is commented out has its default.
# Relative paths begin at the folder of this file. Secrets are references: { env = "NAME" } or { file = "PATH" }.
"""


class ConfigWriter:
    """Collects the lines of one file and remembers which models it has explained."""

    def __init__(self) -> None:
        self.lines: list[str] = [HEAD]
        self._explained: set[type[BaseModel]] = set()

    def table(self, header: str, model: type[BaseModel], values: Mapping[str, Any], off: str = "") -> None:
        """Write one table and those within it; `off` is "#" for a table that is switched off."""
        explain = model not in self._explained
        self._explained.add(model)
        if explain:
            self.lines += _comment(_doc(model))
        self.lines.append(f"{off}{header}")
        inner: list[str] = []
        for name, info in model.model_fields.items():
            if _tables(info):
                inner.append(name)
                continue
            if name in values:
                self.lines += [*(_comment(_explain(info)) if explain else []), f"{off}{name} = {_value(values[name])}"]
            elif explain and not info.is_required():
                self.lines += [*_comment(_explain(info)), f"#{name} = {_example(info)}"]
        self.lines.append("")
        path = header.strip("[]")
        for name in inner:
            self.inner(f"{path}.{name}", model.model_fields[name], values.get(name), off, explain)

    def inner(self, path: str, info: FieldInfo, values: Any, off: str = "", explain: bool = True) -> None:
        """Write what stands at `path`: a table, an array of tables, or tables by name."""
        models = _tables(info)
        if isinstance(values, list):
            for item in values:
                self.table(f"[[{path}]]", models[0], item, off)
        elif _named(info):
            for name, item in (values or {}).items():
                self.table(f"[{path}.{name}]", _kind_of(models, item), item, off)
        elif values is not None:
            self.table(f"[{path}]", models[0], values, off)
        elif explain and not _listed(info) and models[0] not in self._explained:
            self.table(f"[{path}]", models[0], {}, "#")

    def examples(self, path: str, models: Sequence[Any], given: Mapping[str, Any]) -> None:
        """Write the example of each model whose name is not `given`, switched off."""
        for model in models:
            if model.example_name not in given:
                self.table(f"[{path}.{model.example_name}]", model, model.example, "#")


def render(values: Mapping[str, Any]) -> str:
    """Return the file that says `values`, explained."""
    writer = ConfigWriter()
    for name, info in Config.model_fields.items():
        models = _tables(info)
        title = f"# {'-' * 4} {name} {'-' * (WIDTH - len(name) - 8)}"
        writer.lines += [title, ""]
        if _named(info):
            writer.inner(name, info, values.get(name))
            if name == "gateways":
                writer.examples(name, [kind.Config for kind in gateways.kinds().values()], values.get(name, {}))
        elif any(_tables(inner) for inner in models[0].model_fields.values()) and name == "sources":
            for kind, inner in models[0].model_fields.items():
                writer.inner(f"{name}.{kind}", inner, values.get(name, {}).get(kind))
        else:
            writer.table(f"[{name}]", models[0], values.get(name, {}))
    return "\n".join(writer.lines).rstrip() + "\n"


def _tables(info: FieldInfo) -> list[type[BaseModel]]:
    """Return the models that a setting is made of; a secret counts as a value."""
    found: list[type[BaseModel]] = []
    stack: list[Any] = [info.annotation]
    while stack:
        kind = stack.pop(0)
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not Secret:
            found.append(kind)
        stack += get_args(kind)
    return found


def _named(info: FieldInfo) -> bool:
    return str(info.annotation).startswith("dict[str") and bool(_tables(info))


def _listed(info: FieldInfo) -> bool:
    return str(info.annotation).startswith("tuple[")


def _kind_of(models: Sequence[type[BaseModel]], values: Mapping[str, Any]) -> type[BaseModel]:
    """Return the member of a union that the table's `kind` chooses."""
    kinds = {
        get_args(model.model_fields["kind"].annotation)[0]: model for model in models if "kind" in model.model_fields
    }
    return kinds.get(values.get("kind"), models[0])


def _doc(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _explain(info: FieldInfo) -> str:
    default = "" if info.is_required() or _default(info) is None else f"default {_value(_default(info))}"
    notes = "; ".join(note for note in (default, _bounds(info)) if note)
    return f"{info.description}{f' {notes[0].upper()}{notes[1:]}.' if notes else ''}"


def _bounds(info: FieldInfo) -> str:
    found = {name: getattr(rule, name) for rule in info.metadata for name in _BOUNDS if hasattr(rule, name)}
    if found.keys() >= {"ge", "le"}:
        return f"{found['ge']} to {found['le']}"
    return ", ".join(sign % found[name] for name, sign in _BOUNDS.items() if name in found)


_BOUNDS = {"ge": "at least %s", "gt": "above %s", "le": "at most %s", "lt": "below %s", "max_length": "at most %s long"}


def _default(info: FieldInfo) -> Any:
    return info.get_default(call_default_factory=True)


def _example(info: FieldInfo) -> str:
    """Return the default, or the form that a setting without one takes: a file's name, or where a secret lies."""
    default = _default(info)
    return '"PATH"' if default is None and Path in get_args(info.annotation) else _value(default)


def _value(value: Any) -> str:
    """Write a value as TOML; None, the default of secrets, as the form they take."""
    if isinstance(value, dict):
        return (
            f"{{ {', '.join(f'{_key(name)} = {_value(inner)}' for name, inner in value.items())} }}" if value else "{}"
        )
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if value is None:
        return '{ env = "NAME" }'
    if isinstance(value, Path | SendWindow):
        value = str(value)
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)


def _comment(text: str) -> Iterator[str]:
    return (f"# {line}" for line in textwrap.wrap(text, WIDTH - 2, break_on_hyphens=False, break_long_words=False))


def main(arguments: Sequence[str]) -> int:
    """Rewrite the comments of the file named."""
    path = Path(arguments[0])
    path.write_text(render(tomllib.loads(path.read_text(encoding="utf-8"))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
