"""Features: what a book keeps per subscriber, and the names that expressions may use.

Attributes come first (kind `last` of a field of `profile`, ever), then the built-in set `lists`, then the book's
features in the order of files and lines. A feature's `where` sees the event's fields and the attributes, never another
feature, so features depend on nothing but the event and what stands before them.

A fingerprint covers what gives the history its meaning: kind, names of event and field, kind of value, predicate in
canonical form (areas spelt out), window, panes, and the zone where panes, days or hours depend on it. It does not cover
the feature's own name, codes, slots, the bits of a set or the learning period, so renaming and reordering keep the
history. It names columns on disk; `meaning` is the same with the parts of the predicate in one order, and is what a
book takes over histories by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from rules.areas import areas_followed
from rules.catalogue import Catalogue
from rules.codes import Code
from rules.diagnostics import Diagnostic, Origin, nearest
from rules.expressions import Expr, Operand, Scope, canonical, meaning
from rules.expressions.functions import reads_local_time
from rules.expressions.tree import Has, Use, by_set, walk
from rules.fields import came_later
from rules.model import Book, Feature, Settling, Window
from rules.names import Names
from rules.reading import read_expression
from rules.sections import Declared, identifier_fault, named_tables, sections
from rules.settling import read_as, read_settling
from rules.shape import FEATURE_SHAPE, LEARNING, Faults, FeatureShape
from rules.spans import WINDOW_MS_MAX, duration_hint, duration_ms, window, window_fault
from rules.toml import Document
from state.calendar import epoch_ms
from state.features import BOOK_KINDS, KINDS
from state.features.kinds.list_words import LIST_KINDS
from state.schema import DUE, LIST, PROFILE, EventType, Kind
from state.sets import set_of, word_name, words_of

__all__ = ["FEATURES_MAX", "compile_features", "read_where", "renewed"]

FEATURES_MAX = 4_096
EVER = Window("ever")


@dataclass(frozen=True, slots=True)
class _Source:
    code: int
    event: EventType
    slot: int
    kind: Kind | None


def compile_features(
    catalogue: Catalogue, documents: list[Document], faults: Faults
) -> tuple[tuple[Feature, ...], Names]:
    """All features of a book in their order, and the names that rules may use."""
    features = [*_attributes(catalogue), *_lists(catalogue)]
    names = Names(catalogue)
    told = (
        Operand(one.name, "feature", index, one.value_kind, _live_members(one, catalogue))
        for index, one in enumerate(features)
    )
    names.subscriber = {one.name: one for one in by_set(told)}
    names.value_names = frozenset(name for _, name, _ in named_tables("values", documents, Faults()))
    broken: set[str] = set(catalogue.broken)
    declared = list(
        sections("features", FEATURE_SHAPE, documents, faults, broken, identifier_fault, frozenset(BOOK_KINDS))
    )
    followed = areas_followed(catalogue.areas, catalogue.schema)
    ahead = [*(one.name for one in declared), *(one.name for one in followed)]
    names.features = {name: Operand(name, "feature", 0, Kind.INT) for name in ahead}
    names.broken = frozenset(broken)
    history = {one.meaning: one.name for one in features}
    for entry in declared:
        made = _feature(entry, names, faults)
        if made is None or not _is_own(entry, made[0], names, history, faults):
            broken.add(entry.name)
            continue
        history[made[0].meaning] = entry.name
        told = (
            Operand(one.name, "feature", index, one.value_kind, _live_members(one, catalogue), KINDS[one.kind].duration)
            for index, one in enumerate(made, len(features))
        )
        (names.features[entry.name],) = by_set(told)
        features += made
    for area in followed:
        names.features[area.name] = Operand(area.name, "feature", len(features), area.value_kind)
        features.append(area)
    names.first_timer = len(features)
    _finish(names, broken, features, documents, faults)
    return tuple(features), names


def _live_members(feature: Feature, catalogue: Catalogue) -> tuple[str, ...]:
    """The members of a SET by bit; nothing stands for those that only earlier books had."""
    if not feature.members:
        return ()
    source = feature.name if feature.kind in LIST_KINDS else catalogue.attributes[feature.source_slot].name
    live = catalogue.live_members[set_of(source)]
    return tuple(member if member in live else "" for member in feature.members)


def _finish(names: Names, broken: set[str], features: list[Feature], documents: list[Document], faults: Faults) -> None:
    """Drop what broke, so that a use of it stays silent."""
    for name in broken:
        names.features.pop(name, None)
    names.broken = frozenset(broken)
    if len(features) > FEATURES_MAX:
        document = next(document for document in documents if "features" in document.head)
        message = f"features={len(features)} must be <= {FEATURES_MAX}, attributes included"
        faults.add(Code.OUT_OF_BOUNDS, document, ("features",), message, key=True)


def _attributes(catalogue: Catalogue) -> list[Feature]:
    found = []
    for slot, one in enumerate(catalogue.attributes):
        print_ = _fingerprint("last", "profile", one.name, one.kind, "", EVER, "")
        found.append(
            Feature(
                one.name,
                "last",
                PROFILE,
                slot,
                None,
                EVER,
                one.kind,
                print_,
                one.members,
                attribute=True,
                meaning=print_,
            )
        )
    return found


def _lists(catalogue: Catalogue) -> list[Feature]:
    """The set `lists`: its first word, which was all there was of it once, and those after it."""
    found = []
    for word, members in enumerate(words_of(catalogue.list_members)):
        kind, name = LIST_KINDS[min(word, 1)], word_name("", word)
        print_ = _fingerprint(kind, "list", name, Kind.SET, "", EVER, "")
        named = word_name("lists", word)
        found.append(Feature(named, kind, LIST, -1, None, EVER, Kind.SET, print_, members, meaning=print_))
    return found


def _feature(one: Declared[FeatureShape], names: Names, faults: Faults) -> list[Feature] | None:
    """The feature as declared, and the further words of one of a set."""
    before = len(faults.found)
    kind = _kind(one, faults)
    span = _window(one, faults)
    if kind is None:
        return None
    source = _source(one, kind, names, faults)
    if source is None or span is None:
        return None
    takes = read_as(one, source.code, names, faults)
    settling = read_settling(one, kind, faults)
    value_kind = _value_kind(one, kind, takes.kind if takes is not None else source.kind, faults)
    where, text = None, one.shape.where
    if text is not None:
        where = read_where(text, one.document.origin((*one.path, "where")), source.code, names, faults)
    is_wrong = (where is None and one.shape.where is not None) or (takes is None and one.shape.as_ is not None)
    if len(faults.found) > before or value_kind is None or is_wrong:
        return None
    asked = [expr for expr in (where, takes) if expr is not None]
    local = span.kind != "ever" or any(map(reads_local_time, asked))
    zone = names.catalogue.zone if local else ""
    learn_ms, known_from_ms = _learning(one, names.catalogue.zone, faults)
    found = []
    for word, slot in enumerate(source.event.words(source.slot) if source.slot >= 0 else (-1,)):
        field_name = source.event.fields[slot].name if slot >= 0 else ""
        head = (kind, source.event.name, field_name, value_kind)
        prints = [_print(of, head, where, (span, zone), takes, settling) for of in (canonical, meaning)]
        members = source.event.fields[slot].members if value_kind is Kind.SET else ()
        if word > 0 and value_kind is not Kind.SET:
            break
        found.append(
            Feature(
                word_name(one.name, word),
                kind,
                source.code,
                slot,
                where,
                span,
                value_kind,
                prints[0],
                members,
                meaning=prints[1],
                learn_ms=learn_ms,
                known_from_ms=known_from_ms,
                settling=settling,
                read=takes,
            )
        )
    return found


def _print(
    text_of: Callable[[Expr], str],
    head: tuple[str, str, str, Kind],
    where: Expr | None,
    tail: tuple[Window, str],
    takes: Expr | None,
    settling: Settling | None,
) -> str:
    """The fingerprint, with the texts that `text_of` makes of expressions."""
    more = [text_of(takes)] if takes is not None else []
    settles = [settling.sightings, settling.held_ms] if settling is not None else []
    return _fingerprint(*head, text_of(where) if where is not None else "", *tail, *more, *settles)


def _learning(one: Declared[FeatureShape], zone: str, faults: Faults) -> tuple[int, int]:
    """How long the history must have been kept, and from which time on, before the feature is known."""
    given = one.shape.learning
    if given is None:
        return 0, 0
    if isinstance(given, str):
        ms = duration_ms(given)
        if ms is not None and ms <= WINDOW_MS_MAX:
            return ms, 0
        day = _day(given)
        if day is None:
            message = f'since="{given}" must be a duration up to "366d", or a date such as "2026-03-01"'
            hint = duration_hint(given) if ms is None else ""
            faults.add(Code.BAD_DURATION, one.document, (*one.path, LEARNING), message, hint=hint)
            return 0, 0
        given = day
    moment = given if isinstance(given, datetime) else datetime(given.year, given.month, given.day)
    return 0, epoch_ms(moment, zone)


def _day(text: str) -> datetime | None:
    """The day, or the moment, that an ISO text names."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def renewed(before: Book, after: Book) -> tuple[str, ...]:
    """The features of a book whose history starts anew when it follows another that has them by the same name."""
    kept = {feature.meaning for feature in before.features}
    named = {feature.name for feature in before.features}
    return tuple(one.name for one in after.features if one.name in named and one.meaning not in kept)


def _kind(one: Declared[FeatureShape], faults: Faults) -> str | None:
    given = list(one.shape.kinds)
    if len(given) == 1:
        return given[0]
    what = f"has {' and '.join(f'`{kind}`' for kind in given)}" if given else "counts nothing"
    path = (*one.path, given[1]) if given else one.path
    message = f"feature `{one.name}` {what}: choose one of {', '.join(BOOK_KINDS)}"
    faults.add(Code.CHOOSE_ONE, one.document, path, message, key=True)
    return None


def _window(one: Declared[FeatureShape], faults: Faults) -> Window | None:
    fault = window_fault(one.shape.over, one.shape.panes)
    if not fault:
        return window(one.shape.over, one.shape.panes)
    path = (*one.path, "panes" if fault.startswith("panes") else "over")
    hint = nearest(one.shape.over, ("today", "this month", "ever")) if path[-1] == "over" else ""
    faults.add(Code.BAD_WINDOW, one.document, path, fault, hint=hint)
    return None


def _source(one: Declared[FeatureShape], kind: str, names: Names, faults: Faults) -> _Source | None:
    schema = names.catalogue.schema
    path = (*one.path, kind)
    event, _, field_name = str(one.shape.kinds[kind]).partition(".")
    if event == DUE.name and event in schema.codes:
        message = "`due` is a deadline that has come: features are about what the network reports"
        faults.add(Code.UNKNOWN_EVENT, one.document, path, message)
        return None
    if event not in schema.codes:
        if event not in names.broken:
            message = f"unknown event type `{event}`"
            faults.add(Code.UNKNOWN_EVENT, one.document, path, message, hint=nearest(event, schema.codes))
        return None
    code = schema.code(event)
    if not field_name:
        return _Source(code, schema.types[code], -1, None)
    slots = schema.types[code].slots
    if field_name not in slots:
        if f"{event}.{field_name}" not in names.broken:
            message = f"event `{event}` has no field `{field_name}`"
            faults.add(Code.UNKNOWN_FIELD, one.document, path, message, hint=nearest(field_name, slots))
        return None
    slot = slots[field_name]
    return _Source(code, schema.types[code], slot, schema.types[code].fields[slot].kind)


def _value_kind(one: Declared[FeatureShape], kind: str, source: Kind | None, faults: Faults) -> Kind | None:
    """The kind of the value, by that of what the feature takes; None, and a fault, where it cannot."""
    result = KINDS[kind].results.get(source)
    if result is not None:
        return result
    what = "the event itself" if source is None else f"a {source.name.lower()}"
    message = f"`{kind}` needs a field that holds {KINDS[kind].takes}, not {what}"
    faults.add(Code.BAD_FEATURE_TYPE, one.document, (*one.path, kind), message)
    return None


def read_where(
    text: str, origin: Origin, code: int, names: Names, faults: Faults, scope: Scope | None = None
) -> Expr | None:
    """What an event must be for a feature, or a deadline, to take it; None where it is wrong, and that is reported.

    `scope` are its names, where they are more than those of any `where`.
    """
    found = read_expression(text, origin, scope or names.where_scope(code), names.broken, faults)
    for node in walk(found) if found is not None else ():
        if isinstance(node, Has) and node.member in names.catalogue.kept_lists and _asks_lists(node):
            start = max(text.find(node.member), 0)
            message = f"rules keep the list `{node.member}`: who is on it is known after features are counted"
            place = origin.place(start, start + len(node.member))
            faults.extend([Diagnostic(Code.KEPT_LIST, message, place, hint="ask for it in the rule's `when`")])
            return None
    return found


def _asks_lists(node: Has) -> bool:
    return isinstance(node.part, Use) and set_of(node.part.operand.name) == "lists"


def _is_own(
    one: Declared[FeatureShape], made: Feature, names: Names, history: Mapping[str, str], faults: Faults
) -> bool:
    """Whether neither the name nor the history belongs to something else."""
    clash = "an attribute" if one.name in names.subscriber else ""
    owner = next((kind.name for kind in names.catalogue.schema.types[1:] if one.name in kind.slots), None)
    if owner is not None and not (faults.kept and came_later(owner, one.name)):
        clash = f"a field of `{owner}`"
    if clash:
        message = f"feature `{one.name}` has the name of {clash}: a rule could not tell them apart"
        faults.add(Code.NAME_CLASH, one.document, one.path, message, key=True)
        return False
    twin = history.get(made.meaning)
    if twin is not None:
        message = f"feature `{one.name}` keeps the same history as `{twin}`"
        hint = f"use `{twin}` in its place"
        faults.add(Code.DECLARED_TWICE, one.document, one.path, message, hint=hint, key=True)
    return twin is None


def _fingerprint(
    kind: str, event: str, name: str, value: Kind, where: str, span: Window, zone: str, *more: object
) -> str:
    parts = (kind, event, name, value.name, where, span.kind, span.ms, span.panes, zone, *more)
    return blake2b(repr(parts).encode(), digest_size=8).hexdigest()
