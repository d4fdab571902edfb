"""Rules about a subscriber in an area: asked when the stay has lasted so long, or has ended, though nothing comes.

    stays = "AREA"          asked when a stay in the area
    for = DURATION          has lasted so long
    leaves = "AREA"         asked when a stay has ended
    still = EXPRESSION      asked at that deadline

What a stay is, the area says (`rules.areas`). Such a rule brings a feature along, of the kind `area_timer`: true for
the row `due` with which a deadline of the rule has come. Its history belongs to the rule's id and the area.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from rules.areas import stays_in
from rules.codes import Code
from rules.diagnostics import nearest
from rules.expressions import Expr, Operand, Scope
from rules.expressions.places import AREA
from rules.expressions.tree import BUILTINS, And, Compare, Use, walk
from rules.features import EVER
from rules.model import Area, Feature, Timer
from rules.names import Names
from rules.reading import read_expression
from rules.sections import read_reach
from rules.shape import Faults, RuleShape
from rules.timers import SPAN_MS_MIN, Asked, feature_name
from rules.toml import Document, Path
from state.hashing import stable_id
from state.schema import DUE, DUE_ARMED, Kind

__all__ = ["StayReader", "never_comes"]

CELLS = 4
"""Deadlines of one subscriber and rule that are kept: one is open, and those before wait for their rows `due`."""
OTHERS = ("on", "after", "when", "within", "delay", "unless", "key", "keys_max")


@dataclass(frozen=True, slots=True)
class StayReader:
    """Reads what one rule asks of an area; every method reports to the same faults."""

    document: Document
    path: Path
    names: Names
    faults: Faults

    def fault(self, code: Code, path: Path, message: str, *, hint: str = "", key: bool = False) -> None:
        """Report a fault of the rule."""
        self.faults.add(code, self.document, (*self.path, *path), message, hint=hint, key=key)

    def read(self, shape: RuleShape) -> Asked | None:
        """What asks the question of a rule with `stays` or `leaves`; None where nothing more can be said of it."""
        before = len(self.faults.found)
        word = "stays" if shape.stays is not None else "leaves"
        self._alone(shape, word)
        area = self._area(word, shape.stays if shape.stays is not None else str(shape.leaves))
        span_ms = self._span(shape, word, area)
        if area is None:
            return None
        if "armed" in self.names.subscriber:
            message = f"an attribute is named `armed`, which in a rule with `{word}` is when the stay began, or ended"
            self.fault(Code.NAME_CLASH, (word,), message, key=True)
        scope, always = self._scope(area)
        origin = self.document.origin((*self.path, "still"))
        still = read_expression(shape.still or "true", origin, scope, self.names.broken, self.faults)
        due_type = self.names.catalogue.schema.code(DUE.name)
        if len(self.faults.found) > before or still is None:
            return due_type, scope, None, ()
        deadline = self._feature(shape, area, span_ms, due_type)
        parts = still.parts if isinstance(still, And) else (still,)
        return due_type, scope, And((Use(deadline), *parts)), (always,)

    def _alone(self, shape: RuleShape, word: str) -> None:
        """No other question, and no keys of another kind of deadline."""
        if shape.stays is not None and shape.leaves is not None:
            self.fault(Code.CHOOSE_ONE, ("leaves",), "a rule has `stays` or `leaves`, this one both", key=True)
        for name in OTHERS:
            if getattr(shape, name) is not None:
                hint = "what must hold then is `still`" if name == "when" else ""
                code = Code.CHOOSE_ONE if name in ("on", "after") else Code.KEY_ALONE
                message = f"a rule has `{name}` or `{word}`, this one both"
                self.fault(code, (name,), message, hint=hint, key=True)

    def _area(self, word: str, name: str) -> Area | None:
        areas = self.names.catalogue.areas
        area = areas.get(name)
        if area is None:
            if name not in self.names.broken:
                self.fault(Code.UNKNOWN_AREA, (word,), f"unknown area `{name}`", hint=nearest(name, areas))
            return None
        if not area.seen:
            hint = f'say who is seen there, as in [areas.{name}] seen = ["move.cell"]'
            self.fault(Code.UNKNOWN_AREA, (word,), f"nobody is followed in area `{name}`", hint=hint)
            return None
        return area

    def _span(self, shape: RuleShape, word: str, area: Area | None) -> int:
        """Milliseconds from what arms to the deadline."""
        if word == "leaves":
            if shape.silent is not None:
                hint = "a stay has ended after the area's `leave_after`"
                self.fault(Code.KEY_ALONE, ("for",), "`for` stands here beside `leaves`", hint=hint, key=True)
            return area.leave_ms if area is not None else 0
        if shape.silent is None:
            hint = 'for how long? As in for = "10m"'
            self.fault(Code.KEY_ALONE, (word,), "`stays` stands here without `for`", hint=hint, key=True)
            return 0
        span_ms = read_reach(shape.silent, "for", self.document, (*self.path, "for"), self.faults)
        if 0 < span_ms < SPAN_MS_MIN:
            self.fault(Code.OUT_OF_BOUNDS, ("for",), f'for="{shape.silent}" must be >= "1s"')
        return span_ms

    def _scope(self, area: Area) -> tuple[Scope, Operand]:
        """The names that may be used at the deadline, and the one that it gives."""
        armed = Operand("armed", "cell", DUE_ARMED, Kind.TIME)
        return self.names.timer_scope(area.seen[0][0], {armed.name: armed}), armed

    def _feature(self, shape: RuleShape, area: Area, span_ms: int, due_type: int) -> Operand:
        """Enter the feature that keeps the deadlines among those of the book."""
        leaves = shape.leaves is not None
        print_ = blake2b(repr(("area_timer", shape.id, area.name, leaves)).encode(), digest_size=8).hexdigest()
        stays = stays_in(area, self.names.catalogue.schema, leaves=leaves)
        timer = Timer(
            rule=shape.id,
            number=stable_id(shape.id),
            span_ms=span_ms,
            starts_anew=False,
            keys_max=CELLS,
            unless_type=-1,
            unless_slot=-1,
            unless_where=None,
            due_type=due_type,
            due_slot=-1,
        )
        name = feature_name(shape.id)
        self.names.timers.append(
            Feature(
                name, "area_timer", area.seen[0][0], -1, None, EVER, Kind.BOOL, print_,
                meaning=print_, timer=timer, stays=stays,
            )
        )  # fmt: skip
        return Operand(name, "feature", self.names.first_timer + len(self.names.timers) - 1, Kind.BOOL)


def never_comes(when: Expr | None, code: int, names: Names) -> str:
    """What of a condition is never true on events of a type: that someone comes into an area that these do not see."""
    schema = names.catalogue.schema
    for node in walk(when) if when is not None else ():
        match node:
            case Compare("==", Use(begun), Use(at)) if begun.name.startswith(AREA) and at == BUILTINS["at"]:
                area = names.catalogue.areas[begun.name.removeprefix(AREA)]
                seen = [schema.types[one].name for one, _ in area.seen]
                if code not in [one for one, _ in area.seen]:
                    who = ", ".join(f"`{name}`" for name in seen)
                    return (
                        f"nobody comes into `{area.name}` by an event `{schema.types[code].name}`: it is seen by {who}"
                    )
    return ""
