"""Rules with `after`: from their keys to a deadline that the fold keeps, and what is asked when it comes.

    after = "EVENT"                     arms a deadline
    within | for | delay = DURATION     how long after
    unless = "EVENT"                    ends it
    key = "FIELD"                       one deadline for each value of a field that both events have
    still = EXPRESSION                  asked at the deadline

Such a rule brings a feature along, of the kind `timer`: true for the row `due` with which a deadline of the rule has
come (`state.features.kinds.timer`). The rule is asked about rows `due`, and its condition is that feature and `still`.

The history of a deadline belongs to its rule's id: another rule with the same events has deadlines of its own. Its
meaning is what arms and ends it; the span is not part of it, so a book that changes the span moves what is armed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from rules.codes import Code
from rules.diagnostics import nearest
from rules.expressions import Expr, Operand, Scope, canonical, meaning
from rules.expressions.functions import reads_local_time
from rules.expressions.tree import And, Use, operands
from rules.features import EVER, read_where
from rules.model import Feature, Timer
from rules.names import Names
from rules.reading import read_expression
from rules.sections import read_reach
from rules.shape import Faults, RuleShape, Shape, read_shape, type_word
from rules.toml import Document, Path
from state.hashing import stable_id
from state.schema import DUE, DUE_ARMED, DUE_KEY, DUE_NUMBER, Field, Kind

__all__ = ["KEYS_MAX_DEFAULT", "TimerReader", "feature_name", "uses_of"]

KEYS_MAX_DEFAULT = 4
"""Deadlines that a subscriber may have open for one rule, where it does not say."""
SPAN_MS_MIN = 1_000
SPANS = ("within", "for", "delay")
ALONE = ("within", "for", "delay", "unless", "key", "keys_max", "still")
"""Keys that mean something only beside `after`."""
_PREFIX = "due."

Asked = tuple[int, Scope, Expr | None, tuple[Operand, ...]]
"""Type of the event that asks, the names it may use, the condition, and the operands that every record tells."""


def feature_name(rule: str) -> str:
    """The name of the feature that a rule with `after` brings along; no expression can have it."""
    return _PREFIX + rule


def uses_of(when: Expr | None) -> tuple[Operand, ...]:
    """What a condition reads, but for the deadline itself, which is true wherever there is a record."""
    return tuple(one for one in operands(when) if not one.name.startswith(_PREFIX)) if when is not None else ()


class TriggerShape(Shape):
    """`after` and `unless`, where they are tables."""

    event: str
    where: str | None = None


@dataclass(frozen=True, slots=True)
class _Trigger:
    """An event that arms or ends: its type, the slot of the key in it, and its own condition."""

    code: int
    slot: int
    where: Expr | None


@dataclass(frozen=True, slots=True)
class TimerReader:
    """Reads the deadline of one rule; every method reports to the same faults."""

    document: Document
    path: Path
    names: Names
    faults: Faults

    def fault(self, code: Code, path: Path, message: str, *, hint: str = "", key: bool = False) -> None:
        """Report a fault of the rule."""
        self.faults.add(code, self.document, (*self.path, *path), message, hint=hint, key=key)

    def refuse_alone(self, shape: RuleShape) -> None:
        """Report the keys of a deadline in a rule that has none."""
        for name in ALONE:
            if _given(shape, name) is not None:
                hint = f"a rule with `on` is asked about its event at once: `{name}` is for one with `after`"
                self.fault(Code.KEY_ALONE, (name,), f"`{name}` stands here without `after`", hint=hint, key=True)

    def read(self, shape: RuleShape) -> Asked | None:
        """What asks the question of a rule with `after`; None where nothing more can be said of it."""
        before = len(self.faults.found)
        self._no_other_question(shape)
        span_ms = self._span(shape)
        self._ends(shape)
        after = self._trigger(shape, "after", shape.after)
        unless = self._trigger(shape, "unless", shape.unless) if shape.unless is not None else None
        if after is not None and unless is not None:
            self._differ(shape, after, unless)
        self._armed_is_free()
        if after is None:
            return None
        own, due_slot = self._own(shape, after)
        scope = self.names.timer_scope(after.code, own)
        still = self._still(shape, scope)
        due_type = self.names.catalogue.schema.code(DUE.name)
        if len(self.faults.found) > before or still is None or (unless is None and shape.unless is not None):
            return due_type, scope, None, ()
        timer = Timer(
            rule=shape.id,
            number=stable_id(shape.id),
            span_ms=span_ms,
            starts_anew=shape.silent is not None,
            keys_max=shape.keys_max or KEYS_MAX_DEFAULT,
            unless_type=unless.code if unless is not None else -1,
            unless_slot=unless.slot if unless is not None else -1,
            unless_where=unless.where if unless is not None else None,
            due_type=due_type,
            due_slot=due_slot,
        )
        return due_type, scope, self._condition(self._feature(shape, after, timer), still), tuple(own.values())

    def _no_other_question(self, shape: RuleShape) -> None:
        if shape.on is not None:
            self.fault(Code.CHOOSE_ONE, ("on",), "a rule has `on` or `after`, this one both", key=True)
        if shape.when is not None:
            message = "`when` is of a rule with `on`"
            hint = "what the event must be is `after = { event = ..., where = ... }`, what must hold then is `still`"
            self.fault(Code.KEY_ALONE, ("when",), message, hint=hint, key=True)
        if shape.keys_max is not None and shape.key is None:
            self.fault(Code.KEY_ALONE, ("keys_max",), "`keys_max` stands here without `key`", key=True)

    def _span(self, shape: RuleShape) -> int:
        """Milliseconds from what arms to the deadline."""
        given = [name for name in SPANS if _given(shape, name) is not None]
        if len(given) != 1:
            what = "says no time" if not given else f"has {' and '.join(f'`{name}`' for name in given)}"
            hint = 'as in within = "25h", for = "30d" or delay = "2h"'
            path: Path = (given[1],) if given else ("after",)
            self.fault(Code.CHOOSE_ONE, path, f"a rule with `after` {what}: choose one", hint=hint, key=True)
            return 0
        name = given[0]
        span_ms = read_reach(str(_given(shape, name)), name, self.document, (*self.path, name), self.faults)
        if 0 < span_ms < SPAN_MS_MIN:
            self.fault(Code.OUT_OF_BOUNDS, (name,), f'{name}="{_given(shape, name)}" must be >= "1s"')
        return span_ms

    def _ends(self, shape: RuleShape) -> None:
        """`within` is about what does not come, and `delay` about nothing."""
        if shape.within is not None and shape.unless is None:
            hint = "`within` a time, `unless` what? With nothing to wait for it is a `delay`"
            self.fault(Code.KEY_ALONE, ("within",), "`within` stands here without `unless`", hint=hint, key=True)
        if shape.delay is not None and shape.unless is not None:
            hint = "with `unless`, the time is `within`"
            self.fault(Code.KEY_ALONE, ("unless",), "`unless` stands here beside `delay`", hint=hint, key=True)

    def _trigger(self, shape: RuleShape, name: str, given: Any) -> _Trigger | None:
        """The event that arms or ends; None when anything about it is wrong."""
        event_path: Path = (name,)
        where_path: Path = (name, "where")
        if isinstance(given, dict):
            read = read_shape(TriggerShape, given, self.document, (*self.path, name), self.faults)
            if read is None:
                return None
            event, text, event_path = read.event, read.where, (name, "event")
        elif isinstance(given, str):
            event, text = given, None
        else:
            message = f"`{name}` must be a text, or a table with `event` and `where`, not {type_word(given)}"
            self.fault(Code.WRONG_SHAPE, (name,), message)
            return None
        schema = self.names.catalogue.schema
        if event not in schema.codes or event == DUE.name:
            if event not in self.names.broken:
                hint = nearest(event, [one for one in schema.codes if one != DUE.name])
                self.fault(Code.UNKNOWN_EVENT, event_path, f"unknown event type `{event}`", hint=hint)
            return None
        code = schema.code(event)
        where = None
        if text is not None:
            origin = self.document.origin((*self.path, *where_path))
            where = read_where(text, origin, code, self.names, self.faults)
            if where is None:
                return None
        slot = self._key_slot(shape, code)
        return _Trigger(code, slot, where) if slot is not None else None

    def _key_slot(self, shape: RuleShape, code: int) -> int | None:
        """The slot of the key in an event; -1 where there is no key, None where it is wrong."""
        if shape.key is None:
            return -1
        event = self.names.catalogue.schema.types[code]
        slot = event.slots.get(shape.key)
        if slot is None:
            if shape.key not in self.names.broken:
                hint = nearest(shape.key, event.slots) or f"there are: {', '.join(event.slots)}"
                self.fault(Code.UNKNOWN_FIELD, ("key",), f"event `{event.name}` has no field `{shape.key}`", hint=hint)
            return None
        if event.fields[slot].kind not in (Kind.STRING, Kind.INT):
            kind = event.fields[slot].kind.name.lower()
            message = f"`{shape.key}` of `{event.name}` is a {kind}: a key is a string or an int"
            self.fault(Code.TYPE_MISMATCH, ("key",), message)
            return None
        return slot

    def _differ(self, shape: RuleShape, after: _Trigger, unless: _Trigger) -> None:
        """What arms must not be what ends, and the key must be of one kind in both."""
        if shape.key is not None and self._field(after).kind != self._field(unless).kind:
            message = f"`{shape.key}` is of another kind in `unless` than in `after`"
            self.fault(Code.TYPE_MISMATCH, ("key",), message)
        if after.code == unless.code and after.where == unless.where:
            hint = "where each event begins the time anew, it is `for`, without `unless`"
            self.fault(Code.NEVER_FIRES, ("unless",), "what arms this also ends it: it would never come", hint=hint)

    def _field(self, trigger: _Trigger) -> Field:
        return self.names.catalogue.schema.types[trigger.code].fields[trigger.slot]

    def _armed_is_free(self) -> None:
        if "armed" in self.names.subscriber:
            message = "an attribute is named `armed`, which in a rule with `after` is when it was armed"
            self.fault(Code.NAME_CLASH, ("after",), message, key=True)

    def _own(self, shape: RuleShape, after: _Trigger) -> tuple[Mapping[str, Operand], int]:
        """The names that the deadline itself gives, and the slot of a row `due` that has the key."""
        armed = Operand("armed", "cell", DUE_ARMED, Kind.TIME)
        if shape.key is None:
            return {armed.name: armed}, -1
        kind = self._field(after).kind
        slot = DUE_KEY if kind is Kind.STRING else DUE_NUMBER
        return {armed.name: armed, shape.key: Operand(shape.key, "cell", slot, kind)}, slot

    def _still(self, shape: RuleShape, scope: Scope) -> Expr | None:
        origin = self.document.origin((*self.path, "still"))
        return read_expression(shape.still or "true", origin, scope, self.names.broken, self.faults)

    def _feature(self, shape: RuleShape, after: _Trigger, timer: Timer) -> Operand:
        """Enter the feature that keeps the deadlines among those of the book."""
        name = feature_name(shape.id)
        prints = [self._print(shape, after, timer, text_of) for text_of in (canonical, meaning)]
        self.names.timers.append(
            Feature(
                name, "timer", after.code, after.slot, after.where, EVER, Kind.BOOL, prints[0],
                meaning=prints[1], timer=timer,
            )
        )  # fmt: skip
        return Operand(name, "feature", self.names.first_timer + len(self.names.timers) - 1, Kind.BOOL)

    def _print(self, shape: RuleShape, after: _Trigger, timer: Timer, text_of: Any) -> str:
        types = self.names.catalogue.schema.types
        wheres = [after.where, timer.unless_where]
        local = any(where is not None and reads_local_time(where) for where in wheres)
        parts = (
            "timer",
            shape.id,
            types[after.code].name,
            types[timer.unless_type].name if timer.unless_type >= 0 else "",
            *(text_of(where) if where is not None else "" for where in wheres),
            (shape.key, self._field(after).kind.name) if shape.key is not None else "",
            self.names.catalogue.zone if local else "",
        )
        return blake2b(repr(parts).encode(), digest_size=8).hexdigest()

    def _condition(self, deadline: Operand, still: Expr) -> Expr:
        parts = still.parts if isinstance(still, And) else (still,)
        return And((Use(deadline), *parts))


def _given(shape: RuleShape, name: str) -> Any:
    return shape.silent if name == "for" else getattr(shape, name)
