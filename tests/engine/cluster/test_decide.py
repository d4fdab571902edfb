"""Which partitions a worker restores, keeps and lets go over assignments; owners and the log are stand-ins."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from engine.metrics import Metrics
from engine.runtimes.cluster.decide import service as module
from engine.runtimes.cluster.decide.missing import MissingError
from engine.runtimes.cluster.decide.service import Decide
from engine.runtimes.cluster.shared.watchdog import SilentError, Watchdog
from engine.settings.config import Config
from state.pages import PageError
from tests.engine.cluster.standins import NOT_USED, TailStandIn

OPENED_AT = 2
"""Where redo ends: the last record that stands in the log then."""


def log_of(count: int) -> list[bytes]:
    """Return so many records of a log, none of which is a frame."""
    return [b"no frame"] * count


def record(offset: int) -> SimpleNamespace:
    """A record of the stream that is no frame."""
    return SimpleNamespace(offset=offset, key=None, value=b"no frame")


class OwnedStandIn:
    """An owned partition that remembers what was done to it."""

    made: ClassVar[list["OwnedStandIn"]] = []

    def __init__(self, _config: object, number: int, *_: object, **__: object) -> None:
        self.number = number
        self.folded = OPENED_AT
        self.taken: list[int] = []
        self.ours = True
        self.rests = 0
        self.missing = SimpleNamespace(frames=0)
        self.closed: str | None = None
        self.made.append(self)

    async def open(self, inform: Callable[[], Awaitable[None]]) -> None:
        await inform()

    async def still_ours(self) -> bool:
        return self.ours

    async def close(self, *, finish: bool = False) -> None:
        self.closed = "finished" if finish else "let go"

    async def pass_over(self, position: int) -> None:
        self.taken.append(position)
        self.folded = position


class SenderStandIn:
    async def send(self, *_: object, **__: object) -> None:
        pass

    async def stop(self) -> None:
        pass


@pytest.fixture
def decide(monkeypatch: pytest.MonkeyPatch) -> Any:
    OwnedStandIn.made = []
    monkeypatch.setattr(TailStandIn, "kept_from", 0)
    monkeypatch.setattr(TailStandIn, "values", log_of(OPENED_AT + 1))
    monkeypatch.setattr(module, "Owned", OwnedStandIn)
    monkeypatch.setattr(module, "Tail", TailStandIn)
    monkeypatch.setattr(module, "producer", lambda *_, **__: SenderStandIn())

    async def catch_up() -> None:
        await asyncio.sleep(0)

    control_topic: Any = SimpleNamespace(catch_up=catch_up, schema=lambda _: None)
    return Decide(Config(), NOT_USED, NOT_USED, control_topic, NOT_USED, Metrics(), NOT_USED, NOT_USED)


async def assignment(decide: Any, *numbers: int) -> None:
    await decide.revoked()
    await decide.assigned(numbers, ())


async def test_what_comes_back_goes_on_from_the_log_and_only_what_is_new_is_opened(decide: Any) -> None:
    await assignment(decide, 0, 1)
    zero, one = (decide.owned[number] for number in (0, 1))
    TailStandIn.values = log_of(5)
    await assignment(decide, 1, 2)

    assert decide.owned.keys() == {1, 2}
    assert decide.owned[1] is one
    assert one.taken == [3, 4]
    assert (zero.closed, one.closed) == ("let go", None)
    assert [made.number for made in OwnedStandIn.made] == [0, 1, 2]


async def test_what_read_the_log_before_a_partition_rested_folds_nothing_behind_what_it_left_out(
    decide: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = [asyncio.Event(), asyncio.Event()]

    async def slowly(tail: TailStandIn) -> AsyncIterator[list[SimpleNamespace]]:
        for offset in range(tail.at, len(TailStandIn.values)):
            yield [record(offset)]
            await gates[0].wait()  # the second record comes when the partition has been given back

    await assignment(decide, 0)
    one = decide.owned[0]
    TailStandIn.values = log_of(5)
    with monkeypatch.context() as patched:
        patched.setattr(TailStandIn, "to_end", slowly)
        patched.setattr(decide, "_read", lambda *_: gates[1].wait())
        reading = asyncio.create_task(decide.take(0, record(4)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await decide.revoked()  # while record 3 is read
        gates[1].set()
        await asyncio.sleep(0)
    decide.owned[0] = decide._resting.pop(0)  # given back, and not yet caught up
    gates[0].set()
    await reading
    assert one.taken == []

    await decide._catch_up(one)
    assert one.taken == [3, 4]


async def test_a_flood_of_garbage_looks_at_the_control_topic_once_for_all_that_stood_in_the_log(decide: Any) -> None:
    looks: list[int] = []

    async def catch_up() -> None:
        looks.append(len(TailStandIn.values))

    await assignment(decide, 0)
    decide._guard.catch_up = catch_up
    TailStandIn.values = log_of(1_000)
    for offset in range(OPENED_AT + 1, 1_000):
        await decide.take(0, record(offset))
    TailStandIn.values = log_of(1_001)  # what comes later may name a book that was published later
    await decide.take(0, record(1_000))

    assert looks == [1_000, 1_001]
    assert decide.owned[0].taken[-1] == 1_000


async def test_what_another_worker_has_owned_meanwhile_is_opened_anew(decide: Any) -> None:
    await assignment(decide, 0)
    before = decide.owned[0]
    before.ours = False
    await assignment(decide, 0)

    assert before.closed == "let go"
    assert before.taken == []
    assert decide.owned[0] is not before


async def test_what_the_log_does_not_reach_back_to_is_opened_anew(decide: Any) -> None:
    await assignment(decide, 0)
    before = decide.owned[0]
    TailStandIn.kept_from = 4
    await assignment(decide, 0)

    assert decide.owned[0] is not before


async def test_a_partition_whose_pages_do_not_read_back_is_held_and_the_others_go_on(
    decide: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(one: OwnedStandIn, _: object) -> None:
        if one.number == 1:
            raise PageError("layout=0 length=7 do not fit")

    monkeypatch.setattr(OwnedStandIn, "open", refuse)
    await assignment(decide, 0, 1, 2)

    assert decide.owned.keys() == {0, 2}
    assert str(decide.held[1]) == "layout=0 length=7 do not fit"
    assert decide.missing == {0: 0, 1: 1, 2: 0}


async def test_while_it_rests_a_partition_takes_nothing(decide: Any) -> None:
    await assignment(decide, 0)
    one = decide.owned[0]
    await decide.revoked()
    await decide.take(0, record(3))

    assert one.taken == []
    assert one.closed is None


@pytest.mark.parametrize("comes_back", [False, True])
async def test_a_frame_that_was_read_while_its_partition_was_let_go_is_not_taken(decide: Any, comes_back: bool) -> None:
    await assignment(decide, 0)
    one = decide.owned[0]
    one.ours = False

    async def read(*_: object) -> None:
        await decide.revoked()
        if comes_back:
            await decide.assigned([0], ())

    decide._read = read
    await decide.take(0, record(3))

    assert one.taken == []
    assert not comes_back or decide.owned[0].taken == []


@pytest.mark.parametrize("comes_back", [False, True])
async def test_a_partition_let_go_while_a_frame_was_found_missing_is_left_to_whoever_has_it(
    decide: Any, comes_back: bool
) -> None:
    await assignment(decide, 0)
    one = decide.owned[0]
    one.ours = False

    async def take(*_: object) -> None:
        await decide.revoked()
        if comes_back:
            await decide.assigned([0], ())
        raise MissingError("log", 0, 3, 9)

    async def read(*_: object) -> SimpleNamespace:
        return SimpleNamespace()

    one.take, decide._read = take, read
    await decide.take(0, record(3))

    assert not decide.held
    assert decide.owned.keys() == ({0} if comes_back else set())


async def test_what_came_before_a_frame_and_nobody_took_is_read_from_the_log(decide: Any) -> None:
    await assignment(decide, 0)
    TailStandIn.values = log_of(6)
    await decide.take(0, record(5))

    assert decide.owned[0].taken == [3, 4, 5]


async def test_a_stream_that_runs_ahead_while_a_partition_goes_on_leaves_nothing_out(
    decide: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await assignment(decide, 0)
    one = decide.owned[0]
    TailStandIn.values = log_of(9)
    whole = TailStandIn.to_end

    async def to_end(tail: TailStandIn) -> AsyncIterator[list[SimpleNamespace]]:
        monkeypatch.setattr(TailStandIn, "to_end", whole)
        await decide.take(0, record(7))
        async for records in whole(tail):
            yield records

    monkeypatch.setattr(TailStandIn, "to_end", to_end)
    await assignment(decide, 0)

    assert one.taken == [3, 4, 5, 6, 7, 8]


async def test_what_came_while_a_partition_was_opened_is_taken_though_nothing_follows(
    decide: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def opened(_one: object, inform: Callable[[], Awaitable[None]]) -> None:
        await inform()
        TailStandIn.values = log_of(5)
        await decide.take(0, record(3))  # nobody's yet

    monkeypatch.setattr(OwnedStandIn, "open", opened)
    await assignment(decide, 0)

    assert decide.owned[0].taken == [3, 4]


async def test_a_worker_that_ends_writes_the_pages_of_what_rests_too(decide: Any) -> None:
    await assignment(decide, 0, 1)
    await decide.revoked()
    await decide.finish()

    assert [one.closed for one in OwnedStandIn.made] == ["finished", "finished"]
    assert not decide.owned


async def test_a_partition_that_was_given_and_never_opened_stands_still(decide: Any) -> None:
    decide.given = {0, 1}
    await decide.assigned((0,), ())

    assert decide.positions() == {0: OPENED_AT, 1: -1}
    assert decide.opening() == set()

    watchdog = Watchdog(Config(), "log", decide.positions, decide.opening)
    ends = {0: OPENED_AT + 1, 1: 1}
    watchdog.judge(ends, decide.positions(), 0.0)
    with pytest.raises(SilentError, match="partition 1 stands at -1"):
        watchdog.judge(ends, decide.positions(), Config().cluster.silent_s + 1.0)


async def test_a_partition_may_stand_still_while_it_is_opened(decide: Any) -> None:
    decide.given = {0, 1}
    async with decide._changing:
        assert decide.opening() == {0, 1}
