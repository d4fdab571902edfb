"""On the events' own clock log times follow from a source's rows: chunk, frame, partition and crash change nothing."""

from collections.abc import Iterator
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from connectors.sources.contract import Chunk, Decoded
from engine.book.compiled import CompiledBook, compile_book
from engine.flow.event_time import stamp_items
from engine.flow.fold import FoldLimits, FoldParts
from engine.flow.partition import Item, Partition
from engine.flow.source_clocks import SourceClocks
from engine.flow.stages import items_of
from engine.flow.steps import step_end
from engine.flow.tickets import Ticket
from rules.load import load_text
from state.batch import Row, from_rows
from state.frame import Frame, FrameKind, decode, encode
from tests.engine.world import BASE_MS, BOOK
from tests.fakes.store import MemoryStore

YEAR_MS = 365 * 86_400_000

Feeds = dict[str, list[tuple[int, int]]]
"""Subscribers and times by source."""
Times = dict[tuple[str, int], int]
"""Log time by source and place in it."""


@pytest.fixture(scope="module")
def compiled() -> CompiledBook:
    return compile_book(load_text({"book.toml": BOOK}))


def feeds_of(seed: int) -> Feeds:
    """Three sources, hours apart from each other, each with rows of wrong clocks, alone and in bursts."""
    random = Random(seed)
    feeds = {}
    for name, start_ms in (("a", 0), ("b", 5 * 3_600_000), ("c", -86_400_000)):
        rows, at_ms = [], BASE_MS + start_ms
        for _ in range(120):
            at_ms += random.choice([0, 1000, 40_000, 40_000, 15 * 60_000])
            rows.append((8613800000000 + random.randrange(30), at_ms - random.choice([0, 0, 3000])))
            if random.random() < 0.04:
                rows += [(8613900000000 + random.randrange(3), at_ms + YEAR_MS)] * random.choice([1, 10])
        feeds[name] = rows
    return feeds


class MemoryLog:
    """Frames as bytes."""

    first_position = 0

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self.frames: list[bytes] = []

    @property
    def next_position(self) -> int:
        return len(self.frames)

    def append(self, frame: Frame) -> int:
        self.frames.append(encode(frame))
        return len(self.frames) - 1

    def read(self, start: int) -> Iterator[tuple[int, Frame]]:
        for position in range(start, len(self.frames)):
            yield position, decode(self.frames[position], lambda _: self.schema)

    def position_at(self, appended_ms: int) -> int:
        return 0


class World:
    """Partitions that are fed chunk by chunk; a crash takes the newest frames of some of them."""

    def __init__(self, compiled: CompiledBook, partitions: int, rows_max: int) -> None:
        self.compiled, self.rows_max = compiled, rows_max
        self.logs = [MemoryLog(compiled.book.schema) for _ in range(partitions)]
        self.start()

    def start(self) -> None:
        self.partitions = [self._recovered(number) for number in range(len(self.logs))]
        self.clocks = SourceClocks(one.clocks for one in self.partitions)

    def _recovered(self, number: int) -> Partition:
        limits = FoldLimits(64 * 64, 64 * 32, 24, self.rows_max, 600_000, 1 << 16, events_clock=True)
        parts = FoldParts(number, limits, MemoryStore(), lambda _: self.compiled)
        journal = SimpleNamespace(reached=1 << 40)
        one = Partition(parts, cast("Any", self.logs[number]), cast("Any", journal))
        one.recover(lambda _: None)
        if one.book_version is None:
            payload = b'{"version":"x"}'
            list(one.process([Item(expecting(1), kind=FrameKind.ACTIVATION, payload=payload)], 0))
        return one

    def reached(self, source: str) -> int:
        """The first row that some partition lacks."""
        return min(one.sources.get(source, 0) for one in self.partitions)

    def feed(self, source: str, rows: list[tuple[int, int]], size: int) -> None:
        """Give the next chunk of a source to all partitions."""
        start = self.reached(source)
        some = rows[start : start + size]
        batch = from_rows(self.compiled.book.schema, [Row("call", who, at_ms, {"kind": "x"}) for who, at_ms in some])
        batch.id[:] = np.arange(start, start + len(some)) * 8 + ord(source[0]) % 8
        end = start + len(some)
        chunk = Chunk(source, source, np.zeros(0, np.uint8), 0, start, end, dedupe=False, done=False, received_ns=0)
        decoded = Decoded(batch, np.arange(start, end))
        count = len(self.partitions)
        items = items_of(chunk, decoded, expecting(count), count)
        stamp_items(self.clocks, source, decoded, items)
        for partition, item in zip(self.partitions, items, strict=True):
            list(partition.process([item], 0))

    def crash(self, random: Random) -> None:
        for log in self.logs:
            del log.frames[max(len(log.frames) - random.choice([0, 0, 1, 3, 9]), 1) :]
        self.start()

    def times(self) -> Times:
        """Log times as the logs hold them, by the place that a row's id says."""
        found: Times = {}
        for log in self.logs:
            latest_ms = 0
            for _, frame in log.read(0):
                if frame.batch is None:
                    continue
                for identity, log_ms in zip(frame.batch.id.tolist(), frame.batch.log_ms.tolist(), strict=True):
                    place = (chr(96 + identity % 8), identity // 8)
                    assert place not in found, "a row is in the log once"
                    found[place] = log_ms
                latest_ms = max(latest_ms, frame.append_ms)
        return found


def expecting(count: int) -> Ticket:
    ticket = Ticket()
    ticket.expect(count)
    return ticket


def run(compiled: CompiledBook, feeds: Feeds, seed: int, *, crashes: bool) -> Times:
    """Feed everything, in chunks of any size, to so many partitions, through crashes."""
    random = Random(seed)
    world = World(compiled, random.choice([1, 2, 5]), random.choice([1, 7, 1000]))
    while left := [name for name, rows in feeds.items() if world.reached(name) < len(rows)]:
        name = random.choice(left)
        world.feed(name, feeds[name], random.choice([1, 5, 40, 400]))
        if crashes and random.random() < 0.1:
            world.crash(random)
    return world.times()


def test_log_times_are_the_same_whatever_the_chunks_frames_partitions_and_crashes(compiled: CompiledBook) -> None:
    for seed in range(12):
        feeds = feeds_of(seed)
        first = run(compiled, feeds, 0, crashes=False)
        assert len(first) == sum(map(len, feeds.values()))
        for other in range(1, 4):
            assert run(compiled, feeds, seed * 10 + other, crashes=True) == first


def test_wrong_clocks_make_no_honest_row_stale_in_any_source(compiled: CompiledBook) -> None:
    feeds = feeds_of(3)
    found = run(compiled, feeds, 5, crashes=True)
    for name, rows in feeds.items():
        ages = [found[name, place] - at_ms for place, (who, at_ms) in enumerate(rows) if who < 8613900000000]
        assert max(ages[5:]) <= 10 * 60_000 + 15 * 60_000


def test_what_the_engine_makes_itself_does_not_move_the_clock(compiled: CompiledBook) -> None:
    world = World(compiled, 1, 100)
    world.feed("a", feeds_of(1)["a"], 50)
    (partition,) = world.partitions
    clock_ms = partition.clock_ms
    batch = from_rows(compiled.book.schema, [Row("visit", 8613800000001, clock_ms + YEAR_MS, {"terminal": "t"})])
    list(partition.process([Item(expecting(1), batch)], 0))
    assert partition.clock_ms == clock_ms
    (*_, (_, frame)) = world.logs[0].read(0)
    assert frame.batch is not None
    assert frame.batch.log_ms.tolist() == [clock_ms]


def test_a_wrong_row_alone_in_the_first_run_is_corrected_by_the_second_subscriber(compiled: CompiledBook) -> None:
    world = World(compiled, 1, 100)
    world.feed("a", [(8613900000001, BASE_MS + YEAR_MS)], 1)
    world.start()
    assert world.partitions[0].clock_ms == step_end(BASE_MS + YEAR_MS)
    rows = [(8613900000001, BASE_MS + YEAR_MS), *((8613800000000 + i, BASE_MS + 1000 * i) for i in range(100))]
    world.feed("a", rows, 200)
    assert world.partitions[0].clock_ms == step_end(BASE_MS + 99_000)
    world.start()
    assert world.partitions[0].clock_ms == step_end(BASE_MS + 99_000)
