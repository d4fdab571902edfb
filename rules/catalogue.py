"""What a book declares: events, attributes, lists, channels, campaigns, offers, areas, and what holds for all rules.

`declare` gathers the sections of all files and resolves them against each other (`rules.sections`, `rules.fields` for
events and attributes, `rules.lineage` for the bits of sets). What is wrong is reported once, and its name remembered as
`broken`, so that whatever uses the name stays silent. Features, rules and tests come after: see `rules.features`,
`rules.compile`, `rules.scenarios`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from rules.areas import declare_areas
from rules.codes import Code
from rules.collisions import Numbers
from rules.diagnostics import Diagnostic, nearest
from rules.draws import read_shares
from rules.expressions.lookups import Column
from rules.fields import declare_schema
from rules.lineage import Lineage, bits_of
from rules.model import Area, Campaign, Cap, Category, Channel, ListDef, Offer, Quiet
from rules.quiet import read_quiet
from rules.sections import Declared, id_fault, read_caps, read_duration, read_percentage, read_reach, sections
from rules.shape import (
    BookShape,
    CampaignShape,
    CategoryShape,
    ChannelShape,
    Faults,
    ListShape,
    OfferShape,
    check_keys,
    read_shape,
    shown,
)
from rules.tables import declare_tables
from rules.templates import forbidden
from rules.toml import Document
from state import calendar
from state.hashing import stable_id
from state.schema import Field, Schema, make_schema

__all__ = ["Catalogue", "declare"]

SERVICES = "services"
OPT_OUT_LIST = "optout"
"""The list of those who want no commercial texts: in every book, declared or not, excluding at least `commercial`."""
LISTS_MAX = 10_000
"""Of one book, over its life: an event of a list looks at every 62 of them."""
SECTIONS = (
    "book",
    "events",
    "attributes",
    "lists",
    "channels",
    "campaigns",
    "categories",
    "offers",
    "areas",
    "features",
    "sequences",
    "values",
    "tables",
)
CHANNEL_KINDS: tuple[Literal["sms", "desk", "alert"], ...] = ("sms", "desk", "alert")
PER_EVENT_MAX = {"sms": 1, "desk": 3, "alert": 16}


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
    categories: dict[str, Category] = field(default_factory=dict)
    caps: tuple[Cap, ...] = ()
    decisions_max: tuple[int, ...] = ()
    holdout_ppm: int = 0
    max_age_ms: int = 3_600_000
    shelf_life_ms: int = 86_400_000
    declined_hides_ms: int = 30 * 86_400_000
    quiet: Quiet | None = None
    tables: dict[str, dict[str, Column]] = field(default_factory=dict)
    list_members: tuple[str, ...] = ()
    live_members: dict[str, frozenset[str]] = field(default_factory=dict)
    kept_lists: frozenset[str] = frozenset()
    broken: set[str] = field(default_factory=set)

    @property
    def attributes(self) -> tuple[Field, ...]:
        """The subscriber's attributes, in feature order."""
        return self.schema.types[0].fields


def declare(
    documents: list[Document], lineage: Lineage, faults: Faults, files: Mapping[str, str] = MappingProxyType({})
) -> Catalogue:
    """Everything the files declare; `lineage` is extended by the SETs found. `files` are the texts of tables."""
    catalogue = Catalogue()
    for document in documents:
        check_keys(document.head, ("campaign", *SECTIONS, "goal", "rule", "test"), document, (), faults)
    book = _book(documents, faults)
    if book is not None:
        _whole(catalogue, book, faults)
    decisions_max = book.shape.decisions_per_event if book else 1
    catalogue.schema, catalogue.decisions_max = declare_schema(
        documents, lineage, catalogue.live_members, catalogue.broken, decisions_max, faults
    )
    if book is not None:
        catalogue.quiet = read_quiet(book, catalogue.attributes, catalogue.zone, catalogue.broken, faults)
    _lists(catalogue, documents, lineage, faults)
    catalogue.kept_lists = frozenset(map(str, _kept(documents)))
    _channels(catalogue, documents, faults)
    _campaigns(catalogue, documents, faults)
    _categories(catalogue, documents, faults)
    for offer in sections("offers", OfferShape, documents, faults, catalogue.broken, id_fault):
        catalogue.offers[offer.name] = _offer(catalogue, offer, faults)
    catalogue.tables = declare_tables(documents, files, faults, catalogue.broken)
    catalogue.areas = declare_areas(documents, catalogue.schema, catalogue.tables, faults, catalogue.broken)
    return catalogue


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
    hides_path = (*path, "declined_hides")
    catalogue.declined_hides_ms = read_reach(shape.declined_hides, "declined_hides", document, hides_path, faults)
    catalogue.shelf_life_ms = read_duration(shape.shelf_life, "shelf_life", document, (*path, "shelf_life"), faults)


def _lists(catalogue: Catalogue, documents: list[Document], lineage: Lineage, faults: Faults) -> None:
    found = list(sections("lists", ListShape, documents, faults, catalogue.broken, id_fault))
    declared = tuple(one.name for one in found)
    # After those declared, so that a book that is loaded first gives them the bits that it always gave them.
    built_in = () if OPT_OUT_LIST in (*declared, *catalogue.broken) or not documents else (OPT_OUT_LIST,)
    names = (*declared, *built_in)
    if names:
        place = (found[-1].document, found[-1].path) if found else (documents[0], ())
        catalogue.list_members = bits_of(lineage, "lists", names, LISTS_MAX, *place, faults)
    catalogue.live_members["lists"] = frozenset(names)
    numbers = Numbers("lists", faults)
    for one in found:
        numbers.add(stable_id(one.name), one.name, one.document, one.path)
    shapes = {one.name: one.shape for one in found}
    indexes = {name: index for index, name in enumerate(catalogue.list_members)}
    for name in names:
        if name in indexes:
            shape = shapes.get(name, ListShape())
            excludes = shape.excludes or ("commercial" if name == OPT_OUT_LIST else "")
            catalogue.lists[name] = ListDef(name, indexes[name], excludes, shape.title)


def _kept(documents: list[Document]) -> Iterator[object]:
    """What stands for the lists that rules keep, before their rules are judged."""
    for document in documents:
        for block in document.rules:
            keep = block.data.get("keep") if isinstance(block.data, Mapping) else None
            if isinstance(keep, Mapping):
                yield keep.get("list")


def _channels(catalogue: Catalogue, documents: list[Document], faults: Faults) -> None:
    numbers = Numbers("channels", faults)
    for one in sections("channels", ChannelShape, documents, faults, catalogue.broken, id_fault, frozenset({"kind"})):
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
    for one in sections("campaigns", CampaignShape, documents, faults, catalogue.broken, id_fault):
        shape, campaign_id = one.shape, stable_id(one.name)
        caps = read_caps(shape.cap, "campaign", campaign_id, one.document, one.path, faults)
        holdout = read_percentage(shape.holdout, "holdout", one.document, (*one.path, "holdout"), faults)
        arms = read_shares(shape.arms, one.name, one.document, one.path, faults)
        if shape.arms and arms is None:
            catalogue.broken.add(one.name)
        catalogue.campaigns[one.name] = Campaign(one.name, campaign_id, caps, holdout, shape.title or one.name, arms)
        numbers.add(campaign_id, one.name, one.document, one.path)
    for document in documents:
        name = document.head.get("campaign")
        if name is None and document.rules:
            name = document.file.removesuffix(".toml")
        if name is None:
            continue
        if not isinstance(name, str) or id_fault(name):
            message = f"campaign={shown(name)} is not a name: letters, digits, `_`, `.` and `-`, at most 64"
            faults.add(Code.BAD_NAME, document, ("campaign",), message)
        elif name not in catalogue.campaigns and name not in catalogue.broken:
            catalogue.campaigns[name] = Campaign(name, stable_id(name), (), 0, name)
            numbers.add(stable_id(name), name, document, ("campaign",), key=False)


def _categories(catalogue: Catalogue, documents: list[Document], faults: Faults) -> None:
    numbers = Numbers("categories", faults)
    for one in sections("categories", CategoryShape, documents, faults, catalogue.broken, id_fault):
        shape, category_id = one.shape, stable_id(one.name)
        caps = read_caps(shape.cap, "category", category_id, one.document, one.path, faults)
        catalogue.categories[one.name] = Category(one.name, category_id, caps, shape.title or one.name)
        numbers.add(category_id, one.name, one.document, one.path)


LINK = re.compile(r"https?://[^\s\x00-\x1f\x7f]+", re.IGNORECASE)
"""A link is put before customers and clerks: one that a page would run, as javascript: or data:, is none."""


def _offer(catalogue: Catalogue, offer: Declared[OfferShape], faults: Faults) -> Offer:
    shape = offer.shape
    requires = _services(catalogue, offer, "requires", shape.requires, faults)
    unless_holds = _services(catalogue, offer, "unless_holds", shape.unless_holds, faults)
    if shape.link and not LINK.fullmatch(shape.link) and forbidden(shape.link) is None:
        message = f"link={shown(shape.link)} must begin with http:// or https://, and hold no space"
        faults.add(Code.BAD_LINK, offer.document, (*offer.path, "link"), message)
    repeat_ms, hides_ms = 0, catalogue.declined_hides_ms
    if shape.repeat is not None:
        repeat_ms = read_reach(shape.repeat, "repeat", offer.document, (*offer.path, "repeat"), faults)
    if shape.declined_hides is not None:
        path = (*offer.path, "declined_hides")
        hides_ms = read_reach(shape.declined_hides, "declined_hides", offer.document, path, faults)
    for key in ("title", "script", "link"):
        sign = forbidden(getattr(shape, key))
        if sign is not None:
            place = offer.document.origin((*offer.path, key)).place(sign[0], sign[0] + 1)
            message = f"{sign[1]} is a sign that no text may have: it is not shown, or turns what is shown"
            faults.extend([Diagnostic(Code.BAD_TEMPLATE, message, place)])
    title = shape.title or offer.name
    return Offer(offer.name, title, shape.script, shape.link, requires, unless_holds, repeat_ms, hides_ms)


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
