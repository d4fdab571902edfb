"""Tests beside the rules: from a `[[test]]` to a `Scenario` whose every value fits the book.

Nothing is run here (`engine.runtimes.rehearsal` does that); names, kinds of values and times are checked, so that a
test cannot pass by a slip of the pen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from rules.codes import Code
from rules.diagnostics import nearest
from rules.expressions.tree import INT_MAX, INT_MIN
from rules.gates import NUMBERS
from rules.model import Rule
from rules.names import Names
from rules.promise_shapes import ExpectShape, TestShape
from rules.promises import Expectation, Scenario, ScenarioEvent
from rules.shape import Faults, read_block, read_shape, shown, type_word
from rules.spans import duration_ms
from rules.toml import Block, Document, Path
from state.calendar import epoch_ms
from state.schema import ANSWER, DUE, OUTCOME, PROFILE, REPLY, Field, Kind
from state.sets import is_further

__all__ = ["compile_scenarios"]

EVENT_KEYS = ("at", "subscriber", "logged")
STEPS = ("pause", "resume", "refund")
"""What may stand in place of an event, where the book has no event type of that name."""
PAUSABLE = ("rule", "campaign", "channel")
KIND_WORDS = {
    Kind.INT: "a whole number",
    Kind.FLOAT: "a number",
    Kind.BOOL: "true or false",
    Kind.STRING: "a text",
    Kind.TIME: "a time",
    Kind.SET: "an array of members",
}


def compile_scenarios(
    documents: list[Document], names: Names, rules: tuple[Rule, ...], broken: frozenset[str], faults: Faults
) -> tuple[Scenario, ...]:
    """All tests of a book, in the order of files and lines; of `broken` rules nothing more is said."""
    by_id = {rule.id: rule for rule in rules}
    found = []
    for document in documents:
        for index, block in enumerate(document.tests):
            maker = _Maker(document, ("test", index), names, by_id, broken, faults)
            scenario = maker.scenario(block)
            if scenario is not None:
                found.append(scenario)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes one scenario; every method reports to the same faults."""

    document: Document
    path: Path
    names: Names
    rules: Mapping[str, Rule]
    broken: frozenset[str]
    faults: Faults

    def fault(self, code: Code, path: Path, message: str, *, hint: str = "", key: bool = False) -> None:
        self.faults.add(code, self.document, (*self.path, *path), message, hint=hint, key=key)

    def scenario(self, block: Block) -> Scenario | None:
        """The scenario, or None when anything about it is wrong."""
        before = len(self.faults.found)
        shape = read_block(TestShape, block, self.document, self.path, self.faults)
        if shape is None:
            return None
        given = self._given(shape.given)
        self._known_arm(shape.arm, self.rules.values(), ("arm",))
        events: list[ScenarioEvent] = []
        before_ms: int | None = None
        for index, data in enumerate(shape.events):
            path: Path = ("events", index)
            event = self._step(data, path, shape, before_ms)
            if event is not None:
                events.append(event)
                before_ms = event.at_ms
            elif before_ms is None:
                before_ms = 0  # the fault is reported: what follows is not judged by it
        first_ms = events[0].at_ms if events else before_ms
        expect = [
            self._expectation(data, ("expect", index), shape, first_ms) for index, data in enumerate(shape.expect)
        ]
        if len(self.faults.found) > before:
            return None
        line = block.line or self.document.place(self.path, key=True).line
        wanted = tuple(one for one in expect if one is not None)
        holdout = shape.holdout or any(one.gate == "holdout" for one in wanted)
        return Scenario(shape.name, given, tuple(events), wanted, self.document.file, line, holdout, shape.arm)

    def _given(self, data: Mapping[str, Any]) -> Mapping[str, object]:
        profile = self.names.catalogue.schema.types[PROFILE]
        fields = {one.name: one for one in profile.fields if not is_further(one.name)}
        fields["lists"] = Field("lists", Kind.SET, members=self.names.catalogue.list_members)
        return self._values(data, fields, ("given",), "attribute")

    def _step(
        self, data: Mapping[str, Any], path: Path, shape: TestShape, before_ms: int | None
    ) -> ScenarioEvent | None:
        """An event, or what stands in place of one."""
        at_ms = self._time(data.get("at"), (*path, "at"), before_ms) or 0
        kinds = [name for name in data if name not in EVENT_KEYS]
        if len(kinds) > 1:
            message = f"an event names one event type, this one {len(kinds)}"
            self.fault(Code.TEST_EVENT, path, message, hint="as in { at = 2026-01-05T08:00:00Z, call = { ... } }")
            return None
        subscriber = self._subscriber(data.get("subscriber", shape.subscriber), (*path, "subscriber"))
        logged_ms = at_ms
        if "logged" in data:
            logged_ms = self._time(data["logged"], (*path, "logged"), at_ms) or at_ms
        event = ScenarioEvent(at_ms, -1, {}, subscriber, logged_ms, "wait")
        if not kinds:
            return event
        if kinds[0] in STEPS and kinds[0] not in self.names.catalogue.schema.codes:
            return self._instead(event, kinds[0], data[kinds[0]], (*path, kinds[0]))
        return self._event(event, kinds[0], data, path)

    def _instead(self, event: ScenarioEvent, step: str, value: Any, path: Path) -> ScenarioEvent | None:
        """A pause, a resume or a refund, which name what they are about."""
        kinds = ("rule",) if step == "refund" else PAUSABLE
        if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in kinds:
            hint = f"as in {step} = {{ rule = ... }}"
            message = f"`{step}` names one {' or '.join(kinds)}"
            self.fault(Code.TEST_EVENT, path, message, hint=hint)
            return None
        ((kind, name),) = value.items()
        catalogue = self.names.catalogue
        known = {"rule": self.rules, "campaign": catalogue.campaigns, "channel": catalogue.channels}[kind]
        if name not in known and name not in self.broken:
            code = {"rule": Code.UNKNOWN_RULE, "campaign": Code.UNKNOWN_CAMPAIGN, "channel": Code.UNKNOWN_CHANNEL}[kind]
            self.fault(code, (*path, kind), f"unknown {kind} {shown(name)}", hint=nearest(str(name), known))
            return None
        if step == "refund":
            return replace(event, what="refund", rule=name)
        return replace(event, what="pause" if step == "pause" else "resume", name=(kind, name))

    def _event(self, event: ScenarioEvent, name: str, data: Mapping[str, Any], path: Path) -> ScenarioEvent | None:
        schema = self.names.catalogue.schema
        if name == DUE.name and name in schema.codes:
            message = "`due` is no event of a test: deadlines come when time has passed"
            self.fault(Code.TEST_EVENT, (*path, name), message, hint='as in { at = "+25h" }', key=True)
            return None
        if name not in schema.codes:
            if name not in self.names.broken:
                hint = nearest(name, schema.codes)
                self.fault(Code.UNKNOWN_EVENT, (*path, name), f"unknown event type `{name}`", hint=hint, key=True)
            return None
        code = schema.code(name)
        if not isinstance(data[name], dict):
            self.fault(Code.TEST_VALUE, (*path, name), f"`{name}` must be a table, not {type_word(data[name])}")
            return None
        fields = {one.name: one for one in schema.types[code].fields}
        given, rule = dict(data[name]), ""
        if code in (ANSWER, OUTCOME, REPLY) and isinstance(given.get("rule"), str):
            rule = given.pop("rule")
            if rule not in self.rules and rule not in self.broken:
                hint = nearest(rule, self.rules)
                self.fault(Code.UNKNOWN_RULE, (*path, name, "rule"), f"unknown rule `{rule}`", hint=hint)
        values = self._values(given, fields, (*path, name), "field")
        for field in fields.values():
            if field.required and field.name not in data[name]:
                self.fault(Code.TEST_VALUE, (*path, name), f"required field `{field.name}` is missing", key=True)
        return replace(event, what="event", type=code, fields=values, rule=rule)

    def _expectation(
        self, data: Mapping[str, Any], path: Path, shape: TestShape, first_ms: int | None
    ) -> Expectation | None:
        wanted = read_shape(ExpectShape, data, self.document, (*self.path, *path), self.faults)
        if wanted is None:
            return None
        at_ms = self._time(wanted.at, (*path, "at"), first_ms)
        rule = self.rules.get(wanted.rule)
        if rule is None and wanted.rule not in self.broken:
            hint = nearest(wanted.rule, self.rules)
            self.fault(Code.UNKNOWN_RULE, (*path, "rule"), f"unknown rule `{wanted.rule}`", hint=hint)
        if (wanted.channel is None) == (wanted.gate is None):
            message = "expect either the `channel` that carries the decision or the `gate` that stops it"
            self.fault(Code.TEST_EXPECTATION, path, message)
        elif rule is not None and wanted.channel is not None and wanted.channel not in rule.channels:
            message = f"rule `{rule.id}` has no channel `{wanted.channel}`"
            hint = nearest(wanted.channel, rule.channels)
            self.fault(Code.UNKNOWN_CHANNEL, (*path, "channel"), message, hint=hint)
        elif wanted.gate is not None and wanted.gate not in NUMBERS:
            hint = nearest(wanted.gate, NUMBERS) or f"gates are: {', '.join(NUMBERS)}"
            self.fault(Code.TEST_EXPECTATION, (*path, "gate"), f'unknown gate "{wanted.gate}"', hint=hint)
        elif wanted.text is not None and wanted.channel is None:
            self.fault(Code.TEST_EXPECTATION, (*path, "text"), "a `text` is of the `channel` that carries it")
        elif wanted.sent is not None and wanted.channel is None:
            self.fault(Code.TEST_EXPECTATION, (*path, "sent"), "`sent` is of the `channel` that carries it")
        if rule is not None:
            self._known_arm(wanted.arm, [rule], (*path, "arm"))
        sent_ms = self._time(wanted.sent, (*path, "sent"), first_ms) if wanted.sent is not None else None
        subscriber = wanted.subscriber or shape.subscriber
        said = wanted.text, sent_ms, wanted.arm
        return Expectation(at_ms or 0, wanted.rule, wanted.channel, wanted.gate, subscriber, *said)

    def _known_arm(self, name: str | None, rules: Iterable[Rule], path: Path) -> None:
        """An arm that a test names is one of a rule's."""
        arms = {arm for rule in rules if rule.arms is not None for arm in rule.arms.names}
        if name is not None and name not in arms and not self.broken:
            self.fault(Code.UNKNOWN_ARM, path, f"unknown arm `{name}`", hint=nearest(name, arms))

    def _values(
        self, data: Mapping[str, Any], fields: Mapping[str, Field], path: Path, what: str
    ) -> Mapping[str, object]:
        """Values by name, times as epoch milliseconds and sets as tuples."""
        found: dict[str, object] = {}
        for name, value in data.items():
            if name not in fields:
                if name not in self.names.broken:
                    message = f"unknown {what} `{name}`"
                    self.fault(Code.UNKNOWN_FIELD, (*path, name), message, hint=nearest(name, fields), key=True)
                continue
            found[name] = self._value(value, fields[name], (*path, name))
        return MappingProxyType(found)

    def _value(self, value: Any, field: Field, path: Path) -> object:
        if field.kind is Kind.TIME:
            return self._time(value, path, None)
        if field.kind is Kind.SET and isinstance(value, list):
            return self._members(value, field, path)
        types = {Kind.INT: (int,), Kind.FLOAT: (int, float), Kind.BOOL: (bool,), Kind.STRING: (str,)}
        fits = type(value) in types.get(field.kind, ())
        if not fits:
            message = f"{field.name}={shown(value)} must be {KIND_WORDS[field.kind]}, not {type_word(value)}"
            self.fault(Code.TEST_VALUE, path, message)
        elif field.kind is Kind.INT and not INT_MIN <= value <= INT_MAX:
            message = f"{field.name}={shown(value)} must be >= {INT_MIN} and <= {INT_MAX}"
            self.fault(Code.OUT_OF_BOUNDS, path, message)
        return float(value) if fits and field.kind is Kind.FLOAT else value

    def _members(self, value: list[Any], field: Field, path: Path) -> tuple[Any, ...]:
        live = self.names.catalogue.live_members.get(field.name, frozenset())
        for index, member in enumerate(value):
            if not isinstance(member, str) or member not in live:
                message = f"{shown(member)} is not a member of `{field.name}`"
                hint = nearest(member, live) if isinstance(member, str) else ""
                self.fault(Code.UNKNOWN_MEMBER, (*path, index), message, hint=hint)
        return tuple(value)

    def _time(self, value: Any, path: Path, before_ms: int | None) -> int | None:
        """Epoch milliseconds of a time, or of "+10m" after `before_ms`: the event before, or the first, or its own."""
        if isinstance(value, datetime):
            try:
                return epoch_ms(value, self.names.catalogue.zone)
            except OverflowError:
                message = f"{path[-1]}={shown(value)} must lie in the years 1 to 9999, in UTC too"
                self.fault(Code.OUT_OF_BOUNDS, path, message)
                return None
        if isinstance(value, str) and value.startswith("+"):
            ms = duration_ms(value[1:])
            if ms is not None and before_ms is not None:
                return before_ms + ms
        if value is None:
            self.fault(Code.MISSING_KEY, path, f"`{path[-1]}` is missing", key=True)
            return None
        message = f'{path[-1]}={shown(value)} must be a time, or "+10m" after {_before(path)}'
        self.fault(Code.TEST_VALUE, path, message)
        return None

    def _subscriber(self, value: Any, path: Path) -> int:
        if type(value) is int and 0 < value < 1 << 63:
            return value
        self.fault(Code.TEST_VALUE, path, f"subscriber={shown(value)} must be a whole number > 0")
        return 1


def _before(path: Path) -> str:
    """What a time that begins with a plus is counted from, in words."""
    if "expect" in path:
        return "the first event"
    return "the event itself" if path[-1] == "logged" else "the event before"
