"""The intake on the events' own clock goes on when a moment is over: nothing came since it was told of rest."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.kafka.writer import Written
from engine.book.compiled import compile_book
from engine.flow.steps import FOREVER_MS
from engine.metrics import Metrics
from engine.runtimes.cluster.intake import paced as module
from engine.runtimes.cluster.intake.paced import PacedIntake
from engine.runtimes.cluster.shared.moments import Rested, moment_frame, moment_of
from engine.settings.config import Config
from rules.load import load_text
from state.frame import decode
from tests.engine.cluster.standins import NOT_USED
from tests.engine.world import BASE_MS, BOOK

CONFIG = Config.model_validate(
    {"data": {"partitions": 2, "clock": "events"}, "sources": {"kafka": [{"name": "raw", "topic": "raw"}]}}
)
COMPILED = compile_book(load_text({"book.toml": BOOK}))
ROWS = b"rows of our own"

Owner = Callable[["Log", int, int], bool]
"""What owner and dispatcher of a partition do about a moment at a position of its log; whether they say it rests."""


class Log:
    """Two partitions of a log, and those who fold and send them: they do a moment as soon as they are asked."""

    def __init__(self, owner: Owner) -> None:
        self.values: list[list[bytes]] = [[], []]
        self.done = [0, 0]
        self.owner = owner

    async def send_all(self, _: object, records: Iterable[Written]) -> list[int]:
        return [self.append(one.partition, one.value) for one in records if one.value is not None]

    def append(self, number: int, value: bytes) -> int:
        self.values[number].append(value)
        return len(self.values[number]) - 1

    async def poll(self) -> list[Any]:
        """Take the next record of a partition; tell of a moment."""
        await asyncio.sleep(0)
        for number, values in enumerate(self.values):
            while self.done[number] < len(values):
                position = self.done[number]
                self.done[number] += 1
                if is_moment(values[position]) and self.owner(self, number, position):
                    said = Rested(number, position, BASE_MS, FOREVER_MS, FOREVER_MS).encode()
                    return [SimpleNamespace(value=said, key=None, offset=0)]
        return []

    async def ends(self, numbers: Collection[int]) -> dict[int, int]:
        return {number: len(self.values[number]) for number in numbers}

    def moments(self, number: int) -> list[int]:
        return [position for position, value in enumerate(self.values[number]) if is_moment(value)]


def is_moment(value: bytes) -> bool:
    return value != ROWS and moment_of(decode(value, NOT_USED)) is not None


@pytest.fixture
def intake_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Log], PacedIntake]:
    def made(log: Log) -> PacedIntake:
        monkeypatch.setattr(module, "RawReader", lambda *_, **__: SimpleNamespace(assignment=-1))
        monkeypatch.setattr(module, "Tail", lambda *_: log)
        monkeypatch.setattr(module, "producer", lambda *_, **__: None)
        monkeypatch.setattr(module, "send_all", log.send_all)
        return PacedIntake(CONFIG, COMPILED.book, Metrics())

    return made


async def test_what_came_of_a_moment_is_decided_before_the_next_however_often_something_comes_of_it(
    intake_of: Callable[[Log], PacedIntake],
) -> None:
    """An outcome is in the log before the partition says that it rests; what it decides, and sends, comes after."""

    def owner(log: Log, number: int, _: int) -> bool:
        if number == 0 and log.values[0].count(ROWS) < 3:
            log.append(0, ROWS)
        return True

    log = Log(owner)
    assert await intake_of(log)._moment(BASE_MS, [], {0, 1})

    assert log.values[0].count(ROWS) == 3
    assert log.moments(0)[-1] == len(log.values[0]) - 1, "rows of our own stand after the last moment"
    assert log.moments(1) == [0], "where nothing came of it, a moment is done once"


async def test_a_moment_that_the_owner_wrote_again_after_deadlines_is_not_asked_for_a_third_time(
    intake_of: Callable[[Log], PacedIntake],
) -> None:
    def owner(log: Log, number: int, position: int) -> bool:
        if position == 0:
            log.append(number, ROWS)
            log.append(number, moment_frame(BASE_MS))
        return position > 0

    log = Log(owner)
    assert await intake_of(log)._moment(BASE_MS, [], {0})

    assert log.moments(0) == [0, 2]
