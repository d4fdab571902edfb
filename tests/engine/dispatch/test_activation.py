"""An activation is one record of the journal: dispatch judges what waits by its book as soon as it has read that."""

import random
from collections.abc import Mapping

from state.batch import Row, Value
from state.decisions import activation, decode
from state.frame import FrameKind
from tests.simulation.flow import WorldClock
from tests.simulation.machine import Machine
from tests.simulation.races.books import RULES, Setting, Version, book_of
from tests.simulation.races.flow import START_MS
from tests.simulation.races.gateway import Gateway
from tests.simulation.races.life import RaceLife, RaceSize

WHO = 8613800000001
SETTING = Setting()
FIRST, GONE = Version(), Version(gone=frozenset({"plain"}))


class Engine:
    """One life, whose journal is read when the test says so."""

    def __init__(self, queue_max: int = 100) -> None:
        size = RaceSize(partitions=1, capacity=64, queue_max=queue_max)
        self.machine, self.size = Machine(), size
        self.start(FIRST)

    def start(self, version: Version) -> None:
        gateway = Gateway(random.Random(1), 0.0)
        self.life = RaceLife(self.size, self.machine, gateway, book_of(SETTING, version), WorldClock(START_MS))  # type: ignore[arg-type]  # a far side, too
        self.life.gateways["main"].up = False

    def call(self, n: int) -> None:
        values: Mapping[str, Value] = {"n": n, "extra": n, **{f"to_{rule}": rule == "plain" for rule in RULES}}
        self.life.append([Row("call", WHO, START_MS, values)])
        self.life.drain()

    def activate(self, version: Version) -> None:
        self.life.pipeline.broadcast(FrameKind.ACTIVATION, self.life.put_book(book_of(SETTING, version)))
        self.life.drain()

    def step(self) -> list[str]:
        """Read the journal, take a turn; return why decisions ended."""
        self.life.feed()
        self.life.dispatcher.turn()
        return [owed.report.error for owed in self.life.dispatch.unreported.values()]


def version_of(version: Version) -> str:
    return book_of(SETTING, version).book.version


def test_a_batch_without_records_says_which_book_became_active() -> None:
    batch = decode(activation(7, START_MS, version_of(GONE)).encode())

    assert batch.activates
    assert (batch.position, batch.append_ms, batch.book) == (7, START_MS, version_of(GONE))


def test_what_waits_is_judged_by_a_book_when_its_record_is_read_and_not_before() -> None:
    engine = Engine()
    engine.call(1)
    assert engine.step() == []
    engine.activate(GONE)
    assert engine.life.dispatch.policy.book == version_of(FIRST)

    assert engine.step() == ["RULE_GONE"]
    assert engine.life.dispatch.policy.book == version_of(GONE)


def test_an_activation_is_read_past_a_full_queue() -> None:
    engine = Engine(queue_max=1)
    for n in (1, 2, 3):
        engine.call(n)
    assert engine.step() == []
    engine.activate(GONE)

    assert engine.step() == ["RULE_GONE"]


def test_a_start_follows_the_newest_book_though_the_journal_is_read_again_from_before() -> None:
    engine = Engine()
    engine.call(1)
    engine.activate(GONE)
    engine.activate(FIRST)
    engine.machine.kill(random.Random(1))

    engine.start(FIRST)

    assert engine.step() == []
    assert engine.life.dispatch.policy.book == version_of(FIRST)
