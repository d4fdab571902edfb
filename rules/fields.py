"""What events and subscribers carry: the types of events with their fields, and the attributes, as a `Schema`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rules.codes import Code
from rules.diagnostics import nearest
from rules.lineage import Lineage, bits_of
from rules.sections import Declared, identifier_fault, named_tables, sections
from rules.shape import EventShape, Faults, check_keys, shown
from rules.timer_keys import has_deadline
from rules.toml import Document, Path
from state.schema import DUE, FIELDS_MAX, MEMBERS_MAX, TYPES_MAX, VISIT, EventType, Field, Kind, Schema, make_schema
from state.sets import is_further, set_fields

__all__ = ["declare_schema"]

FIELD_KINDS = {"int": Kind.INT, "float": Kind.FLOAT, "bool": Kind.BOOL, "string": Kind.STRING, "time": Kind.TIME}
RESERVED = (DUE.name, "goal", "ask")
"""Built-in types that no book declares: `due` comes with the first rule that has a deadline, the others are to come. A
book that was active before they were reserved keeps its own of that name."""
LATER = ("reply", "owner")
"""Built-in types that the first release lacked. A book that was active before keeps its own of that name, likewise."""
LATER_FIELDS = ("until", "for_ms")
"""Fields that `list` lacked at first; likewise for an attribute or a feature of that name."""
DESK_CARDS_MAX = 3
SET_MEMBERS_MAX = FIELDS_MAX * MEMBERS_MAX
"""Of one set, over the life of a book, if it were the only attribute."""
FIELDS_KEY = frozenset({"fields"})

_FIXED_NAMES = tuple(kind.name for kind in make_schema((), ()).types)
_FIXED_FIELDS = {name: kind.name for kind in make_schema((), ()).types for name in kind.slots}


def declare_schema(
    documents: list[Document],
    lineage: Lineage,
    live_members: dict[str, frozenset[str]],
    broken: set[str],
    decisions_max: int,
    faults: Faults,
) -> tuple[Schema, tuple[int, ...]]:
    """Return the book's schema, and how many decisions an event of each type may have.

    That is what the type says, else `decisions_max`; for a visit at least as many as a desk shows. Extends `lineage`
    and `live_members` by the SETs found, and `broken` by the names that are not well declared.
    """
    attributes = _attributes(documents, lineage, live_members, broken, faults)
    types: list[EventType] = []
    own: list[EventType] = []
    limits = dict.fromkeys(_FIXED_NAMES, decisions_max)
    limits[_FIXED_NAMES[VISIT]] = max(decisions_max, DESK_CARDS_MAX)
    names = {one.name for one in attributes}
    for event in sections("events", EventShape, documents, faults, broken, _event_name_fault, FIELDS_KEY):
        limit = event.shape.decisions_max or limits.get(event.name, decisions_max)
        if event.name in RESERVED and not faults.kept:
            message = f"`{event.name}` is the name of a built-in event type: a book cannot declare it"
            faults.add(Code.NAME_CLASH, event.document, event.path, message, hint="choose another name", key=True)
        if event.name in LATER and event.shape.fields and faults.kept:
            own.append(EventType(event.name, _fields(event, names, broken, faults)))
        elif event.name in _FIXED_NAMES:
            if event.shape.fields:
                message = f"`{event.name}` is built in: its fields are fixed"
                faults.add(Code.NAME_CLASH, event.document, (*event.path, "fields"), message, key=True)
        elif len(types) + len(_FIXED_NAMES) == TYPES_MAX:
            message = f"event types must be <= {TYPES_MAX}, {len(_FIXED_NAMES)} of them built in"
            faults.add(Code.OUT_OF_BOUNDS, event.document, event.path, message, key=True)
        else:
            types.append(EventType(event.name, _fields(event, names, broken, faults)))
        limits[event.name] = limit
    if any(has_deadline(block.data) for one in documents for block in one.rules):
        types.append(DUE)
        limits[DUE.name] = decisions_max
    schema = make_schema(attributes, tuple(types), tuple(own))
    return schema, tuple(limits[kind.name] for kind in schema.types)


def came_later(event: str, field: str) -> bool:
    """Return whether a field of a built-in type was added when there were books already."""
    return event in LATER or field in LATER_FIELDS


def _fields(event: Declared[EventShape], attributes: set[str], broken: set[str], faults: Faults) -> tuple[Field, ...]:
    fields = []
    for name, word in event.shape.fields.items():
        path = (*event.path, "fields", name)
        kind = FIELD_KINDS.get(word.removesuffix("!"))
        if kind is None:
            message = f'{name}="{word}" must be one of {", ".join(FIELD_KINDS)}, with `!` after it where required'
            hint = nearest(word, FIELD_KINDS)
            faults.add(Code.TYPE_MISMATCH, event.document, path, message, hint=hint)
        fault = identifier_fault(name)
        if fault:
            faults.add(Code.BAD_NAME, event.document, path, fault, key=True)
        elif name in attributes:
            message = f"field `{name}` has the name of an attribute: a rule could not tell them apart"
            faults.add(Code.NAME_CLASH, event.document, path, message, key=True)
        if kind is None or fault:
            broken |= {name, f"{event.name}.{name}"}
        else:
            fields.append(Field(name, kind, required=word.endswith("!")))
    if len(fields) > FIELDS_MAX:
        message = f"fields of {event.name}={len(fields)} must be <= {FIELDS_MAX}"
        faults.add(Code.OUT_OF_BOUNDS, event.document, (*event.path, "fields"), message, key=True)
    return tuple(fields[:FIELDS_MAX])


def _attributes(
    documents: list[Document],
    lineage: Lineage,
    live_members: dict[str, frozenset[str]],
    broken: set[str],
    faults: Faults,
) -> tuple[Field, ...]:
    found: dict[str, Field] = {}
    for document, name, value in named_tables("attributes", documents, faults):
        path: Path = ("attributes", name)
        fault = identifier_fault(name)
        if name in found:
            faults.add(Code.DECLARED_TWICE, document, path, f"attribute `{name}` is declared twice", key=True)
        elif fault:
            broken |= {name, f"profile.{name}"}
            faults.add(Code.BAD_NAME, document, path, fault, key=True)
        elif name in _FIXED_FIELDS and not (faults.kept and came_later(_FIXED_FIELDS[name], name)):
            broken |= {name, f"profile.{name}"}
            message = f"attribute `{name}` has the name of a field of `{_FIXED_FIELDS[name]}`, which is built in"
            faults.add(Code.NAME_CLASH, document, path, message, key=True)
        elif isinstance(value, dict):
            members = _members(name, value, document, path, faults)
            live_members[name] = frozenset(members)
            bits = bits_of(lineage, name, members, SET_MEMBERS_MAX, document, path, faults)
            found |= {one.name: one for one in set_fields(name, bits)}
        elif isinstance(value, str) and value in FIELD_KINDS:
            found[name] = Field(name, FIELD_KINDS[value])
        else:
            broken |= {name, f"profile.{name}"}
            choices = ", ".join(FIELD_KINDS)
            message = f'{name}={shown(value)} must be one of {choices}, or {{ set = ["member", ...] }}'
            hint = nearest(value, FIELD_KINDS) if isinstance(value, str) else ""
            faults.add(Code.TYPE_MISMATCH, document, path, message, hint=hint)
    if len(found) > FIELDS_MAX:
        document = next(document for document in documents if "attributes" in document.head)
        more = sum(map(is_further, found))
        note = f" ({more} of them for the members of sets after the first {MEMBERS_MAX} of each)" if more else ""
        message = f"attributes={len(found)} must be <= {FIELDS_MAX}{note}"
        faults.add(Code.OUT_OF_BOUNDS, document, ("attributes",), message, key=True)
    return tuple(found.values())[:FIELDS_MAX]


def _members(name: str, value: Mapping[str, Any], document: Document, path: Path, faults: Faults) -> tuple[str, ...]:
    check_keys(value, ("set",), document, path, faults)
    members = value.get("set", [])
    if not isinstance(members, list) or not all(isinstance(member, str) and member for member in members):
        message = f"`set` of {name} must be an array of texts, none empty"
        faults.add(Code.WRONG_SHAPE, document, (*path, "set"), message)
        return ()
    for index, member in enumerate(members):
        if member in members[:index]:
            message = f'"{member}" stands twice in the set `{name}`'
            faults.add(Code.DECLARED_TWICE, document, (*path, "set", index), message)
    return tuple(dict.fromkeys(members))


def _event_name_fault(name: str) -> str:
    return "" if name == "profile" or name in _FIXED_NAMES else identifier_fault(name)
