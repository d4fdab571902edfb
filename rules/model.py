"""The rule book as the engine sees it: frozen, checked, with every name resolved.

`rules.load` makes a `Book` from TOML and is the only maker of these objects; nothing here reads files, clocks or
state. A book is a value: two books made from the same texts are equal in every part that decides, and `version`
names their content.

Identity. `stable_id` of a rule, `campaign_id` and `channel_id` are hashes of the names (`state.hashing.stable_id`), so
they mean the same in every book and may be written to disk. Indexes (of features, event types, slots) hold
for one book only; a feature's history is matched across books by its `fingerprint`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from rules.kept import Area, Settling, Sighting, Stays, Timer
from rules.scopes import Campaign, Cap, Category, Channel, Klass
from state.hashing import stable_id
from state.sets import is_further, set_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rules.arms import Arms
    from rules.expressions.tree import Expr, Operand
    from rules.promises import Scenario
    from rules.steps import Sequence
    from rules.templates import Template
    from state.schema import Kind, Schema

__all__ = [
    "PRIORITY_MAX",
    "Area",
    "Book",
    "Campaign",
    "Cap",
    "Category",
    "Channel",
    "Feature",
    "Keep",
    "ListDef",
    "Offer",
    "Rule",
    "Settling",
    "Sighting",
    "Stays",
    "Timer",
    "Value",
    "Window",
]

PRIORITY_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Window:
    """How far back a feature looks. `rolling`: `ms` cut into `panes`; `day`, `month`: the calendar's; `ever`."""

    kind: Literal["rolling", "day", "month", "ever"]
    ms: int = 0
    panes: int = 1


@dataclass(frozen=True, slots=True)
class Feature:
    """One number (or text, time, set) kept per subscriber.

    `kind` is a key of `state.features.KINDS`. `source_slot` is -1 where the feature reads no field: what it keeps is
    a count, or the event's time. `fingerprint` changes when the stored history would mean something else, and when its
    `where` is written in another order; `meaning` only when it means something else: a book that follows another takes
    over the history of the same meaning.

    Until the history was kept for `learn_ms`, and until `known_from_ms` by the log's clock, the value is unknown.
    `timer` is what a rule with a deadline keeps, `sequence` one of `[sequences]`; such features have no place among the
    names of expressions. `stays` is what is followed of an area, whose sightings are its source. `read` is what the
    feature takes in place of a field, made of the event; `settling` when that counts.
    """

    name: str
    kind: str
    source_type: int
    source_slot: int
    where: Expr | None
    window: Window
    value_kind: Kind
    fingerprint: str
    members: tuple[str, ...] = ()
    attribute: bool = False
    meaning: str = ""
    learn_ms: int = 0
    known_from_ms: int = 0
    timer: Timer | None = None
    sequence: Sequence | None = None
    stays: Stays | None = None
    settling: Settling | None = None
    read: Expr | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """An expression that rules and other values use by its name.

    `place` is its index among the values; their rows come after those of the features. On the rows of event type `code`
    it is `on(code)`: `common` where it names no field, so that it may be asked on every row, else that of the type in
    `by_type`, None for other types. `fields` are those that it names; `level` says how many values stand below it, one
    upon the other.
    """

    name: str
    place: int
    common: Expr | None
    by_type: Mapping[int, Expr]
    level: int
    fields: tuple[str, ...] = ()

    def on(self, code: int) -> Expr | None:
        """The expression on the rows of an event type; None where it cannot be asked there."""
        return self.common if self.common is not None else self.by_type.get(code)


@dataclass(frozen=True, slots=True)
class ListDef:
    """A named list of subscribers; `index` is its place in the built-in set `lists`."""

    name: str
    index: int
    excludes: Literal["", "commercial", "all"]
    title: str = ""

    @property
    def list_id(self) -> int:
        """What stands for it on disk."""
        return stable_id(self.name)


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered, and to whom: by members of the attribute `services` that must, and must not, be held.

    `repeat_ms`: how long after one contact with it no other is made; `declined_hides_ms`: the same after a decline.
    """

    name: str
    title: str
    script: str = ""
    link: str = ""
    requires: tuple[str, ...] = ()
    unless_holds: tuple[str, ...] = ()
    repeat_ms: int = 0
    declined_hides_ms: int = 0


@dataclass(frozen=True, slots=True)
class Keep:
    """An audience: whom a rule fires for is on `list` for `for_ms` from then on (`rules.gates.keeping`)."""

    list: str
    for_ms: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One question and what to do when the answer is yes. `facts` are the names that `when` and the texts use.

    `ranked_by` is the number of the row that is its priority, in place of `priority`. `shadow`: it decides, and sends
    nothing. `arms` are its own or its campaign's, of which it is for `arm`, where that is not None; `arm_texts` are the
    texts that arms have in place of `texts`, by arm and channel.
    """

    id: str
    stable_id: int
    campaign: str
    campaign_id: int
    on: int
    when: Expr
    channels: tuple[str, ...]
    channel_ids: tuple[int, ...]
    offer: str | None
    priority: int
    caps: tuple[Cap, ...]
    max_age_ms: int
    shelf_life_ms: int
    exclude: tuple[str, ...]
    holdout_ppm: int
    reason: Template
    texts: Mapping[str, Template]
    klass: Klass
    facts: tuple[Operand, ...]
    enabled: bool = True
    file: str = ""
    line: int = 0
    category: str | None = None
    keep: Keep | None = None
    ranked_by: Operand | None = None
    shadow: bool = False
    arms: Arms | None = None
    arm: str | None = None
    arm_texts: Mapping[str, Mapping[str, Template]] = field(default_factory=dict)

    @property
    def sends(self) -> bool:
        """Whether anything of it may go."""
        return self.enabled and not self.shadow

    def text_of(self, channel: str, arm: int) -> Template | None:
        """The text of a channel for the arm of this number, 0 for none; None where the channel has no text."""
        name = self.arms.names[arm - 1] if self.arms is not None and arm else ""
        return self.arm_texts.get(name, self.texts).get(channel, self.texts.get(channel))

    def priority_on(self, facts: Mapping[str, Any]) -> int:
        """The priority where the facts are these: the book's, or the number that it names, 0 where that is unknown."""
        if self.ranked_by is None:
            return self.priority
        number = facts.get(self.ranked_by.name)
        return int(min(number, PRIORITY_MAX)) if number is not None and number > 0 else 0


@dataclass(frozen=True, slots=True)
class Quiet:
    """Quiet hours of each subscriber: the attributes that say from when and to when, and in which zone they are."""

    start: str
    end: str
    zone: str


@dataclass(frozen=True, slots=True)
class Goal:
    """What contacts of a campaign, or of a rule, are for; worth the field `value_slot`, or `worth` where that is -1."""

    name: str
    on: int
    when: Expr
    within_ms: int
    campaign: str
    rule: str
    value_slot: int
    value_kind: Kind
    worth: float


@dataclass(frozen=True)
class Book:
    """A whole rule book. `rules` are sorted by (-priority, id); attributes come first in `features`, then `lists`.

    A set of more than 62 members, `lists` too, is several features behind each other (`state.sets`).
    """

    version: str
    schema: Schema
    zone: str
    transitions: NDArray[np.int64]
    features: tuple[Feature, ...]
    rules: tuple[Rule, ...]
    campaigns: Mapping[str, Campaign]
    channels: Mapping[str, Channel]
    lists: Mapping[str, ListDef]
    areas: Mapping[str, Area]
    offers: Mapping[str, Offer]
    tests: tuple[Scenario, ...]
    caps: tuple[Cap, ...]
    decisions_max: tuple[int, ...]
    holdout_ppm: int
    sources: Mapping[str, str] = field(repr=False)
    quiet: Quiet | None = None
    categories: Mapping[str, Category] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()
    values: tuple[Value, ...] = ()

    @cached_property
    def values_by_name(self) -> Mapping[str, Value]:
        """The named values."""
        return {value.name: value for value in self.values}

    def place_of(self, operand: Operand) -> int:
        """Where an operand's value stands: its index, for a named value that of its row after those of the features."""
        return operand.index + (len(self.features) if operand.source == "value" else 0)

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """The names of the subscriber's attributes, in feature order (`lists` is not among them)."""
        return tuple(one.name for one in self.features if one.attribute and not is_further(one.name))

    @cached_property
    def by_stable_id(self) -> Mapping[int, Rule]:
        """Rules by the number that decisions carry."""
        return {rule.stable_id: rule for rule in self.rules}

    @cached_property
    def by_id(self) -> Mapping[str, Rule]:
        """Rules by their name."""
        return {rule.id: rule for rule in self.rules}

    @cached_property
    def timers(self) -> Mapping[str, Feature]:
        """What rules with `after` keep, by the rule's id."""
        return {feature.timer.rule: feature for feature in self.features if feature.timer is not None}

    @cached_property
    def channels_by_id(self) -> Mapping[int, Channel]:
        """Channels by the number that decisions carry."""
        return {channel.channel_id: channel for channel in self.channels.values()}

    @cached_property
    def _feature_indexes(self) -> Mapping[str, int]:
        return {feature.name: index for index, feature in enumerate(self.features)}

    def feature_index(self, name: str) -> int:
        """The index of a feature or attribute in `features`; KeyError when the book has none of that name."""
        return self._feature_indexes[name]

    def words(self, name: str) -> range:
        """The indices of the features that hold a set, one a word; KeyError when the book has no such set."""
        first = self.feature_index(name)
        after = first + 1
        while after < len(self.features) and set_of(self.features[after].name) == name:
            after += 1
        return range(first, after)

    def rule(self, stable_id: int) -> Rule | None:
        """The rule a decision names, or nothing when this book no longer has it."""
        return self.by_stable_id.get(stable_id)

    def channel_name(self, channel_id: int) -> str | None:
        """The name of a channel, by its number."""
        channel = self.channels_by_id.get(channel_id)
        return channel.name if channel else None

    def caps_of(self, rule: Rule, channel: str) -> tuple[Cap, ...]:
        """Every cap that a contact of this rule on this channel must respect, the rule's first, everything's last."""
        of_category = self.categories[rule.category].caps if rule.category is not None else ()
        own = (*rule.caps, *self.campaigns[rule.campaign].caps, *of_category)
        return (*own, *self.channels[channel].caps, *self.caps)
