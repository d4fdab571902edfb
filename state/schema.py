"""What an event may say: its types, their fields, and the kinds of value a field holds.

A schema comes from a rule book. Event type codes and field slots are indices, so that rows are plain integers; the
built-in types come first and keep their codes forever. Values are 64-bit cells (see `Kind`).

Frames carry a schema's fingerprint; `state.batch.remap` moves rows between schemas by name.
"""

import hashlib
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

import orjson

FIELDS_MAX = 62
TYPES_MAX = 250
MEMBERS_MAX = 62


class Kind(IntEnum):
    """How the 64 bits of a cell are read."""

    INT = 0  # signed integer
    FLOAT = 1  # IEEE double, its bits
    BOOL = 2  # 0 or 1
    STRING = 3  # hash of the text, `state.hashing.hash_text`
    TIME = 4  # milliseconds since 1970 UTC
    SET = 5  # bit i: the field's member i is in the set; more than 62 members take several fields: `state.sets`


@dataclass(frozen=True, slots=True)
class Field:
    """One named value of an event type; `members` names the bits of a SET."""

    name: str
    kind: Kind
    required: bool = False
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class EventType:
    """A kind of event and its fields; a field's slot is its index."""

    name: str
    fields: tuple[Field, ...]

    @cached_property
    def slots(self) -> dict[str, int]:
        """Slot by field name."""
        return {field.name: slot for slot, field in enumerate(self.fields)}

    def words(self, slot: int) -> range:
        """Return the slots of all words of the set whose first word is in `slot`; of another field its own alone."""
        head, after = f"{self.fields[slot].name}+", slot + 1
        while after < len(self.fields) and self.fields[after].name.startswith(head):
            after += 1
        return range(slot, after)


PROFILE, LIST, OUTCOME, VISIT, ANSWER, REPLY, OWNER = range(7)
"""Codes of the built-in event types."""

# Slots of their fields, in the order in which the fields are declared below; plain integers, because kernels read them.
LIST_NAME, LIST_MEMBER, LIST_UNTIL, LIST_FOR = range(4)
DECISION_SLOTS = DECISION_PARTITION, DECISION_POSITION, DECISION_ROW, DECISION_RULE = (0, 1, 2, 3)
"""Where `outcome` and `answer` name the decision that they are about."""
OUTCOME_STATE, OUTCOME_GATEWAY, OUTCOME_ERROR, OUTCOME_CONTACT = range(4, 8)
VISIT_TERMINAL, VISIT_NAME, VISIT_OPEN, VISIT_CAUSE = range(4)
ANSWER_CARD, ANSWER_WORD, ANSWER_NOTE = range(4, 7)
REPLY_TEXT, REPLY_NUMBER, REPLY_DECISION = range(3)
(OWNER_ERASED,) = range(1)
DUE_RULE, DUE_ARMED, DUE_KEY, DUE_NUMBER = range(4)

_ID = (Field("partition", Kind.INT), Field("position", Kind.INT), Field("row", Kind.INT), Field("rule", Kind.INT))
_FIXED = (
    EventType(
        "list",
        (
            Field("list", Kind.STRING, required=True),
            Field("member", Kind.BOOL, required=True),
            Field("until", Kind.TIME),
            Field("for_ms", Kind.INT),
        ),
    ),
    EventType(
        "outcome",
        (
            *_ID,
            Field("state", Kind.INT),
            Field("gateway", Kind.STRING),
            Field("error", Kind.STRING),
            Field("contact_ms", Kind.TIME),
        ),
    ),
    EventType(
        "visit",
        (
            Field("terminal", Kind.STRING, required=True),
            Field("visit", Kind.STRING),
            Field("open", Kind.BOOL),
            Field("cause", Kind.STRING),
        ),
    ),
    EventType(
        "answer",
        (*_ID, Field("card", Kind.STRING), Field("answer", Kind.STRING), Field("note", Kind.STRING)),
    ),
    EventType("reply", (Field("text", Kind.STRING), Field("number", Kind.STRING), Field("decision", Kind.STRING))),
    EventType("owner", (Field("erased", Kind.BOOL),)),
)

DUE = EventType(
    "due",
    (
        Field("rule", Kind.INT, required=True),
        Field("armed", Kind.TIME),
        Field("text", Kind.STRING),
        Field("number", Kind.INT),
    ),
)
"""A deadline that has come: of which rule, when it was armed, and its key, a text or a number. Only the engine makes
such rows, and only a book with deadlines has the type, as its last one: the others keep the codes and the schemas that
they had."""


@dataclass(frozen=True)
class Schema:
    """Event types by code; the built-in ones first."""

    types: tuple[EventType, ...]

    @cached_property
    def codes(self) -> dict[str, int]:
        """Code by event type name."""
        return {kind.name: code for code, kind in enumerate(self.types)}

    @cached_property
    def width(self) -> int:
        """Cells of the widest event type."""
        return max(len(kind.fields) for kind in self.types)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that differ where any name, kind or order differs."""
        return hashlib.blake2b(schema_to_json(self), digest_size=8).hexdigest()

    def code(self, name: str) -> int:
        """Return the code of event type `name`; KeyError when unknown."""
        return self.codes[name]

    def slot(self, code: int, field: str) -> int:
        """Return the slot of `field` in the type with `code`; KeyError when unknown."""
        return self.types[code].slots[field]


def make_schema(attributes: tuple[Field, ...], types: tuple[EventType, ...], own: tuple[EventType, ...] = ()) -> Schema:
    """Return the schema of a book: built-in types (attributes are the fields of `profile`), then `types`.

    `own` are a book's types from before a type of that name was built in: each stands in the built-in one's place.
    Raises ValueError when a bound is passed: FIELDS_MAX fields a type, TYPES_MAX types, MEMBERS_MAX members a set.
    """
    before = {one.name: one for one in own}
    fixed = (before.get(one.name, one) for one in _FIXED)
    schema = Schema((EventType("profile", attributes), *fixed, *types))
    if len(schema.types) > TYPES_MAX:
        raise ValueError(f"event types={len(schema.types)} must be <= {TYPES_MAX}")
    for kind in schema.types:
        if len(kind.fields) > FIELDS_MAX:
            raise ValueError(f"fields of event {kind.name}={len(kind.fields)} must be <= {FIELDS_MAX}")
        for field in kind.fields:
            if len(field.members) > MEMBERS_MAX:
                raise ValueError(f"members of {kind.name}.{field.name}={len(field.members)} must be <= {MEMBERS_MAX}")
    return schema


def forms_of(schema: Schema) -> tuple[Schema, ...]:
    """Return a book's schema as each release made it that wrote frames: this one first, the first one last."""
    before_ends = tuple(
        replace(one, fields=one.fields[:LIST_UNTIL]) if one.name == "list" else one for one in schema.types
    )
    return schema, Schema(before_ends), first_form(schema)


def first_form(schema: Schema) -> Schema:
    """Return a book's schema as the first release made it: without what was built in since.

    A type that a book from then declared under a name that is built in now stands after the others, whatever its place
    was: of such a book the form is not known.
    """
    profile, *fixed = schema.types[: len(_FIXED) + 1]
    known = {one.name: one for one in fixed}
    contact = known["outcome"].fields[:OUTCOME_CONTACT]
    told = known["list"].fields[:LIST_UNTIL]
    first = (EventType("list", told), EventType("outcome", contact), known["visit"], known["answer"])
    return Schema((profile, *first, *schema.types[len(_FIXED) + 1 :]))


def schema_to_json(schema: Schema) -> bytes:
    """Return the schema as JSON: a list of [type name, [[field, kind, required, members]...]].

    Logs hold it forever, and its hash names them: another form would orphan every frame written before.
    """
    return orjson.dumps(
        [
            [kind.name, [[f.name, int(f.kind), f.required, list(f.members)] for f in kind.fields]]
            for kind in schema.types
        ]
    )


def schema_from_json(data: bytes) -> Schema:
    """Return the schema that `schema_to_json` wrote."""
    return Schema(
        tuple(
            EventType(
                name, tuple(Field(n, Kind(kind), required, tuple(members)) for n, kind, required, members in fields)
            )
            for name, fields in orjson.loads(data)
        )
    )
