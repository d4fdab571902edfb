"""Frames of one partition taken by two at a time, and by one that is closed: pages never run ahead of decisions."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from engine.runtimes.cluster.decide import owned as module
from engine.runtimes.cluster.decide.owned import Owned, PublishedPosition
from state.frame import Frame, FrameKind
from tests.engine.cluster.standins import NOT_USED
from tests.engine.cluster.test_settings import cluster

NOW_MS = 1_225_760_400_000


class Flusher:
    """Remembers up to where pages may be written."""

    def __init__(self) -> None:
        self.allowed, self.closed = -1, False

    def durable(self, position: int) -> None:
        self.allowed = position

    def close(self) -> None:
        self.closed = True


class Fold:
    """Decides something of every even position."""

    def __init__(self) -> None:
        self.flusher = Flusher()
        self.folded: list[int] = []

    def flush(self, _position: int) -> None:
        assert not self.flusher.closed

    def apply(self, position: int, _frame: object) -> SimpleNamespace | None:
        self.folded.append(position)
        return None if position % 2 else SimpleNamespace(append_ms=NOW_MS, is_moment=False, encode=lambda: b"decisions")


class Sender:
    """A producer without room until it is told, whose records are acknowledged at once; or one that fails then."""

    def __init__(self) -> None:
        self.room, self.asked = asyncio.Event(), asyncio.Event()
        self.fault: Exception | None = None
        self.times: list[int] = []

    async def send(self, *_: object, timestamp_ms: int, **__: object) -> asyncio.Future[None]:
        self.times.append(timestamp_ms)
        self.asked.set()
        await self.room.wait()
        if self.fault is not None:
            raise self.fault
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent


@pytest.fixture
async def owned() -> tuple[Any, Sender]:
    sender = Sender()
    one: Any = Owned(
        cluster(), 0, NOT_USED, NOT_USED, NOT_USED, sender, NOT_USED, lambda *_: None, NOT_USED, lambda: NOW_MS
    )
    one.fold, one._journal = Fold(), PublishedPosition(-1)
    return one, sender


def frame() -> Frame:
    return Frame(FrameKind.TICK, NOW_MS)


async def test_a_frame_that_decides_nothing_waits_for_the_decisions_before_it(owned: tuple[Any, Sender]) -> None:
    one, sender = owned
    first = asyncio.create_task(one.take(0, frame()))
    await sender.asked.wait()
    second = asyncio.create_task(one.take(1, frame()))
    again = asyncio.create_task(one.take(0, frame()))
    await asyncio.sleep(0)
    assert one.fold.flusher.allowed == -1, "a crash now would lose the decisions of position 0"

    sender.room.set()
    assert [taken and taken.position for taken in await asyncio.gather(first, second, again)] == [0, 1, None]
    assert one.fold.folded == [0, 1]
    assert one.fold.flusher.allowed == 1


@pytest.mark.parametrize("ended_by", ["a fault", "a cancel"])
async def test_nothing_goes_on_behind_decisions_that_were_not_handed_over(
    owned: tuple[Any, Sender], ended_by: str
) -> None:
    one, sender = owned
    first = asyncio.create_task(one.take(0, frame()))
    await sender.asked.wait()
    if ended_by == "a fault":
        sender.fault = OSError("no route")
        sender.room.set()
    else:
        first.cancel()
    await asyncio.wait([first])

    assert await one.take(1, frame()) is None
    await one.pass_over(2)
    one.settle()
    assert one.fold.flusher.allowed == -1
    assert one.folded == 0
    assert not await one.still_ours()


async def test_a_partition_that_is_closed_lets_a_frame_end_and_folds_no_other(owned: tuple[Any, Sender]) -> None:
    one, sender = owned
    first = asyncio.create_task(one.take(0, frame()))
    await sender.asked.wait()
    closing = asyncio.create_task(one.close())
    late = asyncio.create_task(one.take(1, frame()))
    await asyncio.sleep(0)
    assert not one.fold.flusher.closed

    sender.room.set()
    await asyncio.gather(first, closing, late)
    assert one.fold.folded == [0]
    assert one.fold.flusher.closed


async def test_decisions_of_a_later_time_than_ours_are_written_at_ours_because_brokers_refuse_the_future(
    owned: tuple[Any, Sender],
) -> None:
    one, sender = owned
    sender.room.set()
    one.fold.apply = lambda *_: SimpleNamespace(
        append_ms=NOW_MS + 7_200_000, is_moment=False, encode=lambda: b"decisions"
    )
    await one.take(0, frame())
    one.fold.apply = lambda *_: SimpleNamespace(append_ms=NOW_MS - 1, is_moment=False, encode=lambda: b"decisions")
    await one.take(1, frame())

    assert sender.times == [NOW_MS, NOW_MS - 1]


class TopicStandIn:
    """A topic that an opening reads."""

    next_position = 5

    def __init__(self, noted: list[str]) -> None:
        self.noted = noted

    async def start(self) -> None:
        pass

    stop = connect = close = start

    async def restore(self) -> int:
        return 0

    async def open(self) -> None:
        self.noted.append("the log's end is read")

    async def end(self) -> int:
        return self.next_position


async def test_an_opening_asks_for_books_when_the_end_of_its_log_is_read(
    owned: tuple[Any, Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = owned
    noted: list[str] = []
    for name in ("Changes", "ChangelogStore", "TopicLog", "Tail", "PagesCopy"):
        monkeypatch.setattr(module, name, lambda *_, **__: TopicStandIn(noted))

    async def reached(*_: object) -> int:
        return -1

    async def inform() -> None:
        noted.append("books are known")

    def recover(_redo: object) -> int:
        noted.append("the log is redone")
        return 0

    monkeypatch.setattr(module, "last_reached", reached)
    one._shelf = SimpleNamespace(get=None)
    flusher, table = SimpleNamespace(start=lambda: None), SimpleNamespace(count=0)
    one._make_fold = lambda *_: SimpleNamespace(recover=recover, flusher=flusher, table=table)

    await one.open(inform)

    assert noted == ["the log's end is read", "books are known", "the log is redone"]
