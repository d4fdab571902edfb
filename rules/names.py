"""The names that expressions may use: on the rows of each event type, in a `where`, and on every row.

Features are entered when they are made, values after them; whoever asks earlier sees what there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from rules.catalogue import Catalogue
from rules.expressions import Expr, Operand, Scope
from rules.expressions.implied import Implied
from rules.expressions.lookups import CellsOf
from rules.expressions.refused import Refused
from rules.expressions.tree import by_set
from rules.expressions.units import is_duration
from rules.model import Feature, Value
from state.schema import PROFILE, Field

__all__ = ["Names"]

ANY_TYPE = -1
"""The scope of what may be used on the rows of every event type."""


@dataclass(slots=True)
class Names:
    """What the names of a book stand for, per event type. `broken` names are declared, but not well."""

    catalogue: Catalogue
    subscriber: dict[str, Operand] = field(default_factory=dict)
    features: dict[str, Operand] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    value_names: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    timers: list[Feature] = field(default_factory=list)
    """What rules with `after` and calls bring along, in their order: they stand after all other features."""
    first_timer: int = 0
    implied: Callable[[int, str, tuple[Expr, ...]], Expr | Refused] | None = None
    """Makes what calls bring along on the rows of an event type (`rules.implied`)."""
    _rule_scopes: dict[int, Scope] = field(default_factory=dict)
    _open: dict[int, tuple[dict[str, Operand], dict[str, str]]] = field(default_factory=dict)
    _brought: dict[str, Operand] = field(default_factory=dict)

    def bring(self, feature: Feature) -> Operand:
        """Enter a feature that a call brings along; calls of one meaning are one, by the name of the first."""
        if feature.meaning not in self._brought:
            index = self.first_timer + len(self.timers)
            self._brought[feature.meaning] = Operand(feature.name, "feature", index, feature.value_kind)
            self.timers.append(feature)
        return self._brought[feature.meaning]

    def brought_in(self, read: Iterable[Operand]) -> bool:
        """Whether an expression reads what a call brought along, which means something in this book only."""
        return any(one.source == "feature" and one.index >= self.first_timer for one in read)

    def _implied(self, code: int) -> Implied | None:
        return partial(self.implied, code) if self.implied is not None else None

    def rule_scope(self, code: int) -> Scope:
        """What a rule on an event type may use: its fields, the attributes, the features, the values."""
        if code not in self._rule_scopes:
            scope = self._scope(code, {**self.subscriber, **self.features}, {})
            self._keep_open(code, replace(scope, implied=self._implied(code)))
        return self._rule_scopes[code]

    def common_scope(self) -> Scope:
        """What may be used on every event: the attributes, the features, the values that name no field."""
        if ANY_TYPE not in self._rule_scopes:
            foreign = {name: f"a field of `{kind.name}`" for kind in self.catalogue.schema.types for name in kind.slots}
            known = {**self.subscriber, **self.features}
            elsewhere = {name: why for name, why in foreign.items() if name not in known}
            scope = Scope(known, self._areas(), elsewhere, self.catalogue.tables, self._implied(ANY_TYPE))
            self._keep_open(ANY_TYPE, scope)
        return self._rule_scopes[ANY_TYPE]

    def _keep_open(self, code: int, scope: Scope) -> None:
        """Keep a scope, with a way to add the values that are made later."""
        names, elsewhere = dict(scope.names), dict(scope.elsewhere)
        self._open[code] = (names, elsewhere)
        self._rule_scopes[code] = replace(scope, names=names, elsewhere=elsewhere)
        for value in self.values.values():
            self._add(value, code)

    def enter(self, value: Value) -> None:
        """Make a value a name of every scope in which it can be asked."""
        self.values[value.name] = value
        for code in self._open:
            self._add(value, code)

    def _add(self, value: Value, code: int) -> None:
        names, elsewhere = self._open[code]
        expr = value.common if code == ANY_TYPE else value.on(code)
        if expr is not None:
            names[value.name] = Operand(value.name, "value", value.place, expr.kind, duration=is_duration(expr))
        else:
            read = ", ".join(f"`{word}`" for word in value.fields) or "values that read fields"
            where = f", and this is on `{self.catalogue.schema.types[code].name}`" if code != ANY_TYPE else ""
            elsewhere[value.name] = f"a value that reads {read}{where}"

    def where_scope(self, code: int) -> Scope:
        """What a feature's `where` may use: the fields of its event and the attributes."""
        reason = "and `where` sees only the event and the attributes"
        features = dict.fromkeys(self.features, f"a feature, {reason}")
        return self._scope(code, self.subscriber, dict.fromkeys(self.value_names, f"a value, {reason}") | features)

    def timer_scope(self, code: int, own: Mapping[str, Operand]) -> Scope:
        """What a rule may use when its deadline has come: its `own`, the attributes, the features.

        `code` is the type of the event that armed it.
        """
        armed_by = self.catalogue.schema.types[code]
        why = f"a field of `{armed_by.name}`: when the deadline comes, its time (`armed`) and the `key` are kept"
        gone = {name: why for name in armed_by.slots for name in (name, f"{armed_by.name}.{name}")}
        elsewhere = dict.fromkeys(self.value_names, "a value, and a deadline sees only attributes and features")
        elsewhere |= gone if code != PROFILE else {}
        names = {**self.subscriber, **self.features, **own}
        return Scope(names, self._areas(), elsewhere, self.catalogue.tables, self._implied(ANY_TYPE))

    def goal_scope(self, code: int) -> Scope:
        """What a goal may use: the fields of its event."""
        kept = {**self.subscriber, **self.features}
        return self._scope(code, {}, dict.fromkeys(kept, "kept of the subscriber, and a goal sees only its event"))

    def _scope(self, code: int, others: Mapping[str, Operand], elsewhere: Mapping[str, str]) -> Scope:
        types = self.catalogue.schema.types
        fields = types[code].fields
        head = f"{types[code].name}."
        if code == PROFILE:
            # The bare name of an attribute is the subscriber's as kept; the event's own value has another name.
            own = {one.name: one for one in by_set(_cell(slot, one, head) for slot, one in enumerate(fields))}
        else:
            own = {prefix + one.name: _cell(slot, one) for slot, one in enumerate(fields) for prefix in ("", head)}
        foreign = {
            name: f"a field of `{kind.name}`, and this is on `{types[code].name}`"
            for other, kind in enumerate(types)
            if other not in (code, PROFILE)
            for name in kind.slots
        }
        return Scope({**others, **own}, self._areas(), {**foreign, **elsewhere}, self.catalogue.tables)

    def _areas(self) -> dict[str, tuple[str, ...] | CellsOf]:
        return {area.name: area.cells for area in self.catalogue.areas.values()}


def _cell(slot: int, one: Field, prefix: str = "") -> Operand:
    return Operand(prefix + one.name, "cell", slot, one.kind, one.members)
