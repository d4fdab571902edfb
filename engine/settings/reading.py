"""Reading config.toml: the settings, or every fault of the file at once.

    ConfigErrors(ValueError)    each fault with file:line:column, name, value and bound

Values come from `tomllib`, bounds from `engine.settings.config`, and the place of a fault from `rules.toml`, which
looks for it only then. Paths are relative to the folder of the file.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from engine.settings.config import Config
from rules.diagnostics import nearest
from rules.shape import shown
from rules.toml import Document, read_document
from state.visible import visible


class ConfigErrors(ValueError):  # noqa: N818 - it carries many errors, and its name says so
    """A configuration cannot be used; `faults` are the lines to print, in the order of their places.

    A key or a value that holds a line end makes no second line of one.
    """

    def __init__(self, faults: list[str]) -> None:
        self.faults = [visible(one) for one in faults]
        super().__init__("\n".join(self.faults))


def load_config(path: Path) -> Config:
    """Read a configuration file; ConfigErrors carries every fault, OSError says that the file cannot be read."""
    octets = path.read_bytes()
    try:
        text = octets.decode()
    except UnicodeDecodeError as fault:
        line = octets.count(b"\n", 0, fault.start) + 1
        column = fault.start - octets.rfind(b"\n", 0, fault.start)
        raise ConfigErrors([f"{path}:{line}:{column}: byte 0x{octets[fault.start]:02x} is not UTF-8"]) from fault
    config = parse_config(text.removeprefix("\ufeff").replace("\r\n", "\n"), str(path))
    return _from_folder(config, path.parent)


def parse_config(text: str, file: str = "config.toml") -> Config:
    """Read a configuration from text; paths stay as written."""
    document = read_document(file, text)
    if document.faults:
        raise ConfigErrors([f"{fault.place}: {fault.message}" for fault in document.faults])
    try:
        config = Config.model_validate(tomllib.loads(text))
    except ValidationError as error:
        faults = sorted(_faults(error, document))
        raise ConfigErrors([fault for *_, fault in faults]) from error
    mistaken = list(_other_kinds(config, document.head, (), document))
    if mistaken:
        raise ConfigErrors(mistaken)
    undeclared = list(_undeclared_gateways(config, document))
    if undeclared:
        raise ConfigErrors(undeclared)
    return config


def _from_folder(config: Config, folder: Path) -> Config:
    """Make relative paths relative to the folder of the file they stand in."""

    def moved(model: BaseModel) -> BaseModel:
        changes: dict[str, Any] = {}
        for name in type(model).model_fields:
            value = getattr(model, name)
            if isinstance(value, Path):
                changes[name] = folder / value
            elif isinstance(value, BaseModel):
                changes[name] = moved(value)
            elif isinstance(value, tuple):
                changes[name] = tuple(moved(item) if isinstance(item, BaseModel) else item for item in value)
            elif isinstance(value, dict):
                changes[name] = {k: moved(v) if isinstance(v, BaseModel) else v for k, v in value.items()}
        return model.model_copy(update=changes)

    whole = moved(config)
    assert isinstance(whole, Config)
    return whole


def _undeclared_gateways(config: Config, document: Document) -> Iterator[str]:
    for name, channel in config.channels.items():
        for path, gateway in [("gateway", channel.gateway), *(("reroute", other) for other in channel.reroute)]:
            if gateway not in config.gateways:
                place = document.place(("channels", name, path))
                known = nearest(gateway, config.gateways) or f"there are: {', '.join(config.gateways) or 'none'}"
                yield f"{place}: channels.{name}.{path}={gateway!r} is not declared in [gateways.*]; {known}"


def _faults(error: ValidationError, document: Document) -> Iterator[tuple[int, int, str]]:
    """Yield each fault as line, column and text."""
    for fault in error.errors(include_url=False):
        path = _written(document, fault["loc"])
        unknown = fault["type"] == "extra_forbidden"
        place = document.place(path, key=unknown)
        name = ".".join(str(part) for part in path)
        yield place.line, place.column, f"{place}: {_message(name, fault)}"


def _other_kinds(read: Any, written: Any, path: tuple[int | str, ...], document: Document) -> Iterator[str]:
    """Yield what was read as another kind than it was written in: `true` is no number, and a text is none either."""
    if isinstance(written, dict):
        for key, value in written.items():
            there = read.get(key) if isinstance(read, dict) else getattr(read, str(key), None)
            yield from _other_kinds(there, value, (*path, key), document)
    elif isinstance(written, list) and isinstance(read, list | tuple):
        # Not strict: what reads a list may make fewer of its elements.
        for index, (there, value) in enumerate(zip(read, written, strict=False)):
            yield from _other_kinds(there, value, (*path, index), document)
    elif type(read) in (int, float, bool) and isinstance(written, str | bool) and type(read) is not type(written):
        wanted = "true or false" if isinstance(read, bool) else "a number"
        name, value = ".".join(map(str, path)), shown(written)
        yield f"{document.place(path)}: {name}={value} must be {wanted}"


def _written(document: Document, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the path as the file has it, without the tags that pydantic puts between a union and its members."""
    path: list[int | str] = []
    value: Any = document.head
    for depth, part in enumerate(location):
        here = isinstance(value, dict) and part in value
        there = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if here or there:
            value = value[part]
        elif depth < len(location) - 1:
            continue
        path.append(part)
    return tuple(path)


def _message(name: str, fault: Any) -> str:
    kind, text = fault["type"], str(fault["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        hint = nearest(name.rpartition(".")[2], _names(fault["loc"]))
        return f"{name} is no setting" + (f"; {hint}" if hint else "")
    if kind == "missing":
        return f"{name} is missing"
    if kind == "value_error":
        return text if not name else f"{name}: {text}"
    if "instance of Secret" in text:
        return f"{name} must say where the secret lies, {{ env = ... }} or {{ file = ... }}, not what it is"
    if "Secret" in text or _NEVER_SHOWN.intersection(name.split(".")):
        return f"{name}: {text}"
    bound = text.replace("Input should be a valid", "must be a").replace("Input should be", "must be")
    bound = bound.replace("Input is not a valid path for <class 'pathlib.Path'>", "must be a path")
    bound = bound.replace("Input tag", "must be a known kind:").replace("a integer", "an integer")
    for words, sign in _SIGNS:
        bound = bound.replace(words, sign)
    return f"{name}={fault['input']!r} {bound}" if "must be" in bound else f"{name}={fault['input']!r}: {bound}"


_NEVER_SHOWN = frozenset({"password", "token", "terminal_key", "url"})
"""Settings that people write secrets into: their values are not repeated."""
_SIGNS = (
    ("greater than or equal to", ">="),
    ("less than or equal to", "<="),
    ("greater than", ">"),
    ("less than", "<"),
)


def _names(location: tuple[int | str, ...]) -> list[str]:
    """Return every setting that the section at `location` knows."""
    models: list[type[BaseModel]] = [Config]
    for part in location[:-1]:
        following = [inner for model in models for inner in _models(model, part)]
        models = following or models
    return [name for model in models for name in model.model_fields]


def _models(model: type[BaseModel], part: int | str) -> Iterator[type[BaseModel]]:
    info = model.model_fields.get(str(part))
    stack: list[Any] = [info.annotation] if info else []
    while stack:
        kind = stack.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
        stack += get_args(kind)
