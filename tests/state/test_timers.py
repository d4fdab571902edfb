"""Deadlines are judged by the times of events: the order of the log, and where a row `due` stands, change nothing."""

from itertools import permutations
from random import Random

import numpy as np
import pytest

from engine.book.compiled import CompiledBook, compile_book
from engine.flow.deadlines import Deadlines
from engine.flow.decider import Decider
from rules.load import load_text
from state.batch import Batch, Row, from_rows
from state.columns import Table
from state.contacts import Contacts
from state.hashing import stable_id

BASE_MS = 1_700_000_000_000
SPAN_MS = 600_000
BOOK = """
campaign = "care"
[book]
max_age = "366d"
[events.use]
fields = { thing = "string" }
[events.stop]
fields = { thing = "string" }
[channels.alert]
[[rule]]
id = "silent"
after = "use"
for = "10m"
unless = "stop"
channels = ["alert"]
[[rule]]
id = "absent"
after = "use"
within = "10m"
unless = "stop"
channels = ["alert"]
[[rule]]
id = "keyed"
after = "use"
within = "10m"
unless = "stop"
key = "thing"
keys_max = 3
channels = ["alert"]
"""

Event = tuple[str, int]
"""Type, and milliseconds after BASE_MS."""


@pytest.fixture(scope="module")
def compiled() -> CompiledBook:
    return compile_book(load_text({"book.toml": BOOK}))


class World:
    """A decider; `due` may be taken from its hints."""

    def __init__(self, compiled: CompiledBook, slots: int = 1 << 14) -> None:
        self.book = compiled.book
        self.table = Table(slots)
        self.deadlines = Deadlines(self.table)
        self.decider = Decider(self.table, Contacts(self.table.capacity, 4), 1 << 16, self.deadlines)
        self.decider.activate(compiled, 0)
        self.fired: list[tuple[str, int, int]] = []
        self.position = 0

    def fold(self, rows: list[Row]) -> None:
        batch = from_rows(self.book.schema, rows)
        batch.log_ms[:] = BASE_MS
        self.fold_batch(batch)

    def fold_batch(self, batch: Batch) -> None:
        self.position += 1
        slots = np.empty(batch.n, np.int32)
        self.table.lookup(batch.subscriber, slots, self.position)
        found = self.decider.fold(self.position, BASE_MS, batch, np.arange(batch.n, dtype=np.int32), slots)
        if found is not None:
            rules = self.book.by_stable_id
            told = zip(found.rule.tolist(), found.subscriber.tolist(), found.at_ms.tolist(), strict=True)
            self.fired += [(rules[rule].id, who, at_ms - BASE_MS) for rule, who, at_ms in told]

    def of(self, rule: str, who: int) -> list[int]:
        return sorted(at_ms for one, subscriber, at_ms in self.fired if (one, subscriber) == (rule, who))


def deadline(at_ms: int) -> int:
    return -(-(BASE_MS + at_ms + SPAN_MS) // 1000) * 1000 - BASE_MS


def truth_silent(events: list[Event]) -> list[int]:
    """What is due when every event is known."""
    uses = {at_ms for kind, at_ms in events if kind == "use"}
    stops = {at_ms for kind, at_ms in events if kind == "stop"}
    found = []
    for at_ms in uses:
        until = deadline(at_ms)
        if not any(at_ms < other < until for other in uses) and not any(at_ms <= stop < until for stop in stops):
            found.append(until)
    return sorted(found)


def truth_absent(events: list[Event]) -> list[int]:
    """The same, where no use lies in the time of another."""
    stops = {at_ms for kind, at_ms in events if kind == "stop"}
    uses = {at_ms for kind, at_ms in events if kind == "use"}
    return sorted(deadline(at) for at in uses if not any(at <= stop < deadline(at) for stop in stops))


def row(event: Event, who: int, thing: str = "t") -> Row:
    return Row(event[0], who, BASE_MS + event[1], {"thing": thing})


def due(rule: str, who: int, at_ms: int, thing: str = "") -> Row:
    return Row("due", who, BASE_MS + at_ms, {"rule": stable_id(rule), **({"text": thing} if thing else {})})


def is_later_than_its_span(events: tuple[Event, ...]) -> bool:
    """Whether a use comes after what lies behind its deadline: what answered it may be forgotten by then."""
    return any(
        kind == "use" and any(other >= deadline(at_ms) for _, other in events[:place])
        for place, (kind, at_ms) in enumerate(events)
    )


def drawn(random: Random, apart_ms: int) -> list[Event]:
    """Four events; uses lie so far apart."""
    times = [random.choice([0, 1, 999, 1000, 599_000, 599_999, 600_000, 600_001]) for _ in range(4)]
    steps = [time + n * apart_ms for n, time in enumerate(times)]
    kinds = [random.choice(["use", "use", "stop"]) for _ in times]
    return [
        (kind, step if kind == "use" else step + random.choice([-1, 0, 1, -300_000]))
        for kind, step in zip(kinds, steps, strict=True)
    ]


@pytest.mark.parametrize(("rule", "apart_ms"), [("silent", 200_000), ("absent", 1_300_000)])
def test_in_any_order_of_the_log_the_same_deadlines_come(compiled: CompiledBook, rule: str, apart_ms: int) -> None:
    world, rows, expected = World(compiled), [], {}
    random = Random(3)
    for number in range(60):
        events = drawn(random, apart_ms)
        for order, some in enumerate(permutations(events)):
            if rule == "silent" and is_later_than_its_span(some):
                continue
            who = 1 + number * 24 + order
            rows += [row(one, who) for one in some]
            expected[who] = truth_silent(events) if rule == "silent" else truth_absent(events)
            rows += [due(rule, who, at_ms) for at_ms in {deadline(at_ms) for _, at_ms in events}]
    world.fold(rows)
    found = by_subscriber(world, rule)
    assert {who: found.get(who, []) for who in expected} == expected
    assert sum(map(len, expected.values())) > 500


def by_subscriber(world: World, rule: str) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for one, who, at_ms in sorted(world.fired):
        if one == rule:
            found.setdefault(who, []).append(at_ms)
    return found


def test_wherever_a_row_due_stands_it_is_judged_at_its_own_time_and_a_second_one_does_nothing(
    compiled: CompiledBook,
) -> None:
    events: list[Event] = [("use", 0), ("use", 100), ("use", 700_500), ("stop", 800_000), ("use", 900_000)]
    first, last = deadline(100), deadline(900_000)
    world, rows = World(compiled), []
    for who, place in enumerate(range(2, len(events) + 1), 1):
        logged = [row(one, who) for one in events]
        logged[place:place] = [due("silent", who, first), due("silent", who, first)]
        rows += [*logged, due("silent", who, last), due("silent", who, first), due("silent", who, deadline(700_500))]
    world.fold(rows)
    assert [world.of("silent", who) for who in range(1, 5)] == [[first, last]] * 4


def test_a_late_event_before_the_deadline_ends_it_until_its_row_stands_in_the_log(compiled: CompiledBook) -> None:
    world, until = World(compiled), deadline(0)
    late = row(("stop", until - 1), 1), row(("stop", until), 2), row(("stop", until - 1), 3)
    world.fold([row(("use", 0), who) for who in (1, 2, 3)])
    world.fold([late[0], late[1], due("silent", 3, until), late[2]])
    world.fold([due("silent", who, until) for who in (1, 2, 3)])
    assert [world.of("silent", who) for who in (1, 2, 3)] == [[], [until], [until]]


def test_each_key_has_its_own_deadline_and_one_more_than_there_is_room_for_is_refused_and_counted(
    compiled: CompiledBook,
) -> None:
    world = World(compiled)
    world.fold([row(("use", n), 1, thing) for n, thing in enumerate("abcd")])
    assert world.deadlines.refused == 1, "the fourth of three"
    world.fold([row(("stop", 500), 1, "a"), row(("use", 600), 1, "e")])
    assert world.deadlines.refused == 1, "where one has ended there is room"
    rows = [due("keyed", 1, deadline(n), thing) for n, thing in ((0, "a"), (1, "b"), (2, "c"), (3, "d"), (600, "e"))]
    world.fold(rows)
    assert world.of("keyed", 1) == [deadline(1), deadline(2), deadline(600)]


def test_hints_find_every_open_deadline_in_order_and_once(compiled: CompiledBook) -> None:
    world, random = World(compiled), Random(5)
    for _ in range(20):
        kinds = [(random.choice(["use", "stop"]), random.randrange(3_000_000)) for _ in range(500)]
        world.fold([row(one, random.randrange(1, 9_000), random.choice("abc")) for one in kinds])
    places, found = [], 0
    while world.deadlines.next_ms < 1 << 62:
        batch = world.deadlines.take(world.deadlines.next_ms + 1_000, 100)
        if batch is not None:
            places += batch.log_ms.tolist()
            found += batch.n
            world.fold_batch(batch)
    assert places == sorted(places)
    assert found == len(world.fired) == world.deadlines.fired > 3_000
