"""Made-up rows for made-up books: late, at the same instant, with fields unknown and numbers at their ends."""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from state.batch import Row
from state.decisions import decision_id
from tests.oracle.books import FLOATS, INTS, Shape, fields_of
from tests.oracle.expressions import KEPT, LISTS, SERVICES, TEXTS
from tests.oracle.interpreter import Record

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
SUBSCRIBERS = (8613800000001, 8613800000002, 8613800000003, 1, (1 << 63) - 1)

# Moments (UTC) shortly before a zone's clocks are changed; a stream begins at one of them, or at the end of a year.
CHANGES = {
    "Europe/Berlin": ((2008, 3, 30, 0, 30, 0), (2008, 10, 25, 23, 50, 0)),
    "Asia/Shanghai": ((2008, 11, 4, 1, 0, 0), (1991, 9, 14, 16, 30, 0)),
    "America/Santiago": ((2008, 3, 30, 2, 10, 0), (2008, 10, 12, 3, 30, 0)),
    "UTC": ((2008, 2, 29, 23, 59, 59),),
    "Australia/Lord_Howe": ((2009, 4, 4, 14, 30, 0), (2008, 10, 4, 15, 10, 0)),
    "America/St_Johns": ((2008, 11, 2, 2, 0, 0), (2008, 3, 9, 3, 20, 0)),
    "Asia/Kathmandu": ((1985, 12, 31, 17, 50, 0),),
    "Africa/Cairo": ((2010, 8, 10, 20, 20, 0), (2010, 9, 9, 21, 40, 0)),
}
YEAR_ENDS = ((2008, 12, 31, 9, 0, 0), (2011, 12, 31, 23, 0, 0))
STARTS = tuple(
    (zone, int(datetime(*when, tzinfo=UTC).timestamp() * 1000))
    for zone, changes in CHANGES.items()
    for when in (*changes, *YEAR_ENDS)
)


class Pace(NamedTuple):
    """How far a stream goes from event to event, and how late its events come."""

    steps_ms: tuple[int, ...]
    late_ms: tuple[int, ...]


HALF_MS = 30 * MINUTE_MS
PACES = (
    Pace(
        (0, 0, 1, 1000, 20_000, MINUTE_MS, 7 * MINUTE_MS, HALF_MS), (0, 0, 0, 0, 1, 5000, 3 * MINUTE_MS, 50 * MINUTE_MS)
    ),
    Pace(
        (0, 7 * MINUTE_MS, HALF_MS, HALF_MS, HOUR_MS), (0, 0, 0, 7 * MINUTE_MS, HALF_MS, HOUR_MS)
    ),  # windows' very ends
    Pace((0, 0, 1, MINUTE_MS, HALF_MS, HOUR_MS, 5 * HOUR_MS), (0, 0, 0, 1, 50 * MINUTE_MS, 7 * HOUR_MS)),
    Pace((0, 0, 1, 1000, HOUR_MS, DAY_MS, 9 * DAY_MS, 40 * DAY_MS), (0, 0, 0, 1, 7 * HOUR_MS, 2 * DAY_MS, 33 * DAY_MS)),
)
TYPES = ["call"] * 12 + ["data"] * 6 + ["move"] * 2 + ["profile"] * 4 + ["list"] * 3 + ["visit"] * 3 + ["answer"]
OWNERS = 0.02
"""Of the rows, those after which the number is another's, or its customer is forgotten."""


def value(random: Random, word: str, at_ms: int, members: int) -> Any:
    """A value of a kind."""
    match word:
        case "int":
            return random.choice([random.randint(0, 5), random.randint(-100, 1000), random.choice(INTS)])
        case "float":
            return random.choice([float(random.randint(0, 5)), random.uniform(-1e6, 1e6), random.choice(FLOATS)])
        case "bool":
            return random.random() < 0.5
        case "time":
            return random.choice([at_ms, at_ms - random.randint(0, DAY_MS), 0, at_ms + 400 * DAY_MS])
        case "set":
            return [name for name in SERVICES[:members] if random.random() < 0.5]
        case _:
            return random.choice(TEXTS)


def event(random: Random, at_ms: int, shape: Shape, decided: Sequence[Record]) -> Row:
    """One row of any type; outcomes are of decisions made before."""
    subscriber = random.choice(SUBSCRIBERS[: random.choice([1, 2, 5])])
    kind = random.choice(TYPES)
    if decided and random.random() < 0.25:
        return told(random, at_ms, random.choice(decided[-6:]))
    if random.random() < OWNERS:
        return Row("owner", subscriber, at_ms, random.choice([{}, {"erased": True}, {"erased": False}]))
    if kind == "list":
        name = random.choice((*LISTS[: shape.lists], KEPT) if shape.lists else LISTS)
        told_list: dict[str, Any] = {"list": random.choice([name, name, "unheard of"]), "member": random.random() < 0.6}
        if random.random() < 0.3:
            told_list["until"] = at_ms + random.choice([-MINUTE_MS, 0, MINUTE_MS, 5 * HOUR_MS, 400 * DAY_MS])
        if random.random() < 0.3:
            told_list["for_ms"] = random.choice([-1, 0, 1, 20 * MINUTE_MS, DAY_MS])
        return Row("list", subscriber, at_ms, told_list)
    if kind == "visit":
        values: dict[str, Any] = {"terminal": "t1"}
        if random.random() < 0.8:
            values["open"] = random.random() < 0.7
        if random.random() < 0.7:
            values["visit"] = random.choice(["v1", "v2"])
        return Row("visit", subscriber, at_ms, values)
    if shape.has_ping and random.random() < 0.1:
        return Row("ping", subscriber, at_ms)
    unknown = random.choice([0.0, 0.2, 0.7])
    fields = {**fields_of(kind), **({"spare": shape.spare} if kind == "call" else {})}
    values = {
        name: value(random, word, at_ms, shape.members) for name, word in fields.items() if random.random() >= unknown
    }
    return Row(kind, subscriber, at_ms, values)


def burst(random: Random, first_ms: int, last_ms: int) -> list[Row]:
    """Many calls of one subscriber between two moments, in any order of time, with more values than a few."""
    subscriber = random.choice(SUBSCRIBERS)
    rows = []
    for _ in range(random.randint(15, 40)):
        number = random.randint(0, 30)
        values: dict[str, Any] = {"kind": str(number), "seconds": random.randint(0, 30), "amount": number / 3}
        rows.append(Row("call", subscriber, random.randint(first_ms, last_ms), values))
    return rows


def told(random: Random, at_ms: int, of: Record) -> Row:
    """What a gateway or a customer says of a decision; now and then it is a decision that nobody made."""
    row = of.row + (random.random() < 0.1)
    state = random.choice([1, 1, 2, 2, 2, 3, 4, 5])
    values: dict[str, Any] = {"partition": 0, "position": of.position, "row": row, "rule": of.rule}
    if random.random() < 0.25:
        if random.random() < 0.3:
            named = decision_id(0, of.position, row, of.rule)
            said = {"text": "1", **({"decision": named} if random.random() < 0.8 else {})}
            return Row("reply", of.subscriber, at_ms, said)
        values["answer"] = random.choice(["decline", "decline", "accept", "later"])
        return Row("answer", of.subscriber, at_ms, values)
    values["state"] = state
    if random.random() < 0.7:
        values["contact_ms"] = at_ms - random.choice([0, 1000, 20 * MINUTE_MS, 5 * HOUR_MS, DAY_MS])
    return Row("outcome", of.subscriber, at_ms, values)
