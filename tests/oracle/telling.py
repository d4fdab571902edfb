"""What features are told of an event: those of one source, areas, sequences, and the deadlines of rules."""

from collections.abc import Sequence
from typing import Any

from rules import steps
from rules.model import Feature, Timer
from state.batch import Row
from state.schema import EventType
from state.sets import set_of
from tests.oracle.deadlines import Deadlines
from tests.oracle.known import Moment
from tests.oracle.memory import Change, Lists, Settled, Since, Told
from tests.oracle.sequences import Runs
from tests.oracle.stays import Area, StayDeadlines

__all__ = ["COMMITTED", "REFUNDED", "UNKNOWN", "follow", "move", "tell", "time"]

COMMITTED, REFUNDED, UNKNOWN = 1, 2, 5


def tell(moment: Moment, index: int, feature: Feature) -> None:
    """Let a feature know of an event, if it is one of its own."""
    memory, row = moment.memory(feature), moment.row
    if isinstance(memory, Since):
        moment.values[index] = memory.value(row.at_ms)
    if isinstance(memory, Lists):
        memory.move(
            str(row.values["list"]), bool(row.values["member"]), feature.members, _end_ms(moment), moment.append_ms
        )
        return
    if isinstance(memory, Told):
        _tell_decision(memory, moment, feature)
        return
    value: Any = row.at_ms
    if feature.source_slot >= 0:
        name = moment.known.book.schema.types[feature.source_type].fields[feature.source_slot].name
        value = row.values.get(set_of(name))
        if feature.members and value is not None:
            value = frozenset(one for one in value if one in feature.members)
    if feature.read is not None and value is not None:
        value = moment.worth(feature.read)
    assert not isinstance(memory, Deadlines | Area | Runs)
    if value is None or (feature.where is not None and not moment.holds(feature.where)):
        return
    if isinstance(memory, Settled):
        memory.sighted(feature, row.at_ms, value)
        moment.values[index] = memory.settled if feature.kind == "settled" else memory.replaced
        return
    changed = memory.update(row.at_ms, value)
    if isinstance(memory, Change):
        moment.values[index] = changed


def follow(moment: Moment, index: int, feature: Feature) -> None:
    """Let an area know where its subscriber is, if the event says so."""
    memory, inside = moment.memory(feature), moment.is_inside(feature)
    assert isinstance(memory, Area)
    assert feature.stays is not None
    at_ms = moment.row.at_ms
    told = inside is not None
    moment.values[index] = (
        memory.sighted(feature.stays, at_ms, inside=bool(inside)) if told else memory.since(feature.stays, at_ms)
    )


def time(moment: Moment, index: int, feature: Feature, timer: Timer) -> None:
    """Let the deadlines of a rule know of an event that ends, arms, or is one that has come."""
    memory, row, code = moment.memory(feature), moment.row, moment.code
    assert isinstance(memory, Deadlines)
    moment.values[index] = None
    if isinstance(memory, StayDeadlines):
        _stays(moment, index, feature, timer)
        return
    types = moment.known.book.schema.types
    if code == timer.unless_type and (timer.unless_where is None or moment.holds(timer.unless_where)):
        key = _key(types, code, timer.unless_slot, row)
        if key is not MISSING:
            memory.ends(timer, row.at_ms, key)
    if code == feature.source_type and (feature.where is None or moment.holds(feature.where)):
        key = _key(types, code, feature.source_slot, row)
        if key is not MISSING:
            memory.arms(timer, row.at_ms, key)
    if code == timer.due_type and row.values["rule"] == timer.number:
        key = row.values.get("text", row.values.get("number"))
        moment.values[index] = True if memory.fires(timer, row.at_ms, key) else None


def _stays(moment: Moment, index: int, feature: Feature, timer: Timer) -> None:
    """Let the deadlines of a rule about an area know of a sighting, or of one that has come."""
    memory, inside, row = moment.memory(feature), moment.is_inside(feature), moment.row
    assert isinstance(memory, StayDeadlines)
    assert feature.stays is not None
    if inside is not None:
        memory.sighted(timer, feature.stays, row.at_ms, inside=inside)
    if moment.code == timer.due_type and row.values["rule"] == timer.number:
        moment.values[index] = memory.holds(timer, feature.stays, row.at_ms) or None


def _end_ms(moment: Moment) -> int | None:
    """When the membership ends that a row of a list tells of."""
    values: Any = moment.row.values
    if "until" in values:
        return int(values["until"])
    return moment.append_ms + max(int(values["for_ms"]), 0) if "for_ms" in values else None


MISSING = object()


def _key(types: Sequence[EventType], code: int, slot: int, row: Row) -> Any:
    """The key that an event names; `MISSING` where it does not know it, None for a timer without keys."""
    return row.values.get(types[code].fields[slot].name, MISSING) if slot >= 0 else None


def move(moment: Moment, index: int, feature: Feature, sequence: steps.Sequence) -> None:
    """Let the runs of a sequence know of an event."""
    memory = moment.memory(feature)
    assert isinstance(memory, Runs)
    fitting = {
        number
        for number, step in enumerate(sequence.steps)
        if step.type == moment.code and (step.where is None or moment.holds(step.where))
    }
    types, row = moment.known.book.schema.types, moment.row
    if memory.move(sequence, types, fitting, row.at_ms, row.values):
        moment.values[index] = len(sequence.steps)


def _tell_decision(memory: Told, moment: Moment, feature: Feature) -> None:
    """Let a memory of decisions know of an outcome, an answer or a reply."""
    values: Any = moment.row.values
    state = int(values.get("state", 0)) if moment.row.type == "outcome" else COMMITTED
    if state not in (COMMITTED, REFUNDED, UNKNOWN) or not (feature.where is None or moment.holds(feature.where)):
        return
    reply = moment.row.type == "reply"
    decision = values.get("decision") if reply else tuple(values.get(one, 0) for one in ("position", "row", "rule"))
    memory.tell(decision, int(values.get("contact_ms", moment.append_ms)), stands=state != REFUNDED)
