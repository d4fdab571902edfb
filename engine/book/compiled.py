"""A book made ready to run: programs, feature specifications, gates and facts as arrays, once for all partitions.

Compiling makes arrays only; no machine code is made, so a reload costs milliseconds. Nothing here changes after it is
made, so partitions and threads share it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from engine.book.priorities import NO_RANKS, Ranks, ranks_of
from engine.book.sequences import NO_STEPS, spec_of_sequence, step_words, wheres_of
from rules.expressions.constants import COLUMNS_KEPT
from rules.expressions.lookups import Column
from rules.expressions.program import compile_program, compile_values
from rules.expressions.run import Program
from rules.expressions.text_lanes import CODES
from rules.expressions.tree import Call, Expr, Literal, Lookup, Operand, operands, walk
from rules.gates.keeping import KeepTable, keep_table
from rules.gates.lists import LISTS
from rules.gates.table import GateTable, features_judged_again, features_read, gate_table
from rules.load import load_text
from rules.model import Book, Feature, Rule, Stays, Timer, Value
from state.features import FeatureSpec
from state.features.kinds.list_words import LIST_KINDS
from state.features.kinds.told import ANSWERS, OUTCOMES, REPLIES
from state.hashing import hash_text
from state.schema import ANSWER, DUE_KEY, LIST, LIST_NAME, MEMBERS_MAX, OUTCOME, PROFILE, REPLY, Field, Kind
from state.selection import BUILTIN, CELL, FEATURE
from state.sets import word_name
from state.texts import hashes_of

_SOURCES = {"cell": CELL, "builtin": BUILTIN, "feature": FEATURE, "value": FEATURE}
NEVER = Literal(Kind.BOOL, False)
NO_TYPE = -1
"""The source of what has several: no row is of this type."""

Types = frozenset[int]
TELLS = {OUTCOME: OUTCOMES, ANSWER: ANSWERS, REPLY: REPLIES}
"""The mode of a feature "told" by the type of its events."""


@dataclass(frozen=True, slots=True)
class TimerPlan:
    """What a timer reads beside what arms it: type, key's slot and condition of what ends it, -1 each for none; the
    type of rows `due`, and the slot of their key, -1 for none.
    """

    unless_type: int
    unless_slot: int
    where: int
    due_type: int
    due_slot: int


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """How one feature is folded.

    `types` are the event types whose rows update or read it; `source_slot` is -1 where it reads no field but the
    event's time; `where` is the index of its condition in `CompiledBook.wheres`, -1 for none. `steps` of a sequence,
    int64[steps, 2], are the type and the condition of each. `sightings` of an area, int64[1 + 3k]: how many, then type,
    slot and index of the condition of each. `read`: the row of values, after those of features and named values, that
    has what it takes in place of a field; -1 for none.
    """

    spec: FeatureSpec
    source_type: int
    source_slot: int
    where: int
    types: Types
    timer: TimerPlan | None = None
    steps: NDArray[np.int64] = field(default_factory=lambda: NO_STEPS, compare=False)
    sightings: NDArray[np.int64] | None = field(default=None, compare=False)
    read: int = -1

    @property
    def asks(self) -> bool:
        """Whether an expression is asked before rows are folded."""
        timed = self.timer is not None and self.timer.where >= 0
        takes = self.sightings is not None or self.read >= 0
        return self.where >= 0 or timed or takes or bool((self.steps[:, 1] >= 0).any())


@dataclass(frozen=True)
class CompiledBook:
    """A book and everything the decider reads of it.

    `fact_start` int32[rules + 1], `fact_source` uint8[facts], `fact_index` int32[facts]: what each rule's candidates
    leave in their records; `fact_text` uint8[facts]: whether it is a text. `shown`: event types and slots of the fields
    whose texts features may show later. `lists`: indices of the features with the bits of lists, a word each;
    `list_words`: the word of each list, by the hash of its name. `keeps`: whom rules keep, None where none does.
    `values`: programs of the named values that rules read, each after those that its own stand on; of what these may
    show, `value_texts` are the texts that the book wrote out, `value_parts` by rule the parts of other texts. `reads`:
    what features take in place of fields.
    """

    book: Book
    plans: tuple[FeaturePlan, ...]
    rules: Program
    wheres: Program
    gates: GateTable
    fact_start: NDArray[np.int32]
    fact_source: NDArray[np.uint8]
    fact_index: NDArray[np.int32]
    fact_text: NDArray[np.uint8]
    shown: tuple[tuple[int, int], ...]
    lists: tuple[int, ...]
    list_words: Mapping[int, int]
    keeps: KeepTable | None
    values: tuple[Program, ...] = ()
    value_texts: Mapping[int, bytes] = field(default_factory=dict)
    value_parts: tuple[tuple[Expr, ...], ...] = ()
    ranks: Ranks = NO_RANKS
    reads: tuple[Program, ...] = ()

    @property
    def kept_lists(self) -> set[int]:
        """The lists that rules keep, by the hashes of their names."""
        return {hash_text(rule.keep.list.encode()) for rule in self.book.rules if rule.keep is not None}


Compile = Callable[[Mapping[str, str], Book | None], CompiledBook]
"""From texts, and the book before, to the compiled book: `compile_texts`, or the same in another process."""


def compile_book(book: Book) -> CompiledBook:
    """Compile a checked book."""
    wheres = [(code, where) for feature in book.features for code, where in _wheres(feature)]
    types = len(book.schema.types)
    facts = [operand for rule in book.rules for operand in rule.facts]
    plans = _plans(book)
    lists = [index for index, feature in enumerate(book.features) if feature.kind in LIST_KINDS]
    return CompiledBook(
        book=book,
        plans=plans,
        rules=compile_program(
            [(rule.on, _asked(rule)) for rule in book.rules], types, book.transitions, first_value=len(book.features)
        ),
        wheres=compile_program(wheres, types, book.transitions, masks=True),
        gates=gate_table(book),
        fact_start=np.cumsum([0, *(len(rule.facts) for rule in book.rules)]).astype(np.int32),
        fact_source=np.array([_SOURCES[operand.source] for operand in facts], np.uint8),
        fact_index=np.array([book.place_of(operand) for operand in facts], np.int32),
        fact_text=np.array([operand.kind == Kind.STRING for operand in facts], np.uint8),
        shown=tuple(sorted({(one.source_type, one.source_slot) for one in book.features if holds_text(one)})),
        lists=tuple(lists),
        list_words={one: word for word, feature in enumerate(lists) for one in plans[feature].spec.members},
        keeps=keep_table(book, _types_of([plans[index].types for index in lists])),
        values=_values(book),
        ranks=ranks_of(book),
        reads=_reads(book),
        value_texts=_value_texts(book),
        value_parts=tuple(_parts_shown(book, rule) for rule in book.rules),
    )


def _types_of(some: Iterable[Types]) -> NDArray[np.uint8]:
    """Return uint8[256]: whether an event type is in one of the sets."""
    found = np.zeros(256, np.uint8)
    found[sorted({code for types in some for code in types})] = 1
    return found


def _value_texts(book: Book) -> dict[int, bytes]:
    """Return the texts, by hash, that values may take from the book itself: those written out, and those of tables."""
    words: set[str] = set()
    columns: dict[Column, None] = {}
    for value in book.values:
        for expr in (value.common, *value.by_type.values()):
            for node in walk(expr) if expr is not None else ():
                if isinstance(node, Literal) and node.kind is Kind.STRING:
                    words.add(str(node.value))
                elif isinstance(node, Lookup) and node.kind is Kind.STRING:
                    columns[node.column] = None
    found = {hash_text(text.encode()): text.encode() for text in sorted(words)}
    for column in columns:
        found |= _texts_in(column)
    return found


@lru_cache(maxsize=COLUMNS_KEPT)
def _texts_in(column: Column) -> dict[int, bytes]:
    """The texts of a table's column, remembered for the next book."""
    texts = [str(text).encode() for text in dict.fromkeys(column.values.values())]
    return dict(zip(hashes_of(texts).tolist(), texts, strict=True))


def _parts_shown(book: Book, rule: Rule) -> tuple[Expr, ...]:
    """Return the parts of texts that a value which the rule shows may be."""
    if not any(operand.source == "value" and operand.kind is Kind.STRING for operand in rule.facts):
        return ()
    nodes = (node for value in values_read(book, rule) for node in walk(value.on(rule.on) or NEVER))
    return tuple(node for node in nodes if isinstance(node, Call) and node.name in CODES and node.kind is Kind.STRING)


def _values(book: Book) -> tuple[Program, ...]:
    """Compile the values that are asked, on the rows of the types on which they are."""
    asked = sorted(
        {
            (value.level, value.place, rule.on)
            for rule in book.rules
            if rule.enabled
            for value in values_read(book, rule)
        }
    )
    by_level: dict[int, list[tuple[int, int, Expr]]] = {}
    for level, place, on in asked:
        expr = book.values[place].on(on)
        assert expr is not None
        by_level.setdefault(level, []).append((on, place, expr))
    types = len(book.schema.types)
    return tuple(
        compile_values(by_level[level], types, book.transitions, len(book.features)) for level in sorted(by_level)
    )


def values_read(book: Book, rule: Rule) -> list[Value]:
    """Return the values that a rule reads, and those that they stand on."""
    found: dict[str, Value] = {}
    open_ = list(rule.facts)
    while open_:
        operand = open_.pop()
        if operand.source == "value" and operand.name not in found:
            value = found[operand.name] = book.values_by_name[operand.name]
            expr = value.on(rule.on)
            assert expr is not None
            open_ += operands(expr)
    return list(found.values())


def holds_text(feature: Feature) -> bool:
    """Return whether a feature holds the hash of a text, which it may show later; a timer does so by its key."""
    is_key = feature.timer is not None and feature.timer.due_slot == DUE_KEY
    return is_key or (feature.value_kind == Kind.STRING and feature.source_slot >= 0)


def compile_texts(sources: Mapping[str, str], before: Book | None) -> CompiledBook:
    """Load the book in `sources` as the one that follows `before`, and compile it; BookErrors lists every fault."""
    return compile_book(load_text(sources, before))


def spec_of(feature: Feature, book: Book) -> FeatureSpec:
    """Return what `state.features` needs to know of a feature."""
    fields = book.schema.types[feature.source_type].fields
    if feature.sequence is not None:
        return spec_of_sequence(feature.sequence)
    if feature.timer is not None:
        timer = feature.timer
        return FeatureSpec(
            kind=feature.kind,
            value_kind=feature.value_kind,
            window="ever",
            window_ms=timer.span_ms,
            cells=timer.keys_max,
            keyed=feature.source_slot >= 0,
            starts_anew=timer.starts_anew,
            own=timer.number,
            leave_ms=feature.stays.leave_ms if feature.stays is not None else 0,
            leaves=feature.stays is not None and feature.stays.leaves,
        )
    if feature.stays is not None:
        return FeatureSpec(kind=feature.kind, value_kind=feature.value_kind, leave_ms=feature.stays.leave_ms)
    if feature.settling is not None:
        held_ms, sightings = feature.settling.held_ms, feature.settling.sightings
        return FeatureSpec(kind=feature.kind, value_kind=feature.value_kind, window_ms=held_ms, sightings=sightings)
    return FeatureSpec(
        kind=feature.kind,
        value_kind=_taken(feature, fields),
        window=feature.window.kind,
        window_ms=feature.window.ms,
        panes=feature.window.panes,
        transitions=book.transitions,
        members=tuple(hash_text(name.encode()) for name in feature.members) if feature.kind in LIST_KINDS else (),
        tells=TELLS.get(feature.source_type, 0),
    )


def _taken(feature: Feature, fields: Sequence[Field]) -> Kind:
    """Return the kind of what a feature takes of an event."""
    if feature.read is not None:
        return feature.read.kind
    return fields[feature.source_slot].kind if feature.source_slot >= 0 else feature.value_kind


def _asked(rule: Rule) -> Expr:
    """What is asked for a rule; one that is switched off keeps its place in the order and never fires."""
    return rule.when if rule.enabled else NEVER


def _reads(book: Book) -> tuple[Program, ...]:
    """Compile what features take in place of fields, each to a row of its own after those of named values."""
    reading = [(one.source_type, one.read) for one in book.features if one.read is not None]
    asked = [(on, len(book.values) + at, read) for at, (on, read) in enumerate(reading)]
    return (compile_values(asked, len(book.schema.types), book.transitions, len(book.features)),) if asked else ()


def _plans(book: Book) -> tuple[FeaturePlan, ...]:
    read_by = _readers(book)
    plans = []
    wheres, reads = 0, 0
    for index, feature in enumerate(book.features):
        where, timer, types, steps = -1, None, frozenset({feature.source_type}), NO_STEPS
        sightings = None
        if feature.where is not None:
            where, wheres = wheres, wheres + 1
        if feature.stays is not None:
            sightings = _sightings(feature.stays, wheres)
            wheres += len(feature.stays.sightings)
            types = frozenset(one.type for one in feature.stays.sightings)
        if feature.timer is not None:
            timer = _timer_plan(feature.timer, wheres)
            wheres += timer.where >= 0
            types |= {timer.due_type} | ({timer.unless_type} if timer.unless_type >= 0 else set())
        if feature.sequence is not None:
            steps, wheres = step_words(feature.sequence, wheres)
            types = frozenset(steps[:, 0].tolist())
        plans.append(
            FeaturePlan(
                spec=spec_of(feature, book),
                source_type=feature.source_type if sightings is None else NO_TYPE,
                source_slot=LIST_NAME if feature.kind in LIST_KINDS else feature.source_slot,
                where=where,
                types=types | read_by[index],
                timer=timer,
                steps=steps,
                sightings=sightings,
                read=len(book.features) + len(book.values) + reads if feature.read is not None else -1,
            )
        )
        reads += feature.read is not None
    return tuple(plans)


def _sightings(stays: Stays, where: int) -> NDArray[np.int64]:
    """Return what the fold is told of an area; `where` is the index of the first of its conditions."""
    told = [word for at, one in enumerate(stays.sightings) for word in (one.type, one.slot, where + at)]
    return np.array([len(stays.sightings), *told], np.int64)


def _timer_plan(timer: Timer, where: int) -> TimerPlan:
    """Return the plan of a timer; `where` is the index of what ends it, if that has a condition."""
    asked = where if timer.unless_where is not None else -1
    return TimerPlan(timer.unless_type, timer.unless_slot, asked, timer.due_type, timer.due_slot)


def _wheres(feature: Feature) -> Iterator[tuple[int, Expr]]:
    """Yield the conditions of a feature, each with the type of event that it is asked about."""
    if feature.where is not None:
        yield feature.source_type, feature.where
    for sighting in feature.stays.sightings if feature.stays is not None else ():
        yield sighting.type, sighting.inside
    if feature.timer is not None and feature.timer.unless_where is not None:
        yield feature.timer.unless_type, feature.timer.unless_where
    if feature.sequence is not None:
        yield from wheres_of(feature.sequence)


def _readers(book: Book) -> Sequence[Types]:
    """Return, for each feature, the event types whose rules, features, texts or gates look at it."""
    readers: list[set[int]] = [set() for _ in book.features]
    for rule in (rule for rule in book.rules if rule.enabled):
        below = [operands(expr) for value in values_read(book, rule) if (expr := value.on(rule.on)) is not None]
        for index in (*_features_of(chain(rule.facts, *below)), *features_read(book, rule)):
            readers[index].add(rule.on)
    keeping = {rule.on for rule in book.rules if rule.keep is not None}
    for index in features_judged_again(book):
        readers[index] |= {PROFILE, LIST, ANSWER} | keeping
    for rule in book.rules:
        if rule.keep is not None:
            word = word_name(LISTS, book.lists[rule.keep.list].index // MEMBERS_MAX)
            readers[book.feature_index(word)].add(rule.on)
    for feature in book.features:
        read = [(feature.source_type, feature.read)] if feature.read is not None else []
        for code, where in (*_wheres(feature), *read):
            for index in _features_of(operands(where)):
                readers[index].add(code)
    return [frozenset(some) for some in readers]


def _features_of(read: Iterable[Operand]) -> list[int]:
    return [operand.index for operand in read if operand.source == "feature"]
