"""Deadlines of a partition that is owned, by both clocks: what is written into the log, when, and what follows."""

import asyncio
from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from connectors.kafka import BrokerError
from connectors.kafka.writer import Written
from engine.book.compiled import CompiledBook, compile_book
from engine.flow.fold import FoldLimits, FoldParts
from engine.flow.steps import FOREVER_MS, STEP_MS
from engine.runtimes.cluster.decide import due_rows as module
from engine.runtimes.cluster.decide.due_rows import DueRows
from engine.runtimes.cluster.decide.fold import ClusterFold
from engine.runtimes.cluster.decide.missing import Missing
from engine.runtimes.cluster.shared.moments import moment_of
from rules.load import load_text
from state.batch import Row, from_rows
from state.decisions import DecisionBatch, moment
from state.decisions import decode as decode_decisions
from state.frame import Frame, FrameKind, decode, encode
from state.timer_hints import TimerHints
from tests.engine.cluster.standins import NOT_USED
from tests.engine.dispatch.standins import until
from tests.engine.world import BASE_MS
from tests.fakes.store import MemoryStore

SECOND_MS = 1_000
WHO = 8613800000000
TEXT = """
campaign = "care"
[book]
zone = "Asia/Shanghai"
max_age = "366d"
[events.use]
[events.stop]
[channels.sms]
[features.uses]
count = "use"
[[rule]]
id = "silent"
after = "use"
within = "5s"
unless = "stop"
channels = ["sms"]
text.sms = "silent"
"""
MORE = """
[features.stops]
count = "stop"
[[rule]]
id = "a-second"
after = "use"
delay = "1h"
still = "stops == 0"
channels = ["sms"]
text.sms = "an hour later"
"""
BOOK, OTHER, LONGER = (
    compile_book(load_text({"book.toml": text}))
    for text in (TEXT, TEXT.replace("[[rule]]", f"{MORE}[[rule]]"), TEXT.replace("5s", "9s"))
)
BOOKS = {one.book.version: one for one in (BOOK, OTHER, LONGER)}


class World:
    """One partition of a log that everybody writes to, the fold of its owner, and the wall's clock."""

    def __init__(self, *, events_clock: bool) -> None:
        self.records: list[bytes] = []
        self.refused = 0
        self.now_ms = BASE_MS
        self.events_clock = events_clock
        self.folded = -1
        self.decided: list[DecisionBatch] = []
        self.take_over()
        self.activate(BOOK)

    def take_over(self) -> None:
        """Begin as an owner that has nothing but the log."""
        limits = FoldLimits(1 << 10, 1 << 10, 8, 100, 1, 1, events_clock=self.events_clock)
        parts = FoldParts(0, limits, MemoryStore(), BOOKS.__getitem__)
        self.fold = ClusterFold(parts, NOT_USED, NOT_USED, Missing("log", 0, "hold"))
        self.due = DueRows(self.fold, "log", self.append, lambda: self.now_ms, rows_max=2)
        self.folded, self.decided = -1, []

    async def append(self, records: Iterable[Written]) -> list[int]:
        await asyncio.sleep(0)
        if self.refused:
            self.refused -= 1
            raise BrokerError("no broker answers")
        given = [one.value for one in records if one.value is not None]
        self.records += given
        return list(range(len(self.records) - len(given), len(self.records)))

    def write(self, frame: Frame) -> None:
        self.records.append(encode(frame))

    def activate(self, book: CompiledBook) -> None:
        self.write(Frame(FrameKind.ACTIVATION, self.now_ms, payload=orjson.dumps({"version": book.book.version})))

    def event(self, kind: str, at_ms: int, *numbers: int) -> None:
        batch = from_rows(BOOK.book.schema, [Row(kind, WHO + number, at_ms, {}) for number in numbers])
        log_ms = BASE_MS if self.events_clock else at_ms  # a deadline does not come before the step it was armed in
        batch.log_ms[:] = log_ms
        self.write(Frame(FrameKind.EVENTS, log_ms, batch))

    def catch_up(self) -> list[DecisionBatch]:
        """Fold what stands in the log; return what it came to."""
        found = []
        while self.folded < len(self.records) - 1:
            self.folded += 1
            decided = self.fold.apply(self.folded, read(self.records[self.folded]))
            found += [decided] if decided is not None else []
        self.decided += found
        return found

    async def turn(self, now_ms: int) -> int:
        """Let time pass to `now_ms`; return how many frames were written."""
        self.now_ms, before = now_ms, len(self.records)
        self.due.turn(self.folded)
        await until(lambda: self.due._writing is None or self.due._writing.done())
        return len(self.records) - before

    def told(self) -> list[tuple[int, int]]:
        """Who was told that it is silent, with the time of the deadline."""
        rows = [one for one in self.decided if one.n]
        return sorted(pair for one in rows for pair in zip(one.subscriber.tolist(), one.at_ms.tolist(), strict=True))


def read(record: bytes) -> Frame:
    return decode(record, lambda _: BOOK.book.schema)


async def test_by_the_wall_what_has_come_is_written_oldest_first_a_slice_when_the_one_before_is_folded() -> None:
    world = World(events_clock=False)
    for number in range(5):
        world.event("use", BASE_MS - number * SECOND_MS, number)
    world.catch_up()

    assert await world.turn(BASE_MS + 999) == 0
    assert await world.turn(BASE_MS + 5 * SECOND_MS) == 1
    assert await world.turn(BASE_MS + 6 * SECOND_MS) == 0, "the slice before is not folded yet"
    slices = []
    while True:
        slices.append(read(world.records[-1]).batch)
        world.catch_up()
        if not await world.turn(BASE_MS + 6 * SECOND_MS):
            break
    assert [[WHO - one for one in part.subscriber.tolist()] for part in slices if part is not None] == [
        [-4, -3],
        [-2, -1],
        [0],
    ]
    assert [WHO - who for who, _ in world.told()] == [0, -1, -2, -3, -4]
    assert {int(at_ms) for part in slices[1:] if part is not None for at_ms in part.log_ms} == {BASE_MS + 6 * SECOND_MS}


async def test_rows_that_an_owner_wrote_twice_or_a_former_one_writes_late_change_nothing() -> None:
    world = World(events_clock=False)
    world.event("use", BASE_MS, 1, 2)
    world.catch_up()
    await world.turn(BASE_MS + 5 * SECOND_MS)
    late = world.records.pop()  # on its way, while another takes over
    world.event("stop", BASE_MS + 4 * SECOND_MS, 2)
    world.take_over()
    world.catch_up()

    assert await world.turn(BASE_MS + 5 * SECOND_MS) == 1
    world.catch_up()
    world.records.append(late)
    world.catch_up()
    assert world.told() == [(WHO + 1, BASE_MS + 5 * SECOND_MS)]
    assert await world.turn(BASE_MS + 60 * SECOND_MS) == 0


async def test_while_no_broker_answers_a_slice_waits_and_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    world = World(events_clock=False)
    world.event("use", BASE_MS, 1)
    world.catch_up()
    world.refused = 3

    assert await world.turn(BASE_MS + 5 * SECOND_MS) == 1
    world.catch_up()
    assert world.told() == [(WHO + 1, BASE_MS + 5 * SECOND_MS)]


async def test_who_lets_a_partition_go_writes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 60.0)
    world = World(events_clock=False)
    world.event("use", BASE_MS, 1)
    world.catch_up()
    world.refused, world.now_ms = 1, BASE_MS + 5 * SECOND_MS
    world.due.turn(world.folded)
    await until(lambda: not world.refused)
    await asyncio.wait_for(world.due.close(), 1)
    assert len(world.records) == 2


async def test_on_the_events_clock_a_moment_is_said_when_the_deadlines_before_it_are_folded_and_says_the_next() -> None:
    world = World(events_clock=True)
    world.event("use", BASE_MS, 1, 2, 3)
    world.event("use", BASE_MS + SECOND_MS, 4)
    world.catch_up()
    due_ms = BASE_MS + 5 * SECOND_MS

    said = await world.due.before_moment(moment(9, due_ms - 1), world.folded)
    assert said is not None
    assert said.next_ms == due_ms
    written = len(world.records)
    assert await world.due.before_moment(moment(9, due_ms), world.folded) is None
    *rows, tick = [read(one) for one in world.records[written:]]
    assert [one.batch.n for one in rows if one.batch is not None] == [2, 1]
    assert {one.append_ms for one in rows} == {-(-due_ms // STEP_MS) * STEP_MS}
    assert moment_of(tick) == due_ms

    (*decided, again) = world.catch_up()
    assert {int(at_ms) for one in decided for at_ms in one.log_ms} == {due_ms}, "a deadline has its own log time"
    assert again.is_moment
    said = await world.due.before_moment(again, world.folded)
    assert said is not None
    assert decode_decisions(said.encode()).next_ms == due_ms + SECOND_MS
    assert decode_decisions(moment(4, due_ms).encode()).next_ms == FOREVER_MS


async def test_the_next_deadline_is_the_truth_where_hints_are_too_early() -> None:
    world = World(events_clock=True)
    world.event("use", BASE_MS, 1)
    world.event("stop", BASE_MS + SECOND_MS, 1)
    world.event("use", BASE_MS + 2 * SECOND_MS, 2)
    world.catch_up()
    assert world.fold.deadlines.next_ms <= BASE_MS + 5 * SECOND_MS, "hints know nothing of an end"

    said: Any = await world.due.before_moment(moment(9, BASE_MS + 2 * SECOND_MS), world.folded)

    assert said.next_ms == BASE_MS + 7 * SECOND_MS


async def test_a_book_that_leaves_a_rule_as_it_is_costs_no_look_over_all_subscribers_and_loses_no_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(events_clock=False)
    for number in range(5):
        world.event("use", BASE_MS, number)
    world.catch_up()
    assert await world.turn(BASE_MS + 5 * SECOND_MS) == 1  # two of five, the others are found and wait
    looks: list[int] = []
    note_all = TimerHints.note_all

    def noted(self: TimerHints, top: int) -> None:
        looks.append(self.spec.window_ms)
        note_all(self, top)

    monkeypatch.setattr(TimerHints, "note_all", noted)
    world.activate(OTHER)
    world.event("use", BASE_MS + SECOND_MS, 6)  # columns have moved, and hints were not asked
    while True:
        world.catch_up()
        if not await world.turn(BASE_MS + 6 * SECOND_MS):
            break

    assert looks == [3600 * SECOND_MS], "the new rule's alone"
    assert [who - WHO for who, _ in world.told()] == [0, 1, 2, 3, 4, 6]


async def test_a_book_that_changes_the_span_moves_what_is_armed_and_what_has_come_by_the_old_one() -> None:
    world = World(events_clock=False)
    world.event("use", BASE_MS, 1)
    world.event("use", BASE_MS, 2)
    world.event("use", BASE_MS, 3)
    world.catch_up()
    assert await world.turn(BASE_MS + 5 * SECOND_MS) == 1
    world.records.pop()
    world.activate(LONGER)
    world.due = DueRows(world.fold, "log", world.append, lambda: world.now_ms, rows_max=5)
    world.catch_up()
    assert await world.turn(BASE_MS + 9 * SECOND_MS - 1) == 0
    assert await world.turn(BASE_MS + 9 * SECOND_MS) == 1
    world.catch_up()
    assert world.told() == [(WHO + number, BASE_MS + 9 * SECOND_MS) for number in (1, 2, 3)]
