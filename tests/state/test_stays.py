"""Stays in an area are judged by the times of sightings, wherever the rows of deadlines stand in the log."""

from random import Random

import numpy as np
import pytest

from engine.book.compiled import CompiledBook, compile_book
from engine.flow.decider import Decider
from rules.load import load_text
from state.batch import Row, from_rows
from state.columns import Table
from state.contacts import Contacts
from state.hashing import stable_id

BASE_MS = 1_700_000_000_000
MINUTE_MS = 60_000
BOOK = """
campaign = "area"
[book]
max_age = "366d"
[events.move]
fields = { cell = "string!" }
[areas.fair]
CELLS
seen = "move.cell"
leave_after = "2m"
[channels.alert]
[[rule]]
id = "came"
on = "move"
when = "came_into('fair')"
channels = ["alert"]
[[rule]]
id = "stayed"
stays = "fair"
for = "10m"
channels = ["alert"]
[[rule]]
id = "left"
leaves = "fair"
channels = ["alert"]
"""
WHO = 8613800000001
Sighting = tuple[int, bool]
"""Milliseconds after BASE_MS, and whether it is inside."""


def book(cells: str = 'cells = ["in"]') -> str:
    return BOOK.replace("CELLS", cells)


@pytest.fixture(scope="module")
def compiled() -> CompiledBook:
    return compile_book(load_text({"book.toml": book()}))


class World:
    """A decider that is given rows."""

    def __init__(self, compiled: CompiledBook) -> None:
        self.compiled = compiled
        self.table = Table(64)
        self.decider = Decider(self.table, Contacts(self.table.capacity, 4), 64)
        self.decider.activate(compiled, 0)
        self.fired: list[tuple[str, int]] = []
        self.position = 0

    def fold(self, *rows: Row) -> None:
        self.position += 1
        batch = from_rows(self.compiled.book.schema, rows)
        batch.log_ms[:] = BASE_MS
        slots = np.empty(batch.n, np.int32)
        self.table.lookup(batch.subscriber, slots, self.position)
        found = self.decider.fold(self.position, BASE_MS, batch, np.arange(batch.n, dtype=np.int32), slots)
        if found is not None:
            told = zip(found.rule.tolist(), found.at_ms.tolist(), strict=True)
            self.fired += [(self.compiled.book.by_stable_id[rule].id, at_ms - BASE_MS) for rule, at_ms in told]


def move(at_ms: int, *, inside: bool = True) -> Row:
    return Row("move", WHO, BASE_MS + at_ms, {"cell": "in" if inside else "out"})


def due(rule: str, at_ms: int) -> Row:
    return Row("due", WHO, BASE_MS + at_ms, {"rule": stable_id(rule)})


def up(at_ms: int) -> int:
    return -(-(BASE_MS + at_ms) // 1000) * 1000 - BASE_MS


def truth(sightings: list[Sighting]) -> list[tuple[str, int]]:
    """What fires when every sighting is known, from the stays: where each began, and what ended it."""
    stays: list[tuple[int, int | None, bool]] = []
    outside_ms: int | None = None
    began_ms: int | None = None
    for at_ms, inside in [*sightings, (1 << 40, False)]:
        if began_ms is not None and outside_ms is not None and at_ms >= up(outside_ms + 2 * MINUTE_MS):
            stays[-1] = (began_ms, up(outside_ms + 2 * MINUTE_MS), stays[-1][2])
            began_ms = None
        if inside and began_ms is None:
            began_ms = at_ms
            stays.append((at_ms, None, outside_ms is not None))
        if inside or outside_ms is None:
            outside_ms = None if inside else at_ms
    found = [("came", begun) for begun, _, came in stays if came]
    found += [("left", end) for _, end, _ in stays if end is not None]
    long = 10 * MINUTE_MS
    return sorted(
        found + [("stayed", up(begun + long)) for begun, end, _ in stays if end is None or end > up(begun + long)]
    )


def drawn(random: Random) -> list[Sighting]:
    at_ms, found = 0, []
    for _ in range(random.randint(1, 14)):
        at_ms += random.choice(
            [1, 20_000, 119_999, 120_000, 121_000, 400_000, 599_000, 601_000, random.randint(1, 900_000)]
        )
        found.append((at_ms, random.random() < 0.6))
    return found


@pytest.mark.parametrize("seed", range(200))
def test_what_fires_is_a_function_of_the_sightings_wherever_deadlines_stand(compiled: CompiledBook, seed: int) -> None:
    random = Random(seed)
    sightings = drawn(random)
    world = World(compiled)
    late_ms = random.choice([0, 1, 60_000, 500_000])
    rows = [(at_ms, 0, move(at_ms, inside=inside)) for at_ms, inside in sightings]
    for at_ms, inside in sightings:  # a deadline of every sighting that may have one, and some that have none
        rows += [(up(at_ms + 10 * MINUTE_MS) + late_ms, 1, due("stayed", up(at_ms + 10 * MINUTE_MS)))] * 2
        rows += [(up(at_ms + 2 * MINUTE_MS) + late_ms, 1, due("left", up(at_ms + 2 * MINUTE_MS)))] * (1 + inside)
    for _, _, row in sorted(rows, key=lambda one: one[:2]):
        world.fold(row)

    assert sorted(world.fired) == truth(sightings)


def test_a_stay_of_ten_minutes_is_not_told_on_arrival_but_inside_with_no_further_event(compiled: CompiledBook) -> None:
    world = World(compiled)
    world.fold(move(0, inside=False), move(MINUTE_MS))
    assert world.fired == [("came", MINUTE_MS)]
    found = world.decider.deadlines.take(BASE_MS + 11 * MINUTE_MS, 9)
    assert found is not None
    assert (found.at_ms - BASE_MS).tolist() == [11 * MINUTE_MS]
    assert world.decider.deadlines.take(BASE_MS + 60 * MINUTE_MS, 9) is None


def test_a_sighting_that_is_older_than_the_newest_changes_nothing(compiled: CompiledBook) -> None:
    world = World(compiled)
    world.fold(move(0, inside=False), move(5 * MINUTE_MS), move(4 * MINUTE_MS, inside=False), move(MINUTE_MS))
    world.fold(due("stayed", 15 * MINUTE_MS))
    assert world.fired == [("came", 5 * MINUTE_MS), ("stayed", 15 * MINUTE_MS)]


def test_a_hundred_thousand_cells_of_a_table_are_an_area_and_a_reload_keeps_who_is_inside() -> None:
    rows = [f"c{number},{'fair' if number % 2 else 'other'}" for number in range(100_000)]
    area = 'table = "cells"\nonly = { area = "fair" }'
    table = '[tables.cells]\nfile = "cells.csv"\ncolumns = { cell = "string", area = "string" }\n'
    texts = {"book.toml": book(area) + table, "cells.csv": "\n".join(["cell,area", *rows, "in,fair", "out,other"])}
    first = load_text(texts)
    world = World(compile_book(first))
    world.fold(move(0, inside=False), move(MINUTE_MS))

    after = load_text({**texts, "cells.csv": texts["cells.csv"].replace("out,other", "out,fair")}, first)
    world.compiled = compile_book(after)
    world.decider.activate(world.compiled, world.position + 1)
    world.fold(move(2 * MINUTE_MS, inside=False), due("stayed", 11 * MINUTE_MS))

    assert world.fired == [("came", MINUTE_MS), ("stayed", 11 * MINUTE_MS)]
    assert world.decider.values(0, BASE_MS + 12 * MINUTE_MS)["area:fair"] == BASE_MS + MINUTE_MS
