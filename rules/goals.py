"""Goals: what a contact was made for, so that a report can say whether it was reached.

A `[[goal]]` belongs to one campaign or to one rule: an event on which its condition is true, within a time of the
contact. It sees the event's own fields and nothing that is kept of the subscriber, so that it can be asked of events
that are long folded: a goal that is written today is judged on all that the log still has. No decision reads a goal.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from rules.codes import Code
from rules.diagnostics import nearest
from rules.model import Goal, Rule
from rules.names import Names
from rules.reading import read_expression
from rules.sections import read_reach
from rules.shape import Faults, Id, Shape, read_shape, type_word
from rules.toml import Document, Path
from state.schema import EventType, Kind

__all__ = ["GOALS_MAX", "compile_goals"]

GOALS_MAX = 1_000
NUMBERS = (Kind.INT, Kind.FLOAT)


class GoalShape(Shape):
    """`[[goal]]`."""

    name: Id
    on: str
    when: str = "true"
    within: str
    value: str | int | float = 1
    campaign: Id | None = None
    rule: Id | None = None


def compile_goals(
    documents: list[Document], names: Names, rules: tuple[Rule, ...], broken: Collection[str], faults: Faults
) -> tuple[Goal, ...]:
    """Return the goals of a book in the order of files and lines; a faulty one is reported and left out."""
    maker = _Maker(names, {rule.id for rule in rules}, names.catalogue.campaigns, broken, faults)
    found: dict[str, Goal] = {}
    taken: dict[tuple[str, str], str] = {}
    for document in documents:
        tables = document.head.get("goal", [])
        if not isinstance(tables, list):
            message = f"`goal` must be an array of tables, [[goal]], not {type_word(tables)}"
            faults.add(Code.WRONG_SHAPE, document, ("goal",), message)
            continue
        for index, table in enumerate(tables):
            path: Path = ("goal", index)
            goal = maker.goal(table, document, path, document.head.get("campaign"))
            if goal is None:
                continue
            scope = ("rule", goal.rule) if goal.rule else ("campaign", goal.campaign)
            if goal.name in found:
                faults.add(Code.DECLARED_TWICE, document, (*path, "name"), f"goal `{goal.name}` is declared twice")
            elif scope in taken:
                message = f"{scope[0]} `{scope[1]}` has the goal `{taken[scope]}` already: one contact has one goal"
                faults.add(Code.DECLARED_TWICE, document, path, message, key=True)
            else:
                found[goal.name], taken[scope] = goal, goal.name
            if len(found) > GOALS_MAX:
                faults.add(Code.OUT_OF_BOUNDS, document, path, f"goals={len(found)} must be <= {GOALS_MAX}", key=True)
                return ()
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class _Maker:
    names: Names
    rules: Collection[str]
    campaigns: Collection[str]
    broken: Collection[str]
    faults: Faults

    def goal(self, table: Any, document: Document, path: Path, of_file: Any) -> Goal | None:
        """Return one goal, None when anything about it is wrong."""
        before = len(self.faults.found)
        shape = read_shape(GoalShape, table, document, path, self.faults)
        if shape is None:
            return None
        self._scope(shape, document, path)
        within_ms = read_reach(shape.within, "within", document, (*path, "within"), self.faults)
        code = self.names.catalogue.schema.codes.get(shape.on)
        if code is None:
            if shape.on not in self.names.broken:
                hint = nearest(shape.on, self.names.catalogue.schema.codes)
                message = f"unknown event type `{shape.on}`"
                self.faults.add(Code.UNKNOWN_EVENT, document, (*path, "on"), message, hint=hint)
            return None
        origin = document.origin((*path, "when"))
        when = read_expression(shape.when, origin, self.names.goal_scope(code), self.names.broken, self.faults)
        slot, kind, worth = self._value(shape.value, self.names.catalogue.schema.types[code], document, path)
        if when is None or len(self.faults.found) > before:
            return None
        campaign = "" if shape.rule else shape.campaign or str(of_file or document.file.removesuffix(".toml"))
        return Goal(shape.name, code, when, within_ms, campaign, shape.rule or "", slot, kind, worth)

    def _scope(self, shape: GoalShape, document: Document, path: Path) -> None:
        """Report a rule or a campaign that is not there, or both at once."""
        if shape.rule is not None and shape.campaign is not None:
            message = "a goal is about a `rule` or about a `campaign`, not about both"
            self.faults.add(Code.CHOOSE_ONE, document, (*path, "rule"), message, key=True)
        for key, name, known, code in (
            ("rule", shape.rule, self.rules, Code.UNKNOWN_RULE),
            ("campaign", shape.campaign, self.campaigns, Code.UNKNOWN_CAMPAIGN),
        ):
            if name is not None and name not in known and name not in self.broken:
                hint = nearest(name, known)
                self.faults.add(code, document, (*path, key), f"unknown {key} `{name}`", hint=hint)

    def _value(self, value: str | float, event: EventType, document: Document, path: Path) -> tuple[int, Kind, float]:
        """Return slot and kind of the field that is the value, or -1 and the number."""
        if not isinstance(value, str):
            return -1, Kind.FLOAT, float(value)
        slot = event.slots.get(value, -1)
        if slot < 0:
            hint = nearest(value, event.slots)
            message = f"`{event.name}` has no field `{value}`; a value is a number or a field"
            self.faults.add(Code.UNKNOWN_FIELD, document, (*path, "value"), message, hint=hint)
        elif event.fields[slot].kind not in NUMBERS:
            message = f"value: field `{value}` must be a number"
            self.faults.add(Code.TYPE_MISMATCH, document, (*path, "value"), message)
        else:
            return slot, event.fields[slot].kind, 0.0
        return -1, Kind.FLOAT, 0.0
