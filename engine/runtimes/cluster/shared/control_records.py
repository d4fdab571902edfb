"""Records of the control topic, read strictly: what each may be, and nothing else.

A version is the hash of a book's texts, 16 hex digits; a record under a version that its texts do not have is refused,
so no key of the topic can name a file of its choice, or pass one book off as another.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from rules.lineage import LOCK_FILE
from rules.load import is_book_file, version_of
from state import formats
from state.formats import NewerFormatError

ACTIVE = b"active"
ENDED = b"ended"
BOOK = b"book/"
SWITCH = b"switch/"
FORMAT = b"format"
VERSION = re.compile("[0-9a-f]{16}")

Switch = Mapping[str, str]
"""`action` (pause, resume or kill), `kind` (rule, campaign or channel) and `name`."""


@dataclass(frozen=True, slots=True)
class Published:
    """A book's texts, and the fingerprint of its schema."""

    version: str
    sources: Mapping[str, str]
    schema: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A book that nothing names any more."""

    version: str


@dataclass(frozen=True, slots=True)
class Active:
    """The version of the active book."""

    version: str


@dataclass(frozen=True, slots=True)
class Ended:
    """When books ceased to be the active one."""

    at_ms: dict[str, int]


@dataclass(frozen=True, slots=True)
class Format:
    """The format that the newest release writes."""

    number: int


@dataclass(frozen=True, slots=True)
class Switched:
    """A switch under its key."""

    key: bytes
    switch: Switch


Change = Published | Forgotten | Active | Ended | Format | Switched


def parse_control(record: Any) -> Change | None:
    """Return what a record says, None for a key that this release does not know; ValueError when it cannot be read.

    NewerFormatError when a newer release says that it writes here.
    """
    key, value = record.key, record.value
    if not isinstance(key, bytes):
        raise ValueError("the record has no key")
    if key.startswith(BOOK):
        return _book(key.removeprefix(BOOK).decode("ascii"), value)
    if key.startswith(SWITCH):
        return Switched(key, _switch(key, _object(value)))
    if key == FORMAT:
        return _format(value)
    if key == ACTIVE:
        return Active(_version(_text(value)))
    if key == ENDED:
        ended = _object(value)
        if not all(VERSION.fullmatch(version) and type(at_ms) is int for version, at_ms in ended.items()):
            raise ValueError("ended must hold a time in milliseconds for each version")
        return Ended(ended)
    return None


def _book(version: str, value: bytes | None) -> Change:
    _version(version)
    if value is None:
        return Forgotten(version)
    fields = _object(value)
    sources, schema = fields["sources"], fields["schema"]
    if not isinstance(sources, dict) or not all(isinstance(text, str) for text in sources.values()):
        raise ValueError("sources must be texts by their names")
    strange = next((name for name in sources if name != LOCK_FILE and not is_book_file(name)), None)
    if strange is not None:
        raise ValueError(f"{strange!r} is no name of a book's file")
    if not isinstance(schema, str) or not VERSION.fullmatch(schema):
        raise ValueError("schema must be 16 hex digits")
    found = version_of({name: text for name, text in sources.items() if is_book_file(name)})
    if found != version:
        raise ValueError(f"version={version} must be that of the texts, {found}")
    return Published(version, sources, schema)


def _switch(key: bytes, switch: dict[str, Any]) -> Switch:
    check_switch(switch)
    if key != SWITCH + f"{switch['kind']}/{switch['name']}".encode():
        raise ValueError("the switch must stand under its own key")
    return switch


def check_switch(switch: Mapping[str, Any]) -> None:
    """ValueError unless it pauses, resumes or kills a rule, campaign or channel."""
    words = switch.get("action"), switch.get("kind"), switch.get("name")
    if words[0] not in ("pause", "resume", "kill") or words[1] not in ("rule", "campaign", "channel"):
        raise ValueError(f"action={words[0]!r} kind={words[1]!r} is no switch")
    if not isinstance(words[2], str):
        raise ValueError(f"name={words[2]!r} must be a text")


def _format(value: bytes | None) -> Format:
    text = _text(value)
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise ValueError(f"format={text!r} must be a number")
    if int(text) > formats.NEWEST:
        raise ValueError(f"format={text} must be <= {formats.NEWEST}")
    if int(text) > formats.FORMAT:
        raise NewerFormatError("what is written in this cluster", int(text))
    return Format(int(text))


def _object(value: bytes | None) -> dict[str, Any]:
    found = orjson.loads(_text(value))
    if not isinstance(found, dict):
        raise ValueError(f"the value is {type(found).__name__}, must be an object")
    return found


def _text(value: bytes | None) -> str:
    if value is None:
        raise ValueError("the record has no value")
    return value.decode()


def _version(version: str) -> str:
    if not VERSION.fullmatch(version):
        raise ValueError(f"version={version!r} must be 16 hex digits")
    return version
