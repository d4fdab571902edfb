"""What is probably not meant, in a book that can be used: `opportune check --lint`.

    W101  a condition, or the `where` of a feature, that can never hold
    W102  a name that nothing uses: event, attribute, feature, list, offer, campaign, category, channel
    W103  a text that a condition compares with, and that no recorded event has
    W104  a cap of 0: nothing goes
    W105  a text of more messages on the air than wanted, even with its gaps left empty
    W106  a commercial text without any of the words that stop such texts
    W107  a rule that no test of the book expects anything of
    W108  a file in the book's folder that is not read

Each is a `Diagnostic` of level "warning", with place and hint like an error. What is known of recorded values, and how
long texts are on the air, is passed in.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rules.codes import Advice
from rules.contradictions import contradictions
from rules.diagnostics import Diagnostic, Place, nearest
from rules.expressions.tree import Compare, Expr, Has, Literal, OneOf, Use, operands, walk
from rules.expressions.written import canonical
from rules.gates.lists import LISTS
from rules.gates.table import features_read
from rules.model import Book, Rule
from rules.templates import Template
from rules.toml import Document, read_document
from state.schema import Kind, make_schema

__all__ = ["Compared", "Lint", "compared_texts", "lint"]

BUILT_IN = frozenset(kind.name for kind in make_schema((), ()).types)


@dataclass(frozen=True, slots=True)
class Compared:
    """A text that a condition compares a field of events with: by event type and field."""

    event: str
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Lint:
    """What advice goes by.

    `optout_words`: one of them must stand in a commercial text. `parts_of` says how many messages a text is, at most
    `parts_max` are wanted. `seen`: by event type and field the recorded texts, None where no data was looked at; a
    field without any is left out.
    `ignored`: names of files in the folder that are not read.
    """

    optout_words: Sequence[str]
    parts_of: Callable[[str], int]
    parts_max: int = 3
    seen: Mapping[tuple[str, str], frozenset[str]] | None = None
    ignored: Sequence[str] = field(default_factory=tuple)


def lint(book: Book, by: Lint) -> list[Diagnostic]:
    """Return all advice for a book, in the order of places."""
    places = _Places(book)
    found = [*_conditions(book, by, places), *_unused(book, places), *_rules(book, by, places), *_caps(places)]
    found += [
        Diagnostic(Advice.IGNORED_FILE, "this file is not read: a book is its *.toml files", Place(name, 1, 1))
        for name in by.ignored
    ]
    warnings = {Diagnostic(one.code, one.message, one.place, one.label, one.hint, "warning") for one in found}
    return sorted(warnings, key=lambda one: (one.place, one.code, one.message))


def compared_texts(expr: Expr, event: str) -> Iterator[Compared]:
    """Yield the texts with which fields of the event are compared."""
    for node in walk(expr):
        match node:
            case Compare("==", Use(operand), Literal(Kind.STRING, value)) if operand.source == "cell":
                yield Compared(event, operand.name.rpartition(".")[2], str(value))
            case Compare("==", Literal(Kind.STRING, value), Use(operand)) if operand.source == "cell":
                yield Compared(event, operand.name.rpartition(".")[2], str(value))
            case OneOf(Use(operand), values) if operand.source == "cell" and operand.kind == Kind.STRING:
                for value in values:
                    yield Compared(event, operand.name.rpartition(".")[2], str(value))


class _Places:
    """Where things of a book stand in its files."""

    def __init__(self, book: Book) -> None:
        sources = {name: text for name, text in book.sources.items() if name.endswith(".toml")}
        self.documents = [read_document(name, text) for name, text in sources.items()]
        self._rules = {
            block.data.get("id"): (document, index)
            for document in self.documents
            for index, block in enumerate(document.rules)
        }

    def of_rule(self, rule: Rule, *path: str | int) -> Place:
        """Return the place of a value of a rule."""
        document, index = self._rules[rule.id]
        return document.place(("rule", index, *path))

    def of(self, *path: str) -> Place | None:
        """Return the place of a declared name; None where it is not written out."""
        for document in self.documents:
            table: object = document.head
            for name in path:
                table = table.get(name) if isinstance(table, Mapping) else None
            if table is not None:
                return document.place(path, key=True)
        return None


def _conditions(book: Book, by: Lint, places: _Places) -> Iterator[Diagnostic]:
    conditions = [(rule.when, rule.on, places.of_rule(rule, "when")) for rule in book.rules]
    for feature in book.features:
        place = places.of("features", feature.name)
        if feature.where is not None and place is not None:
            conditions.append((feature.where, feature.source_type, place))
    for expr, on, place in conditions:
        for parts in contradictions(expr):
            said = " and ".join(canonical(part) for part in parts)
            yield Diagnostic(Advice.CONTRADICTION, f"this can never hold: {said}", place)
        if by.seen is not None:
            yield from _never_seen(expr, book.schema.types[on].name, place, by.seen)


def _never_seen(
    expr: Expr, event: str, place: Place, seen: Mapping[tuple[str, str], frozenset[str]]
) -> Iterator[Diagnostic]:
    for one in compared_texts(expr, event):
        known = seen.get((one.event, one.field))
        if known is not None and one.value not in known:
            message = f"no recorded event `{one.event}` has {one.field} == {one.value!r}"
            yield Diagnostic(Advice.NEVER_SEEN, message, place, hint=nearest(one.value, known))


def _unused(book: Book, places: _Places) -> Iterator[Diagnostic]:
    used = _used(book)
    declared = {
        "features": [one.name for one in book.features if not one.attribute and one.name != LISTS],
        "attributes": list(book.attributes),
        "lists": [name for name, one in book.lists.items() if not one.excludes],
        "offers": list(book.offers),
        "campaigns": list(book.campaigns),
        "categories": list(book.categories),
        "channels": list(book.channels),
        "events": [one.name for one in book.schema.types if one.name not in BUILT_IN],
    }
    for section, names in declared.items():
        for name in names:
            place = places.of(section, name)
            if name not in used[section] and place is not None:
                yield Diagnostic(Advice.UNUSED, f"nothing uses {section.removesuffix('s')} `{name}`", place)


def _used(book: Book) -> Mapping[str, set[str]]:
    """Return the names that rules, features and gates use, by section."""
    indices = {index for rule in book.rules for index in features_read(book, rule)}
    names = {book.features[index].name for index in indices}
    asked = [one for feature in book.features for one in (feature.where, feature.read)]
    exprs = [rule.when for rule in book.rules] + [one for one in asked if one is not None]
    seen = {one.type for feature in book.features if feature.stays is not None for one in feature.stays.sightings}
    seen |= {one.timer.unless_type for one in book.timers.values() if one.timer is not None} - {-1}
    names |= {fact.name for rule in book.rules for fact in rule.facts}
    names |= {operand.name for expr in exprs for operand in operands(expr)}
    if book.quiet is not None:
        names |= {book.quiet.start, book.quiet.end, book.quiet.zone}
    kept = {rule.keep.list for rule in book.rules if rule.keep is not None}
    members = {node.member for expr in exprs for node in walk(expr) if isinstance(node, Has)}
    return {
        "features": names,
        "attributes": names | ({"services"} if book.offers else set()),
        "lists": members | {name for rule in book.rules for name in rule.exclude} | kept,
        "offers": {rule.offer for rule in book.rules if rule.offer is not None},
        "campaigns": {rule.campaign for rule in book.rules},
        "categories": {rule.category for rule in book.rules if rule.category is not None},
        "channels": {name for rule in book.rules for name in rule.channels},
        "events": {book.schema.types[code].name for code in (
            *(rule.on for rule in book.rules), *(one.source_type for one in book.features), *seen
        )},
    }  # fmt: skip


def _rules(book: Book, by: Lint, places: _Places) -> Iterator[Diagnostic]:
    tested = {wanted.rule for test in book.tests for wanted in test.expect}
    for rule in book.rules:
        if rule.id not in tested:
            hint = "a [[test]] with an event and what it must `expect`"
            message = f"no test expects anything of rule `{rule.id}`"
            yield Diagnostic(Advice.NO_TEST, message, places.of_rule(rule, "id"), hint=hint)
        for path, template in _texts(rule):
            if book.channels[str(path[-1])].kind == "sms":
                yield from _text(rule, template.text, _shortest(template.parts), places.of_rule(rule, *path), by)


def _texts(rule: Rule) -> Iterator[tuple[tuple[str, ...], Template]]:
    """Yield the texts of a rule and of its arms, each with its path in the rule."""
    yield from ((("text", channel), text) for channel, text in rule.texts.items())
    for arm, texts in rule.arm_texts.items():
        yield from ((("arms", arm, "text", channel), text) for channel, text in texts.items())


def _shortest(parts: Sequence[object]) -> str:
    """Return a text with its gaps left empty."""
    return "".join(part for part in parts if isinstance(part, str))


def _text(rule: Rule, text: str, shortest: str, place: Place, by: Lint) -> Iterator[Diagnostic]:
    parts = by.parts_of(shortest)
    if parts > by.parts_max:
        message = f"this text of {len(shortest)} characters is {parts} messages on the air, without its gaps"
        yield Diagnostic(Advice.LONG_TEXT, message, place, hint=f"at most {by.parts_max} are wanted")
    if rule.klass == "commercial" and not any(word.casefold() in text.casefold() for word in by.optout_words):
        message = f"this commercial text says nowhere how to stop such texts: {', '.join(by.optout_words)}"
        yield Diagnostic(Advice.NO_OPT_OUT, message, place)


def _caps(places: _Places) -> Iterator[Diagnostic]:
    """Yield caps of 0, wherever they are written."""
    for document in places.documents:
        for path, text in _cap_texts(document):
            if text.partition(" ")[0].strip("0") == "":
                yield Diagnostic(Advice.CAP_ZERO, f"cap={text!r} lets nothing go", document.place(path))


def _cap_texts(document: Document) -> Iterator[tuple[tuple[str | int, ...], str]]:
    tables: list[tuple[tuple[str | int, ...], object]] = [
        (("rule", at), one.data) for at, one in enumerate(document.rules)
    ]
    tables += [((name,), table) for name, table in document.head.items()]
    tables += [
        ((name, key), table)
        for name, section in document.head.items()
        if isinstance(section, Mapping)
        for key, table in section.items()
    ]
    for path, table in tables:
        caps = table.get("cap") if isinstance(table, Mapping) else None
        for at, text in enumerate(caps if isinstance(caps, list) else [caps] if caps else []):
            if isinstance(text, str):
                yield (*path, "cap", at) if isinstance(caps, list) else (*path, "cap"), text
