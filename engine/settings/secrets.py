"""The secrets of a configuration, read before anything is opened: a start fails on the first that does not serve.

Every secret must be there and not be empty. A token that callers show must have `TOKEN_BYTES_MIN` bytes, unless the
HTTP front is reached from this machine alone: then a short one is for trying things out. One that no caller can show,
because of a line end or of spaces around it, is refused as well.
"""

from collections.abc import Collection, Iterator

from pydantic import BaseModel

from connectors.access import is_loopback
from connectors.secret import TOKEN_BYTES_MIN, Secret, SecretError
from engine.settings.config import Config

SHOWN = ("token", "terminal_key")
"""Names of settings whose secret a caller can guess at."""


def check_secrets(config: Config, sections: Collection[str]) -> None:
    """Read every secret of these sections; SecretError names the setting and what its secret must be."""
    here = is_loopback(config.http.host) and not config.http.trusted_proxies
    for path, secret in secrets_of(config):
        section, name = path.split(".")[0], path.rpartition(".")[2]
        if section not in sections or _unused(config, path):
            continue
        try:
            value = secret.read(1 if here or name not in SHOWN else TOKEN_BYTES_MIN)
            if name == "token" and (value != value.strip() or not value.isprintable()):
                raise SecretError(f"{secret.place} holds a character that no header carries, or a space at an end")
        except SecretError as fault:
            raise SecretError(f"{path}: {fault}") from fault


def secrets_of(model: BaseModel, path: str = "") -> Iterator[tuple[str, Secret]]:
    """Yield every secret below a model, with the dotted path of its setting."""
    for name in type(model).model_fields:
        yield from _in(getattr(model, name), f"{path}.{name}" if path else name)


def _in(value: object, path: str) -> Iterator[tuple[str, Secret]]:
    if isinstance(value, Secret):
        yield path, value
    elif isinstance(value, BaseModel):
        yield from secrets_of(value, path)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _in(inner, f"{path}.{name}")
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from _in(inner, f"{path}.{index}")


def _unused(config: Config, path: str) -> bool:
    """Tell whether nothing reads a secret as things are set."""
    if path.startswith("desk.redis."):
        return not config.desk.enabled or config.desk.queue != "redis"
    return (path.startswith("desk.") and not config.desk.enabled) or (
        path.startswith(("http.", "desk.", "console.", "sources.http.")) and not config.http.enabled
    )
