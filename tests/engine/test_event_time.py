"""How far all partitions have come on the events' clock, and where the gate stops them."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from connectors.sources.contract import Chunk, Decoded
from engine.flow.deadlines import Deadlines
from engine.flow.event_time import EventTime
from engine.flow.fold import Appended
from engine.flow.queues import Queues, rows_of
from engine.flow.stages import items_of
from engine.flow.steps import FOREVER_MS, STEP_MS, step_end
from engine.flow.tickets import Ticket
from state.batch import Row, from_rows
from state.columns import Table
from state.decisions import Outcome
from state.log_clock import new_clock, pack_clock, run_clock
from state.schema import make_schema

SCHEMA = make_schema((), ())
BASE_MS = 1_225_756_800_000
WHO = 8613800000000


def begun_clock() -> list[int]:
    """The clock of a source that has shown enough subscribers; as early as can be, so that any row is near it."""
    state = new_clock()
    run_clock(state, np.arange(3), np.full(3, BASE_MS), np.empty(3, np.int64))
    return pack_clock(state)


class Reader:
    """A source that is read."""

    exhausted = False


class World:
    """One partition, without threads."""

    def __init__(self, *, gated: bool = True, quiet_s: float | None = None) -> None:
        self.queues = Queues(1, 1 << 20)
        deadlines = Deadlines(Table(64))
        partition: Any = SimpleNamespace(
            batch_rows_max=100, clocks={"a": begun_clock()}, deadlines=deadlines, look=deadlines.look
        )
        self.time = self.queues.held = EventTime([partition], self.queues, gated=gated, quiet_s=quiet_s)
        self.reader = Reader()
        self.time.add_readers([self.reader])
        self.read = 0

    def bring(self, *times: int) -> None:
        """Let the source bring rows of subscribers of their own."""
        start, self.read = self.read, self.read + len(times)
        rows = [Row("list", WHO + start + n, at_ms, {"list": "x"}) for n, at_ms in enumerate(times)]
        data = np.zeros(0, np.uint8)
        chunk = Chunk("a", "a", data, 0, start, self.read, dedupe=False, done=False, received_ns=0)
        decoded = Decoded(from_rows(SCHEMA, rows), np.arange(start, self.read))
        self.time.read(self.reader, chunk)
        self.time.place(self.reader, chunk, decoded, items_of(chunk, decoded, Ticket(), 1))

    def take(self) -> int:
        _, items = self.time.take(0)
        return sum(map(rows_of, items))

    def fold(self, at_ms: int, *, decided: bool, position: int = 0) -> None:
        outcome = np.array([Outcome.DECIDED if decided else Outcome.SUPPRESSED], np.uint8)
        decisions = cast("Any", SimpleNamespace(outcome=outcome, activates=False))
        self.time.folded(0, Appended(position, at_ms, 1, decisions))


def test_the_gate_is_shut_until_dispatch_has_done_what_was_due_at_the_start() -> None:
    world = World()
    world.bring(BASE_MS, BASE_MS + 1)
    assert not world.time.ready(0)
    world.time.passed([-1], FOREVER_MS)
    assert world.time.ready(0)


def test_after_a_step_with_a_decision_the_fold_waits_for_dispatch_and_without_one_it_does_not() -> None:
    world = World()
    world.time.passed([-1], FOREVER_MS)
    world.bring(*(BASE_MS + n * STEP_MS for n in range(4)))
    assert world.take() == 1
    world.fold(BASE_MS, decided=False)
    assert world.take() == 1
    world.fold(BASE_MS + STEP_MS, decided=True)
    assert world.time.held_ms == BASE_MS + STEP_MS
    assert not world.time.ready(0)
    world.time.passed([0], FOREVER_MS)
    assert world.time.held_ms == FOREVER_MS
    assert world.take() == 1


def test_what_was_decided_at_a_moment_while_dispatch_did_it_holds_the_fold_until_it_is_taken_over() -> None:
    world = World()
    world.time.passed([-1], FOREVER_MS)
    world.bring(*(BASE_MS + n * STEP_MS for n in range(3)))
    assert world.take() == 1
    world.fold(BASE_MS, decided=True, position=5)
    world.fold(BASE_MS, decided=True, position=6)  # of rows that were pushed meanwhile
    world.time.passed([5], FOREVER_MS)
    assert not world.time.ready(0)
    assert world.time.held_ms == BASE_MS
    world.time.passed([6], FOREVER_MS)
    assert world.take() == 1


def test_after_a_restart_the_fold_stops_at_every_moment_that_dispatch_has_not_done() -> None:
    world = World()
    world.time.hold(0, BASE_MS, 5)
    world.time.hold(0, BASE_MS + STEP_MS, 6)
    world.bring(BASE_MS + 2 * STEP_MS)
    world.time.passed([5], FOREVER_MS)
    assert not world.time.ready(0)
    assert world.time.held_ms == BASE_MS + STEP_MS
    world.time.passed([6], FOREVER_MS)
    assert world.take() == 1


def test_how_far_all_has_come_is_a_plain_number_that_records_can_hold() -> None:
    world = World()
    world.time.passed([-1], FOREVER_MS)
    world.bring(BASE_MS + 5, BASE_MS + 10)
    assert type(world.time.low_ms()) is int


def test_the_fold_stops_within_a_step_where_something_that_waits_is_due() -> None:
    world = World()
    world.time.passed([-1], BASE_MS + 5_500)
    world.bring(*(BASE_MS + n * 1000 for n in range(1, 10)))
    assert world.take() == 5
    assert not world.time.ready(0)
    assert world.time.low_ms() == BASE_MS + 5_999
    world.time.passed([-1], FOREVER_MS)
    assert world.take() == 4


def test_what_is_in_no_fold_yet_and_what_may_still_be_read_is_not_reached() -> None:
    world = World()
    world.time.passed([-1], FOREVER_MS)
    assert world.time.low_ms() <= 0
    world.bring(BASE_MS + 1, BASE_MS + 10)
    assert world.time.low_ms() == BASE_MS
    world.take()
    assert world.time.low_ms() == BASE_MS + 9, "another row of that time may come"
    world.queues.folding[0] = True
    world.reader.exhausted = True
    assert world.time.low_ms() == BASE_MS + 9
    world.queues.folding[0] = False
    assert world.time.low_ms() == FOREVER_MS


def test_a_partition_that_is_never_at_rest_is_reached_by_what_it_has_made_durable() -> None:
    world = World()
    world.queues.folding[0] = True
    world.time.committed(0, Appended(0, step_end(BASE_MS) + STEP_MS, 1, None))
    assert world.time.low_ms() == step_end(BASE_MS)


@pytest.mark.parametrize(("quiet_s", "reached"), [(0.0, True), (60.0, False)])
def test_in_a_run_that_goes_on_a_step_ends_when_nothing_came_for_long_enough(quiet_s: float, reached: bool) -> None:
    world = World(quiet_s=quiet_s)
    world.time.passed([-1], FOREVER_MS)
    world.bring(BASE_MS + 1, BASE_MS + 10)
    world.take()
    world.time.read(world.reader, None)
    assert (world.time.low_ms() == FOREVER_MS) == reached


def test_without_dispatch_nothing_stops_and_an_end_folds_everything() -> None:
    world = World(gated=False)
    world.bring(BASE_MS, BASE_MS + STEP_MS)
    world.fold(BASE_MS, decided=True)
    world.queues.stop()
    assert world.take() + world.take() == 2
    assert world.time.empty


def test_an_end_forgets_what_waits_for_dispatch() -> None:
    world = World()
    world.bring(BASE_MS, BASE_MS + STEP_MS)
    world.queues.stop()
    assert world.time.empty
    assert world.queues.drained


def test_the_source_that_all_others_wait_for_is_read_however_much_waits() -> None:
    world = World()
    world.time.passed([-1], FOREVER_MS)
    other = Reader()
    world.time.add_readers([other])
    world.bring(BASE_MS + 1, BASE_MS + 10)
    assert world.time.lagging() == {other}
    other.exhausted = True
    assert world.time.lagging() == set(), "there is something to fold"


def test_a_source_that_has_brought_nothing_yet_holds_nobody_back_in_a_run_that_goes_on() -> None:
    world = World(quiet_s=60.0)
    world.time.passed([-1], FOREVER_MS)
    idle = Reader()
    world.time.add_readers([idle])
    world.bring(BASE_MS + 1, BASE_MS + 10)
    assert world.time.low_ms() <= 0, "it was not asked"
    world.time.read(idle, None)
    assert world.take() == 2
    assert world.time.low_ms() == BASE_MS + 9


def test_after_a_stop_dispatch_comes_no_further_than_every_partition_has() -> None:
    world = World()
    world.time.passed([-1], FOREVER_MS)
    world.bring(BASE_MS, BASE_MS + STEP_MS, BASE_MS + 2 * STEP_MS)
    assert world.take() == 1
    reached_ms = world.time.low_ms()
    with world.queues.changed:
        world.queues.stopping = True
        world.time.stop()

    assert world.time.low_ms() == reached_ms < BASE_MS + STEP_MS


def test_a_stop_while_a_chunk_is_read_takes_back_that_no_more_rows_come() -> None:
    world = World()
    world.time.passed([-1], FOREVER_MS)
    world.bring(BASE_MS)
    world.take()
    world.reader.exhausted = True
    assert world.time.low_ms() == FOREVER_MS
    with world.queues.changed:
        world.queues.stopping = True
        world.time.stop()

    assert world.time.low_ms() < BASE_MS


def test_before_the_sources_are_known_nothing_is_complete() -> None:
    queues = Queues(1, 1 << 20)
    partition: Any = SimpleNamespace(batch_rows_max=100, clocks={}, deadlines=Deadlines(Table(64)))
    time = queues.held = EventTime([partition], queues, gated=True, quiet_s=None)
    time.hold(0, BASE_MS, 7)
    time.passed([6], FOREVER_MS)

    assert time.low_ms() < BASE_MS, "another partition may have rows before what this one has decided"
    time.add_readers([])
    assert time.low_ms() == FOREVER_MS
