"""What is known: of every subscriber under the book in force, and as of one event.

Nothing is judged here; `judging` asks, `interpreter` tells.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rules.expressions.interpret import Row as Seen
from rules.expressions.interpret import evaluate
from rules.expressions.tree import And, Expr, Operand
from rules.model import Book, Feature, Rule
from state.batch import Row
from state.schema import PROFILE, Kind
from state.sets import set_of
from tests.oracle.clock import Zone
from tests.oracle.memory import KINDS, Lists, Memory, Told
from tests.oracle.promises import Promises, horizon_ms
from tests.oracle.stays import Area


@dataclass
class Person:
    """All that is known of one subscriber; `memories` by the meaning of their features."""

    promises: Promises
    memories: dict[str, Memory] = field(default_factory=dict)
    visit_ms: int = 0
    visit: Any = None
    visit_at_ms: int = 0


class Known:
    """The book in force, and what is remembered under it; of each subscriber at most `promises_max` promises."""

    book: Book
    zone: Zone
    horizon_ms: int

    def __init__(self, promises_max: int) -> None:
        self.people: dict[int, Person] = defaultdict(lambda: Person(Promises(promises_max)))
        self.paused: set[tuple[str, str]] = set()
        self.begun_ms: dict[str, int] = {}

    def activate(self, book: Book) -> None:
        """Switch to a book: what it does not declare is forgotten, what is new begins with nothing."""
        self.book = book
        self.zone = Zone(book.zone)
        self.horizon_ms = horizon_ms(book)
        kept = {feature.meaning for feature in book.features}
        self.begun_ms = {one: ms for one, ms in self.begun_ms.items() if one in kept}
        for person in self.people.values():
            person.memories = {one: memory for one, memory in person.memories.items() if one in kept}

    def begin(self, append_ms: int) -> None:
        """What is new in the book is kept from here on."""
        for feature in self.book.features:
            self.begun_ms.setdefault(feature.meaning, append_ms)

    def control(self, record: Mapping[str, str]) -> None:
        """Pause, resume or kill a rule, a campaign or a channel."""
        name = (record["kind"], record["name"])
        if record["action"] == "resume":
            self.paused.discard(name)
        else:
            self.paused.add(name)


class Moment:
    """Everything that can be asked as of one event, by name: its own fields, and the features of its subscriber."""

    def __init__(self, known: Known, code: int, row: Row, append_ms: int) -> None:
        self.known, self.code, self.row, self.append_ms = known, code, row, append_ms
        self.person = known.people[row.subscriber]
        self.values: dict[int, Any] = {}
        self._seen = Seen(self, row.at_ms, append_ms)  # type: ignore[arg-type]  # the evaluator asks `get` only

    def memory(self, feature: Feature) -> Memory:
        """What a feature remembers of this subscriber."""
        memory = self.person.memories.get(feature.meaning)
        if memory is None:
            memory = self.person.memories[feature.meaning] = KINDS[feature.kind](feature, self.known.zone)
        return memory

    def feature(self, index: int) -> Any:
        """The value of a feature as of this event, unknown while it learns; `since` was asked before the event."""
        feature = self.known.book.features[index]
        if self.append_ms < max(feature.known_from_ms, self.known.begun_ms[feature.meaning] + feature.learn_ms):
            return None
        if index not in self.values:
            memory = self.memory(feature)
            if isinstance(memory, Lists):
                self.values[index] = memory.among(feature.members, self.append_ms)
            elif isinstance(memory, Told):
                self.values[index] = memory.among(self.append_ms)
            else:
                assert not isinstance(memory, Area)  # told of every event
                self.values[index] = memory.value(self.row.at_ms)
        return self.values[index]

    def get(self, name: str) -> Any:
        """The value that a name has on this event."""
        if name in self.known.book.schema.types[self.code].slots and self.code != PROFILE:
            return self.row.values.get(name)
        if self.row.type == "due" and name == self._key_name():
            return self.row.values.get("text", self.row.values.get("number"))
        if name.startswith("profile."):
            own = name.removeprefix("profile.")
            value: Any = self.row.values.get(set_of(own))
            field = self.known.book.schema.types[PROFILE].fields[self.known.book.schema.slot(PROFILE, own)]
            return (
                value if field.kind is not Kind.SET or value is None else [one for one in value if one in field.members]
            )
        named = self.known.book.values_by_name.get(name)
        if named is not None:
            expr = named.on(self.code)
            assert expr is not None
            return evaluate(expr, self._seen, self.known.zone.wall_ms)
        return self.feature(self.known.book.feature_index(name))

    def words(self, name: str) -> set[str]:
        """All members of a set that the subscriber has; an unknown set has none."""
        features = self.known.book.features
        held = [self.feature(at) for at, one in enumerate(features) if set_of(one.name) == name]
        return {member for some in held for member in some or ()}

    def _key_name(self) -> str | None:
        """The name of the key of the rule whose deadline this event is."""
        book = self.known.book
        rule = book.by_stable_id.get(int(self.row.values["rule"]))  # type: ignore[arg-type]  # an INT field
        timer = book.timers.get(rule.id) if rule is not None else None
        if timer is None or timer.source_slot < 0:
            return None
        return book.schema.types[timer.source_type].fields[timer.source_slot].name

    def fact(self, operand: Operand) -> Any:
        """What a record keeps of an operand."""
        if operand.source == "builtin":
            return self.row.at_ms if operand.index == 0 else self.append_ms
        return self.get(operand.name)

    def priority(self, rule: Rule) -> int:
        """A rule's priority on this event: a number from 0 to 1000, without its fraction; 0 where it is unknown."""
        if rule.ranked_by is None:
            return rule.priority
        number = self.fact(rule.ranked_by)
        return (
            1000 if number is not None and number >= 1000 else int(number) if number is not None and number > 0 else 0
        )

    def worth(self, expr: Expr) -> Any:
        """What an expression makes of this event; None is unknown."""
        return evaluate(expr, self._seen, self.known.zone.wall_ms)

    def is_inside(self, feature: Feature) -> bool | None:
        """Whether this event says that its subscriber is in the area of a feature; None where it says nothing."""
        assert feature.stays is not None
        for one in feature.stays.sightings:
            name = self.known.book.schema.types[one.type].fields[one.slot].name
            if one.type == self.code and self.row.values.get(name) is not None:
                return self.holds(one.inside)
        return None

    def holds(self, expr: Expr) -> bool:
        """Whether a condition is true, and not false or unknown; all parts of an `and` must be."""
        parts = expr.parts if isinstance(expr, And) else (expr,)
        return all(evaluate(part, self._seen, self.known.zone.wall_ms) is True for part in parts)
