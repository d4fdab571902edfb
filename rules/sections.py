"""The named sections of a book's files, and the texts in them that mean the same in every section.

A section that is wrong is reported once, and its name remembered as `broken`, so that whatever uses it stays silent.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rules.caps import Scope as CapScope
from rules.caps import cap, cap_fault
from rules.codes import Code
from rules.expressions.tree import BUILTINS
from rules.model import Cap
from rules.shape import Faults, Shape, read_shape, salvage, type_word
from rules.spans import WINDOW_MS_MAX, duration_hint, duration_ms
from rules.toml import Document, Path

__all__ = [
    "Declared",
    "id_fault",
    "identifier_fault",
    "named_tables",
    "read_caps",
    "read_duration",
    "read_percentage",
    "read_reach",
    "sections",
]

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_ID = re.compile(r"[^\W_][\w.-]{0,63}")
_PERCENTAGE = re.compile(r"(\d{1,3})(?:\.(\d{1,4}))?%", re.ASCII)
_RESERVED = frozenset({*BUILTINS, "areas", "lists", "offer", "subscriber", "true", "false"})

S = TypeVar("S", bound=Shape)


@dataclass(frozen=True, slots=True)
class Declared(Generic[S]):
    """A section of one name, and where it stands."""

    name: str
    shape: S
    document: Document
    path: Path


def sections(
    section: str,
    model: type[S],
    documents: list[Document],
    faults: Faults,
    broken: set[str],
    name_fault: Callable[[str], str],
    essential: frozenset[str] = frozenset(),
) -> Iterator[Declared[S]]:
    """Every `[section.NAME]` of every file, well named, once.

    Of one that is not well shaped, and therefore `broken`, what is sound: one wrong key does not hide what is wrong
    with another. Without a sound value for its `essential` keys nothing can be said of it.
    """
    seen: dict[str, str] = {}
    for document, name, value in named_tables(section, documents, faults):
        path: Path = (section, name)
        if name in seen:
            message = f"`{section}.{name}` is declared twice"
            faults.add(Code.DECLARED_TWICE, document, path, message, label=f"first at {seen[name]}", key=True)
            continue
        seen[name] = document.file
        shape = read_shape(model, value, document, path, faults)
        fault = name_fault(name)
        if fault:
            faults.add(Code.BAD_NAME, document, path, fault, key=True)
        if shape is None or fault:
            broken.add(name)
        if shape is None:
            shape = salvage(model, value, {})
            if shape is not None and essential.intersection(_wrong_keys(shape, value)):
                shape = None
        if shape is not None and not fault:
            yield Declared(name, shape, document, path)


def _wrong_keys(shape: Shape, value: Any) -> set[str]:
    """The keys of a table that its shape was made without."""
    names = {field.alias or key: key for key, field in type(shape).model_fields.items()}
    return {key for key in value if names.get(key) not in shape.model_fields_set}


def named_tables(section: str, documents: list[Document], faults: Faults) -> Iterator[tuple[Document, str, Any]]:
    """Every entry of a table that may stand in every file: its document, name and value, unchecked."""
    for document in documents:
        tables = document.head.get(section, {})
        if isinstance(tables, dict):
            for name, value in tables.items():
                yield document, name, value
        else:
            message = f"`{section}` must be a table, not {type_word(tables)}"
            faults.add(Code.WRONG_SHAPE, document, (section,), message)


def read_duration(text: str, name: str, document: Document, path: Path, faults: Faults) -> int:
    """Milliseconds of a duration in the book; 0 when it is none, and then a fault is reported."""
    ms = duration_ms(text)
    if not ms:
        message = f'{name}="{text}" must be a duration > 0 such as "10m" or "30d"'
        faults.add(Code.BAD_DURATION, document, path, message, hint=duration_hint(text) if ms is None else "")
    return ms or 0


def read_reach(text: str, name: str, document: Document, path: Path, faults: Faults) -> int:
    """`read_duration` of how long a contact holds, which is as long as a cap may count one."""
    ms = read_duration(text, name, document, path, faults)
    if ms > WINDOW_MS_MAX:
        message = f'{name}="{text}" must be <= "366d"'
        faults.add(Code.OUT_OF_BOUNDS, document, path, message)
    return ms


def read_percentage(text: str, name: str, document: Document, path: Path, faults: Faults) -> int:
    """Parts in a million of a percentage such as "2.5%"."""
    match = _PERCENTAGE.fullmatch(text)
    ppm = int(match[1]) * 10_000 + int((match[2] or "").ljust(4, "0")) if match else -1
    if not 0 <= ppm <= 1_000_000:
        message = f'{name}="{text}" must be a percentage >= "0%" and <= "100%", such as "2.5%"'
        faults.add(Code.BAD_PERCENTAGE, document, path, message)
        return 0
    return ppm


def read_caps(
    texts: list[str], scope: CapScope, scope_id: int, document: Document, path: Path, faults: Faults
) -> tuple[Cap, ...]:
    """The caps of a section; faulty ones are reported and left out."""
    found = []
    for index, text in enumerate(texts):
        fault = cap_fault(text)
        if fault:
            code = Code.CAP_OUT_OF_BOUNDS if "must be >=" in fault else Code.BAD_CAP
            faults.add(code, document, (*path, "cap", index), fault)
        else:
            found.append(cap(text, scope, scope_id))
    return tuple(dict.fromkeys(found))


def identifier_fault(name: str) -> str:
    """What is wrong with a name that expressions use; empty when nothing is."""
    if not _IDENTIFIER.fullmatch(name):
        return f"`{name}` is not a name: a letter, then letters, digits and `_`, at most 64"
    if keyword.iskeyword(name) or name in _RESERVED:
        return f"`{name}` has a meaning of its own in expressions"
    return ""


def id_fault(name: str) -> str:
    """What is wrong with the name of a rule, campaign, channel, list, offer or area; empty when nothing is."""
    return "" if _ID.fullmatch(name) else f"`{name}` is not a name: letters, digits, `_`, `.` and `-`, at most 64"
