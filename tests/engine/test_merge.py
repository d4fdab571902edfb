"""Sources are one stream in the order of log times, whatever their chunks, the order of reading, frames, partitions."""

from random import Random

import numpy as np
import pytest

from connectors.sources.contract import Chunk, Decoded
from engine.flow.merge import Merge
from engine.flow.partition import Item
from engine.flow.stages import items_of
from engine.flow.steps import FOREVER_MS, STEP_MS, step_end
from engine.flow.tickets import Ticket
from state.batch import Row, from_rows
from state.hashing import partition_of
from state.schema import make_schema

SCHEMA = make_schema((), ())
BASE_MS = 1_225_756_800_000

Rows = list[tuple[int, int]]
"""Subscribers and log times, which do not fall."""
Place = tuple[str, int]
"""A source and the index of a row in it."""


class World:
    """Sources that are read chunk by chunk, and partitions that take what they may."""

    def __init__(self, feeds: dict[str, Rows], partitions: int, rows_max: int) -> None:
        self.feeds = feeds
        self.read = dict.fromkeys(feeds, 0)
        self.partitions = partitions
        self.merge = Merge(partitions, rows_max, self.reads)
        self.taken: list[list[list[Place]]] = [[] for _ in range(partitions)]
        self.limit_ms = FOREVER_MS

    def reads(self) -> dict[object, str]:
        return {
            name: name if self.read[name] else "" for name, rows in self.feeds.items() if self.read[name] < len(rows)
        }

    def bring(self, source: str, size: int, *, pushed: bool = False) -> None:
        start = self.read[source]
        some = self.feeds[source][start : start + size]
        end = self.read[source] = start + len(some)
        batch = from_rows(SCHEMA, [Row("list", who, at_ms, {"list": "x"}) for who, at_ms in some])
        chunk = Chunk(source, source, np.zeros(0, np.uint8), 0, start, end, dedupe=False, done=False, received_ns=0)
        ticket = Ticket()
        ticket.expect(self.partitions)
        items = items_of(chunk, Decoded(batch, np.arange(start, end)), ticket, self.partitions)
        for item in items:
            assert item.batch is not None
            item.batch.log_ms[:] = item.batch.at_ms
        self.merge.add(source, items, batch.at_ms.copy(), begun=True, pushed=pushed)

    def take_all(self) -> None:
        for number in range(self.partitions):
            while self.merge.ready(number, self.limit_ms):
                parts = self.merge.take(number, self.limit_ms)
                assert parts
                frame = [place for part in parts for place in places_of(part.cut())]
                self.taken[number].append(sorted(frame, key=lambda one: (self.time_of(one), one)))

    def time_of(self, place: Place) -> int:
        return self.feeds[place[0]][place[1]][1]


def places_of(item: Item) -> list[Place]:
    assert item.offsets is not None
    return [(item.key, offset) for offset in item.offsets.tolist()]


def feeds_of(random: Random) -> dict[str, Rows]:
    feeds: dict[str, Rows] = {}
    for name in "abc"[: random.choice([1, 2, 3])]:
        at_ms, rows = BASE_MS + random.randrange(10 * STEP_MS), []
        for _ in range(random.choice([0, 5, 80])):
            at_ms += random.choice([0, 0, 500, 4_000, 70_000])
            rows.append((8613800000000 + random.randrange(9), at_ms))
        feeds[name] = rows
    return feeds


def run(feeds: dict[str, Rows], random: Random) -> World:
    world = World(feeds, random.choice([1, 2, 3]), random.choice([1, 7, 1000]))
    while left := [name for name, rows in feeds.items() if world.read[name] < len(rows)]:
        world.bring(random.choice(left), random.choice([1, 3, 50]))
        if random.random() < 0.5:
            world.take_all()
    world.take_all()
    assert world.merge.empty
    return world


def test_each_partition_takes_its_rows_in_the_order_of_log_times_then_of_sources(seed: int) -> None:
    random = Random(seed)
    for _ in range(60):
        feeds = feeds_of(random)
        every = [(name, index) for name, rows in feeds.items() for index in range(len(rows))]
        world = run(feeds, random)
        expected = sorted(every, key=lambda one: (world.time_of(one), one))
        for number in range(world.partitions):
            mine = [one for one in expected if partition_of(feeds[one[0]][one[1]][0], world.partitions) == number]
            assert [place for frame in world.taken[number] for place in frame] == mine


def test_no_frame_reaches_over_a_step_and_none_is_longer_than_it_may_be(seed: int) -> None:
    random = Random(seed)
    for _ in range(30):
        world = run(feeds_of(random), random)
        for frame in (frame for frames in world.taken for frame in frames if frame):
            assert len({step_end(world.time_of(place)) for place in frame}) == 1
            assert len(frame) <= world.merge._rows_max


def test_a_row_waits_for_a_source_that_is_read_and_has_not_come_so_far() -> None:
    world = World({"a": [(1, BASE_MS), (1, BASE_MS + 1000)], "b": [(1, BASE_MS + 500), (1, BASE_MS + 900)]}, 1, 100)
    world.bring("a", 2)
    world.take_all()
    assert world.taken == [[]]

    world.bring("b", 1)
    world.take_all()
    assert world.taken == [[[("a", 0)], [("b", 0)]]]
    assert world.merge.lagging() == {"b"}

    world.bring("b", 1)
    world.take_all()
    assert world.taken[0][2:] == [[("b", 1), ("a", 1)]]


def test_no_row_after_the_limit_is_taken_and_the_rest_of_the_step_comes_later() -> None:
    world = World({"a": [(1, BASE_MS + 1000 * n) for n in range(5)]}, 1, 100)
    world.bring("a", 5)
    world.limit_ms = BASE_MS + 2_500
    world.take_all()
    assert world.taken[0] == [[("a", 0)], [("a", 1), ("a", 2)]]
    assert world.merge.head_ms(0) == BASE_MS + 3000

    world.limit_ms = FOREVER_MS
    world.take_all()
    assert world.taken[0][2:] == [[("a", 3), ("a", 4)]]


@pytest.mark.parametrize("begun_later", [True, False])
def test_rows_of_a_source_whose_clock_has_not_begun_wait_until_it_has_or_is_read_to_its_end(begun_later: bool) -> None:
    world = World({"a": [(1, BASE_MS + FOREVER_MS // 4), (2, BASE_MS)]}, 1, 100)
    merge = world.merge
    world.read["a"] = 1
    item = items_of(
        Chunk("a", "a", np.zeros(0, np.uint8), 0, 0, 1, dedupe=False, done=False, received_ns=0),
        Decoded(from_rows(SCHEMA, [Row("list", 1, BASE_MS, {"list": "x"})]), np.arange(1)),
        Ticket(),
        1,
    )
    merge.add("a", item, np.array([BASE_MS + FOREVER_MS // 4]), begun=False, pushed=False)
    assert not merge.ready(0, FOREVER_MS)
    if begun_later:
        merge.add("a", [Item(Ticket(), item[0].batch, np.arange(1, 2))], np.array([BASE_MS]), begun=True, pushed=False)
        assert merge.head_ms(0) == BASE_MS
    else:
        world.read["a"] = 2
        assert merge.ready(0, FOREVER_MS)


def test_what_is_pushed_waits_for_no_source_that_is_read() -> None:
    world = World({"a": [(1, BASE_MS)], "b": [(1, BASE_MS + 500)]}, 1, 100)
    world.bring("b", 1, pushed=True)
    world.take_all()
    assert world.taken == [[[("b", 0)]]]
