"""Deadlines of subscribers that sleep come as those of all others do, once, through crashes of any kind."""

from random import Random
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from engine.book.compiled import CompiledBook, compile_book
from engine.flow.fold import FoldLimits, FoldParts
from engine.flow.partition import Item, Partition
from rules.load import load_text
from state.batch import Row, from_rows
from state.frame import FrameKind
from state.keys import MARK
from tests.engine.test_log_times import MemoryLog, expecting
from tests.fakes.store import MemoryStore

BASE_MS = 1_700_000_000_000
BOOK = """
campaign = "care"
[book]
max_age = "366d"
[events.use]
[events.mms]
fields = { message = "string!" }
[events.fetch]
fields = { message = "string!" }
[events.move]
fields = { cell = "string!" }
[areas.fair]
cells = ["a", "b"]
seen = "move.cell"
leave_after = "40s"
[channels.alert]
[[rule]]
id = "came"
on = "move"
when = "came_into('fair')"
channels = ["alert"]
[[rule]]
id = "stayed"
stays = "fair"
for = "5m"
channels = ["alert"]
[[rule]]
id = "left"
leaves = "fair"
channels = ["alert"]
[[rule]]
id = "silent"
after = "use"
for = "10m"
channels = ["alert"]
[[rule]]
id = "not-fetched"
after = "mms"
within = "5m"
unless = "fetch"
key = "message"
channels = ["alert"]
"""


@pytest.fixture(scope="module")
def compiled() -> CompiledBook:
    return compile_book(load_text({"book.toml": BOOK}))


class World:
    """One partition on the wall clock; `memory` is how many subscribers have room."""

    def __init__(self, compiled: CompiledBook, memory: int) -> None:
        self.compiled, self.memory = compiled, memory
        self.log, self.store = MemoryLog(compiled.book.schema), MemoryStore()
        self.fired: dict[int, list[tuple[str, int, int]]] = {}
        self.start()

    def start(self) -> None:
        limits = FoldLimits(64 * 64, self.memory, 8, 16, 600_000, 1 << 16)
        parts = FoldParts(0, limits, self.store, lambda _: self.compiled)
        journal = SimpleNamespace(reached=1 << 40, next_position=0)
        self.partition = Partition(parts, cast("Any", self.log), cast("Any", journal))
        self.partition.recover(lambda _: None)
        if self.partition.book_version is None:
            self.process([Item(expecting(1), kind=FrameKind.ACTIVATION, payload=b'{"version":"x"}')], BASE_MS)

    def process(self, items: list[Item], now_ms: int) -> None:
        for appended in self.partition.process(items, now_ms):
            found = appended.decisions
            self.fired[appended.position] = []
            if found is not None and not found.activates:
                rules = self.compiled.book.by_stable_id
                told = zip(found.rule.tolist(), found.subscriber.tolist(), found.at_ms.tolist(), strict=True)
                self.fired[appended.position] = [(rules[rule].id, who, at_ms) for rule, who, at_ms in told]

    def rows(self, rows: list[Row], now_ms: int) -> None:
        batch = from_rows(self.compiled.book.schema, rows)
        self.process([Item(expecting(1), batch)], now_ms)

    def pass_time(self, now_ms: int) -> None:
        while items := self.partition.due(now_ms, 5):
            self.process(items, now_ms)

    def pump(self, random: Random) -> None:
        """Let some of what waits for the store be written, or a sweep begin."""
        flusher, last = self.partition.flusher, len(self.log.frames) - 1
        if random.random() < 0.5:
            flusher.step(last, random.choice([1, 3, 64]))
        flusher.durable(last)
        flusher.pump(random.choice([0, 1, 5, 1 << 30]))

    def crash(self, random: Random) -> None:
        """Lose memory, and batches that the store had not flushed; the log is durable."""
        self.store.crash(random)
        self.start()

    def every(self) -> list[tuple[str, int, int]]:
        return sorted(one for found in self.fired.values() for one in found)


def event(random: Random, at_ms: int) -> Row:
    who = 8613800000000 + random.randrange(120)
    kind = random.choice(["use", "mms", "mms", "fetch", "move", "move"])
    values: dict[str, Any] = {} if kind == "use" else {"message": f"m{random.randrange(3)}"}
    if kind == "move":
        values = {"cell": random.choice(["a", "b", "c"])}
    return Row(kind, who, at_ms - random.choice([0, 0, 1_500, 60_000]), values)


def live(world: World, seed: int, *, crashes: bool) -> World:
    random, chance, now_ms = Random(seed), Random(seed + 1), BASE_MS
    for _ in range(150):
        now_ms += random.choice([100, 7_000, 30_000])
        world.pass_time(now_ms)
        world.rows([event(random, now_ms) for _ in range(random.randrange(1, 12))], now_ms)
        world.pump(chance)
        if crashes and chance.random() < 0.06:
            world.crash(chance)
    world.pass_time(now_ms + 3_600_000)
    return world


@pytest.mark.parametrize("seed", range(6))
def test_who_sleeps_is_told_what_all_others_are_and_a_crash_changes_nothing(compiled: CompiledBook, seed: int) -> None:
    whole = live(World(compiled, 64 * 60), seed, crashes=False)
    small = live(World(compiled, 24), seed, crashes=True)

    assert whole.partition.flusher.sleeping == 0
    assert small.partition.flusher.sleeping > 20
    assert small.every() == whole.every()
    assert len(whole.every()) > 150
    assert {rule for rule, _, _ in whole.every()} == set(compiled.book.by_id)
    assert small.partition.deadlines.next_ms > BASE_MS + 86_400_000, "nothing is left, and nothing is looked for"


def test_marks_go_with_what_they_are_of(compiled: CompiledBook) -> None:
    world = live(World(compiled, 24), 1, crashes=False)
    flusher = world.partition.flusher
    while flusher.sweeping:
        flusher.step(len(world.log.frames) - 1, 64)
    flusher.durable(len(world.log.frames) - 1)
    flusher.pump()
    assert flusher.sleeping > 20
    world.rows([Row("use", 8613800000000 + n, BASE_MS + 86_400_000) for n in range(100)], BASE_MS + 86_400_000)
    flusher.finish(len(world.log.frames) - 1)
    flusher.durable(len(world.log.frames) - 1)
    flusher.pump()
    awake = np.count_nonzero(world.partition.table.subs)
    marks = list(world.store.scan(MARK))
    assert 100 - awake <= len(marks) <= 120 - awake, "one of each that sleeps with a deadline"
