"""Which partitions a worker restores, keeps and lets go over assignments; owners and the log are stand-ins."""

import asyncio
from types import SimpleNamespace
from typing import ClassVar

import pytest

from engine.metrics import Metrics
from engine.runtimes.cluster.decide import service as module
from engine.runtimes.cluster.decide.missing import MissingError
from engine.runtimes.cluster.decide.service import Decide
from engine.settings.config import Config
from tests.engine.cluster.standins import TailStandIn

OPENED_AT = 2
"""Where redo ends: the last record that stands in the log then."""


def log_of(count):
    """Return so many records of a log, none of which is a frame."""
    return [b"no frame"] * count


class OwnedStandIn:
    """An owned partition that remembers what was done to it."""

    made: ClassVar[list["OwnedStandIn"]] = []

    def __init__(self, _config, number, *_):
        self.number = number
        self.folded = OPENED_AT
        self.taken = []
        self.ours = True
        self.missing = SimpleNamespace(frames=0)
        self.closed = None
        self.made.append(self)

    async def open(self, informed):
        await informed

    async def still_ours(self):
        return self.ours

    async def close(self, *, finish=False):
        self.closed = "finished" if finish else "let go"

    async def pass_over(self, position):
        self.taken.append(position)
        self.folded = position


class SenderStandIn:
    async def send(self, *_, **__):
        pass

    async def stop(self):
        pass


@pytest.fixture
def decide(monkeypatch):
    OwnedStandIn.made = []
    monkeypatch.setattr(TailStandIn, "kept_from", 0)
    monkeypatch.setattr(TailStandIn, "values", log_of(OPENED_AT + 1))
    monkeypatch.setattr(module, "Owned", OwnedStandIn)
    monkeypatch.setattr(module, "Tail", TailStandIn)
    monkeypatch.setattr(module, "producer", lambda *_, **__: SenderStandIn())

    async def catch_up():
        await asyncio.sleep(0)

    control_topic = SimpleNamespace(catch_up=catch_up, schema=lambda _: None)
    return Decide(Config(), None, None, control_topic, None, Metrics(), None)


async def assignment(decide, *numbers):
    await decide.revoked()
    await decide.assigned(numbers, ())


async def test_what_comes_back_goes_on_from_the_log_and_only_what_is_new_is_opened(decide):
    await assignment(decide, 0, 1)
    zero, one = (decide.owned[number] for number in (0, 1))
    TailStandIn.values = log_of(5)
    await assignment(decide, 1, 2)

    assert decide.owned.keys() == {1, 2}
    assert decide.owned[1] is one
    assert one.taken == [3, 4]
    assert (zero.closed, one.closed) == ("let go", None)
    assert [made.number for made in OwnedStandIn.made] == [0, 1, 2]


async def test_what_another_worker_has_owned_meanwhile_is_opened_anew(decide):
    await assignment(decide, 0)
    before = decide.owned[0]
    before.ours = False
    await assignment(decide, 0)

    assert before.closed == "let go"
    assert before.taken == []
    assert decide.owned[0] is not before


async def test_what_the_log_does_not_reach_back_to_is_opened_anew(decide):
    await assignment(decide, 0)
    before = decide.owned[0]
    TailStandIn.kept_from = 4
    await assignment(decide, 0)

    assert decide.owned[0] is not before


async def test_while_it_rests_a_partition_takes_nothing(decide):
    await assignment(decide, 0)
    one = decide.owned[0]
    await decide.revoked()
    await decide.take(0, 3, b"no frame")

    assert one.taken == []
    assert one.closed is None


@pytest.mark.parametrize("comes_back", [False, True])
async def test_a_frame_that_was_read_while_its_partition_was_let_go_is_not_taken(decide, comes_back):
    await assignment(decide, 0)
    one = decide.owned[0]
    one.ours = False

    async def read(*_):
        await decide.revoked()
        if comes_back:
            await decide.assigned([0], ())

    decide._read = read
    await decide.take(0, 3, b"")

    assert one.taken == []
    assert not comes_back or decide.owned[0].taken == []


@pytest.mark.parametrize("comes_back", [False, True])
async def test_a_partition_let_go_while_a_frame_was_found_missing_is_left_to_whoever_has_it(decide, comes_back):
    await assignment(decide, 0)
    one = decide.owned[0]
    one.ours = False

    async def take(*_):
        await decide.revoked()
        if comes_back:
            await decide.assigned([0], ())
        raise MissingError("log", 0, 3, 9)

    async def read(*_):
        return SimpleNamespace()

    one.take, decide._read = take, read
    await decide.take(0, 3, b"")

    assert not decide.held
    assert decide.owned.keys() == ({0} if comes_back else set())


async def test_what_came_before_a_frame_and_nobody_took_is_read_from_the_log(decide):
    await assignment(decide, 0)
    TailStandIn.values = log_of(6)
    await decide.take(0, 5, b"no frame")

    assert decide.owned[0].taken == [3, 4, 5]


async def test_a_stream_that_runs_ahead_while_a_partition_goes_on_leaves_nothing_out(decide, monkeypatch):
    await assignment(decide, 0)
    one = decide.owned[0]
    TailStandIn.values = log_of(9)
    whole = TailStandIn.to_end

    async def to_end(tail):
        monkeypatch.setattr(TailStandIn, "to_end", whole)
        await decide.take(0, 7, b"no frame")
        async for records in whole(tail):
            yield records

    monkeypatch.setattr(TailStandIn, "to_end", to_end)
    await assignment(decide, 0)

    assert one.taken == [3, 4, 5, 6, 7, 8]


async def test_what_came_while_a_partition_was_opened_is_taken_though_nothing_follows(decide, monkeypatch):
    async def opened(_one, informed):
        await informed
        TailStandIn.values = log_of(5)
        await decide.take(0, 3, b"no frame")  # nobody's yet

    monkeypatch.setattr(OwnedStandIn, "open", opened)
    await assignment(decide, 0)

    assert decide.owned[0].taken == [3, 4]


async def test_a_worker_that_ends_writes_the_pages_of_what_rests_too(decide):
    await assignment(decide, 0, 1)
    await decide.revoked()
    await decide.finish()

    assert [one.closed for one in OwnedStandIn.made] == ["finished", "finished"]
    assert not decide.owned
