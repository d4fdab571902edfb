"""What a book declares: events, attributes, lists, channels, campaigns, offers, areas, and what holds for all rules.

`declare` gathers the sections of all files and resolves them against each other. What is wrong is reported once, and
its name remembered as `broken`, so that whoever uses the name stays silent. Features, rules and tests come after: see
`rules.features`, `rules.compile`, `rules.scenarios`.

Members of a SET keep their bits. Bit k of an attribute means the same member in every book that follows, because
masks lie in memory and on disk: `Lineage` carries the order of members from book to book; new members are appended,
lost ones keep their place.
"""

from __future__ import annotations

import keyword
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from rules import calendar
from rules.caps import Scope as CapScope
from rules.caps import cap, cap_fault
from rules.codes import Code
from rules.collisions import Numbers
from rules.diagnostics import nearest
from rules.expressions.functions import FUNCTIONS
from rules.expressions.tree import BUILTINS
from rules.model import Area, Campaign, Cap, Channel, ListDef, Offer
from rules.shape import (
    AreaShape,
    BookShape,
    CampaignShape,
    ChannelShape,
    EventShape,
    Faults,
    ListShape,
    OfferShape,
    Shape,
    check_keys,
    read_shape,
    shown,
    type_word,
)
from rules.toml import Document, Path
from rules.windows import duration_ms
from state.hashing import stable_id
from state.schema import FIELDS_MAX, MEMBERS_MAX, TYPES_MAX, VISIT, EventType, Field, Kind, Schema, make_schema

__all__ = ["LOCK_FILE", "Catalogue", "Declared", "Lineage", "declare", "read_caps", "read_duration", "read_percentage"]

LOCK_FILE = "members.lock"
SERVICES = "services"
SECTIONS = ("book", "events", "attributes", "lists", "channels", "campaigns", "offers", "areas", "features")
FIELD_KINDS = {"int": Kind.INT, "float": Kind.FLOAT, "bool": Kind.BOOL, "string": Kind.STRING, "time": Kind.TIME}
CHANNEL_KINDS: tuple[Literal["sms", "desk", "alert"], ...] = ("sms", "desk", "alert")
PER_EVENT_MAX = {"sms": 1, "desk": 3, "alert": 16}
DESK_CARDS_MAX = 3

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_ID = re.compile(r"[^\W_][\w.-]{0,63}")
_PERCENTAGE = re.compile(r"(\d{1,3})(?:\.(\d{1,4}))?%", re.ASCII)
_RESERVED = frozenset({*FUNCTIONS, *BUILTINS, "areas", "lists", "offer", "subscriber", "true", "false"})

S = TypeVar("S", bound=Shape)


@dataclass(frozen=True, slots=True)
class Declared(Generic[S]):
    """A section of one name, and where it stands."""

    name: str
    shape: S
    document: Document
    path: Path


@dataclass(slots=True)
class Lineage:
    """The members of each SET, by bit, as earlier books fixed them."""

    members: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Lineage:
        """The lineage stored beside a book's files."""
        return cls({name: tuple(members) for name, members in tomllib.loads(text).items()})

    def write(self) -> str:
        """The text that `read` takes."""
        rows = (f"{_quoted(name)} = [{', '.join(map(_quoted, members))}]\n" for name, members in self.members.items())
        return "# The bit of every member, in order; written by the loader, kept with the book.\n" + "".join(rows)

    def extend(self, name: str, members: tuple[str, ...]) -> tuple[str, ...]:
        """All members of a SET in bit order: those known before at their places, new ones behind them."""
        known = self.members.get(name, ())
        self.members[name] = known + tuple(member for member in members if member not in known)
        return self.members[name]


@dataclass(slots=True)
class Catalogue:
    """Everything that a feature, a rule or a test may name."""

    zone: str = "UTC"
    schema: Schema = field(default_factory=lambda: make_schema((), ()))
    lists: dict[str, ListDef] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    campaigns: dict[str, Campaign] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)
    areas: dict[str, Area] = field(default_factory=dict)
    caps: tuple[Cap, ...] = ()
    decisions_max: tuple[int, ...] = ()
    holdout_ppm: int = 0
    max_age_ms: int = 3_600_000
    shelf_life_ms: int = 86_400_000
    list_members: tuple[str, ...] = ()
    live_members: dict[str, frozenset[str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    @property
    def attributes(self) -> tuple[Field, ...]:
        """The subscriber's attributes, in feature order."""
        return self.schema.types[0].fields


def declare(documents: list[Document], lineage: Lineage, faults: Faults) -> Catalogue:
    """Everything the files declare; `lineage` is extended by the SETs found."""
    catalogue = Catalogue()
    for document in documents:
        check_keys(document.head, ("campaign", *SECTIONS, "rule", "test"), document, (), faults)
    book = _book(documents, faults)
    if book is not None:
        _whole(catalogue, book, faults)
    _schema(catalogue, documents, lineage, faults, book.shape.decisions_per_event if book else 1)
    _lists(catalogue, documents, lineage, faults)
    _channels(catalogue, documents, faults)
    _campaigns(catalogue, documents, faults)
    for one in sections("areas", AreaShape, documents, faults, catalogue.broken, _is_id):
        catalogue.areas[one.name] = Area(one.name, tuple(one.shape.cells), one.shape.title)
    for offer in sections("offers", OfferShape, documents, faults, catalogue.broken, _is_id):
        catalogue.offers[offer.name] = _offer(catalogue, offer, faults)
    return catalogue


def sections(
    section: str,
    model: type[S],
    documents: list[Document],
    faults: Faults,
    broken: set[str],
    name_fault: Callable[[str], str],
) -> Iterator[Declared[S]]:
    """Every `[section.NAME]` of every file, well shaped, well named, once."""
    seen: dict[str, str] = {}
    for document, name, value in _named_tables(section, documents, faults):
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
        else:
            yield Declared(name, shape, document, path)


def _named_tables(section: str, documents: list[Document], faults: Faults) -> Iterator[tuple[Document, str, Any]]:
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
        faults.add(Code.BAD_DURATION, document, path, message)
    return ms or 0


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


def _is_id(name: str) -> str:
    return "" if _ID.fullmatch(name) else f"`{name}` is not a name: letters, digits, `_`, `.` and `-`, at most 64"


def _event_name_fault(name: str) -> str:
    return "" if name == "profile" or name in _FIXED_NAMES else identifier_fault(name)


_FIXED_NAMES = tuple(kind.name for kind in make_schema((), ()).types)
_FIXED_FIELDS = {name: kind.name for kind in make_schema((), ()).types for name in kind.slots}


def _book(documents: list[Document], faults: Faults) -> Declared[BookShape] | None:
    found: Declared[BookShape] | None = None
    for document in documents:
        if "book" not in document.head:
            continue
        if found is not None:
            message = "`book` is declared twice"
            label = f"first at {found.document.file}"
            faults.add(Code.DECLARED_TWICE, document, ("book",), message, label=label, key=True)
            continue
        shape = read_shape(BookShape, document.head["book"], document, ("book",), faults)
        if shape is not None:
            found = Declared("book", shape, document, ("book",))
    return found


def _whole(catalogue: Catalogue, book: Declared[BookShape], faults: Faults) -> None:
    shape, document, path = book.shape, book.document, book.path
    if calendar.is_zone(shape.zone):
        catalogue.zone = shape.zone
    else:
        message = f'zone="{shape.zone}" is not in the time zone database'
        hint = nearest(shape.zone, calendar.zones())
        faults.add(Code.BAD_ZONE, document, (*path, "zone"), message, hint=hint)
    catalogue.caps = read_caps(shape.cap, "all", 0, document, path, faults)
    catalogue.holdout_ppm = read_percentage(shape.holdout, "holdout", document, (*path, "holdout"), faults)
    catalogue.max_age_ms = read_duration(shape.max_age, "max_age", document, (*path, "max_age"), faults)
    catalogue.shelf_life_ms = read_duration(shape.shelf_life, "shelf_life", document, (*path, "shelf_life"), faults)


def _schema(
    catalogue: Catalogue, documents: list[Document], lineage: Lineage, faults: Faults, decisions_max: int
) -> None:
    attributes = _attributes(catalogue, documents, lineage, faults)
    types: list[EventType] = []
    limits = dict.fromkeys(_FIXED_NAMES, decisions_max)
    limits[_FIXED_NAMES[VISIT]] = max(decisions_max, DESK_CARDS_MAX)
    names = {one.name for one in attributes}
    for event in sections("events", EventShape, documents, faults, catalogue.broken, _event_name_fault):
        limit = event.shape.decisions_max or limits.get(event.name, decisions_max)
        if event.name in _FIXED_NAMES:
            if event.shape.fields:
                message = f"`{event.name}` is built in: its fields are fixed"
                faults.add(Code.NAME_CLASH, event.document, (*event.path, "fields"), message, key=True)
        elif len(types) + len(_FIXED_NAMES) == TYPES_MAX:
            message = f"event types must be <= {TYPES_MAX}, {len(_FIXED_NAMES)} of them built in"
            faults.add(Code.OUT_OF_BOUNDS, event.document, event.path, message, key=True)
        else:
            types.append(EventType(event.name, _fields(catalogue, event, names, faults)))
        limits[event.name] = limit
    catalogue.schema = make_schema(attributes, tuple(types))
    catalogue.decisions_max = tuple(limits[kind.name] for kind in catalogue.schema.types)


def _fields(
    catalogue: Catalogue, event: Declared[EventShape], attributes: set[str], faults: Faults
) -> tuple[Field, ...]:
    fields = []
    for name, word in event.shape.fields.items():
        path = (*event.path, "fields", name)
        kind = FIELD_KINDS.get(word.removesuffix("!"))
        if kind is None:
            message = f'{name}="{word}" must be one of {", ".join(FIELD_KINDS)}, with `!` behind it where required'
            hint = nearest(word, FIELD_KINDS)
            faults.add(Code.TYPE_MISMATCH, event.document, path, message, hint=hint)
        fault = identifier_fault(name)
        if fault:
            faults.add(Code.BAD_NAME, event.document, path, fault, key=True)
        elif name in attributes:
            message = f"field `{name}` has the name of an attribute: a rule could not tell them apart"
            faults.add(Code.NAME_CLASH, event.document, path, message, key=True)
        if kind is None or fault:
            catalogue.broken |= {name, f"{event.name}.{name}"}
        else:
            fields.append(Field(name, kind, required=word.endswith("!")))
    if len(fields) > FIELDS_MAX:
        message = f"fields of {event.name}={len(fields)} must be <= {FIELDS_MAX}"
        faults.add(Code.OUT_OF_BOUNDS, event.document, (*event.path, "fields"), message, key=True)
    return tuple(fields[:FIELDS_MAX])


def _attributes(catalogue: Catalogue, documents: list[Document], lineage: Lineage, faults: Faults) -> tuple[Field, ...]:
    found: dict[str, Field] = {}
    for document, name, value in _named_tables("attributes", documents, faults):
        path: Path = ("attributes", name)
        fault = identifier_fault(name)
        if name in found:
            faults.add(Code.DECLARED_TWICE, document, path, f"attribute `{name}` is declared twice", key=True)
        elif fault:
            catalogue.broken.add(name)
            faults.add(Code.BAD_NAME, document, path, fault, key=True)
        elif name in _FIXED_FIELDS:
            catalogue.broken.add(name)
            message = f"attribute `{name}` has the name of a field of `{_FIXED_FIELDS[name]}`, which is built in"
            faults.add(Code.NAME_CLASH, document, path, message, key=True)
        elif isinstance(value, dict):
            members = _members(name, value, document, path, faults)
            catalogue.live_members[name] = frozenset(members)
            found[name] = Field(name, Kind.SET, members=_bits(lineage, name, members, document, path, faults))
        elif isinstance(value, str) and value in FIELD_KINDS:
            found[name] = Field(name, FIELD_KINDS[value])
        else:
            catalogue.broken.add(name)
            choices = ", ".join(FIELD_KINDS)
            message = f'{name}={shown(value)} must be one of {choices}, or {{ set = ["member", ...] }}'
            hint = nearest(value, FIELD_KINDS) if isinstance(value, str) else ""
            faults.add(Code.TYPE_MISMATCH, document, path, message, hint=hint)
    if len(found) > FIELDS_MAX:
        document = next(document for document in documents if "attributes" in document.head)
        message = f"attributes={len(found)} must be <= {FIELDS_MAX}"
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


def _bits(
    lineage: Lineage, name: str, members: tuple[str, ...], document: Document, path: Path, faults: Faults
) -> tuple[str, ...]:
    bits = lineage.extend(name, members)
    if len(bits) > MEMBERS_MAX:
        lost = len(bits) - len(members)
        note = f" ({lost} of them from earlier books, whose bits stay taken)" if lost else ""
        message = f"members of {name}={len(bits)} must be <= {MEMBERS_MAX}{note}"
        faults.add(Code.OUT_OF_BOUNDS, document, path, message, key=True)
    return bits[:MEMBERS_MAX]


def _lists(catalogue: Catalogue, documents: list[Document], lineage: Lineage, faults: Faults) -> None:
    found = list(sections("lists", ListShape, documents, faults, catalogue.broken, _is_id))
    if found:
        last = found[-1]
        names = tuple(one.name for one in found)
        catalogue.list_members = _bits(lineage, "lists", names, last.document, last.path, faults)
    catalogue.live_members["lists"] = frozenset(one.name for one in found)
    numbers = Numbers("lists", faults)
    for one in found:
        numbers.add(stable_id(one.name), one.name, one.document, one.path)
        if one.name in catalogue.list_members:
            index = catalogue.list_members.index(one.name)
            catalogue.lists[one.name] = ListDef(one.name, index, one.shape.excludes, one.shape.title)


def _channels(catalogue: Catalogue, documents: list[Document], faults: Faults) -> None:
    numbers = Numbers("channels", faults)
    for one in sections("channels", ChannelShape, documents, faults, catalogue.broken, _is_id):
        shape, channel_id = one.shape, stable_id(one.name)
        kind = shape.kind or next((kind for kind in CHANNEL_KINDS if kind == one.name), None)
        if kind is None:
            catalogue.broken.add(one.name)
            message = f"`kind` of channel `{one.name}` is missing: one of {', '.join(CHANNEL_KINDS)}"
            faults.add(Code.MISSING_KEY, one.document, one.path, message, key=True)
            continue
        catalogue.channels[one.name] = Channel(
            one.name,
            channel_id,
            kind,
            shape.klass or ("service" if kind == "alert" else None),
            shape.per_event_max or PER_EVENT_MAX[kind],
            read_caps(shape.cap, "channel", channel_id, one.document, one.path, faults),
            shape.title or one.name,
        )
        numbers.add(channel_id, one.name, one.document, one.path)


def _campaigns(catalogue: Catalogue, documents: list[Document], faults: Faults) -> None:
    numbers = Numbers("campaigns", faults)
    for one in sections("campaigns", CampaignShape, documents, faults, catalogue.broken, _is_id):
        shape, campaign_id = one.shape, stable_id(one.name)
        caps = read_caps(shape.cap, "campaign", campaign_id, one.document, one.path, faults)
        holdout = read_percentage(shape.holdout, "holdout", one.document, (*one.path, "holdout"), faults)
        catalogue.campaigns[one.name] = Campaign(one.name, campaign_id, caps, holdout, shape.title or one.name)
        numbers.add(campaign_id, one.name, one.document, one.path)
    for document in documents:
        name = document.head.get("campaign")
        if name is None and document.rules:
            name = document.file.removesuffix(".toml")
        if name is None:
            continue
        if not isinstance(name, str) or not _ID.fullmatch(name):
            message = f"campaign={shown(name)} is not a name: letters, digits, `_`, `.` and `-`, at most 64"
            faults.add(Code.BAD_NAME, document, ("campaign",), message)
        elif name not in catalogue.campaigns and name not in catalogue.broken:
            catalogue.campaigns[name] = Campaign(name, stable_id(name), (), 0, name)
            numbers.add(stable_id(name), name, document, ("campaign",), key=False)


def _offer(catalogue: Catalogue, offer: Declared[OfferShape], faults: Faults) -> Offer:
    shape = offer.shape
    requires = _services(catalogue, offer, "requires", shape.requires, faults)
    unless_holds = _services(catalogue, offer, "unless_holds", shape.unless_holds, faults)
    return Offer(offer.name, shape.title or offer.name, shape.script, shape.link, requires, unless_holds)


def _services(
    catalogue: Catalogue, offer: Declared[OfferShape], key: str, wanted: list[str], faults: Faults
) -> tuple[str, ...]:
    live = catalogue.live_members.get(SERVICES)
    if wanted and live is None and SERVICES not in catalogue.broken:
        message = f"`{key}` needs an attribute `{SERVICES}` that is a set"
        faults.add(Code.UNKNOWN_NAME, offer.document, (*offer.path, key), message)
    elif live is not None:
        for index, member in enumerate(wanted):
            if member not in live:
                message = f'"{member}" is not a member of the set `{SERVICES}`'
                path = (*offer.path, key, index)
                faults.add(Code.UNKNOWN_MEMBER, offer.document, path, message, hint=nearest(member, live))
    return tuple(dict.fromkeys(wanted))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(sign if sign.isprintable() else f"\\U{ord(sign):08X}" for sign in escaped) + '"'
