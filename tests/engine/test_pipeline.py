"""Nobody waits forever: what a pipeline has promised and cannot keep when it ends fails with the reason."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.flow.deadlines import NONE_MS
from engine.flow.fold import Appended
from engine.flow.partition import Item
from engine.flow.pipeline import Pipeline, StoppedError
from engine.flow.tasks import finish
from state.batch import Row, Value, from_rows, select
from state.frame import FrameKind
from state.hashing import partition_of, rows_by_partition
from state.schema import make_schema

SUBSCRIBER = 8613800000001
WAIT_S = 10
VISIT: dict[str, Value] = {"terminal": "t", "visit": "v", "open": True, "cause": ""}


NONE_DUE = SimpleNamespace(next_ms=NONE_MS)


class Stuck:
    """A partition whose fold waits until it is told to break."""

    batch_rows_max = 1000
    events_clock = False
    deadlines = NONE_DUE

    def __init__(self) -> None:
        self.folding = threading.Event()
        self.broken = threading.Event()

    def process(self, *_: object) -> Iterator[None]:
        self.folding.set()
        assert self.broken.wait(WAIT_S)
        raise OSError("the disk is gone")
        yield


class Slow:
    """A partition whose log syncs as it is told; it notes when a frame of it waits to be committed."""

    batch_rows_max = 1000
    events_clock = False
    deadlines = NONE_DUE

    def __init__(self, sync: Callable[[], object], number: int = 0) -> None:
        self.number = number
        self.folded = threading.Event()
        self.log = SimpleNamespace(sync=lambda: sync() or 0)
        self.journal = SimpleNamespace(next_position=0)
        self.flusher = SimpleNamespace(durable=lambda *_: None)

    def process(self, items: Sequence[Item], now_ms: int) -> Iterator[Appended]:
        yield Appended(0, now_ms, 0, None, [item.ticket for item in items])
        self.folded.set()


@pytest.fixture
def partition() -> Iterator[Stuck]:
    one = Stuck()
    yield one
    one.broken.set()


def made(partition: Any) -> Pipeline:
    nothing: Any = None
    pipeline = Pipeline([partition], nothing, nothing, threads=2, queue_bytes_max=1 << 20)
    pipeline.start()
    return pipeline


def test_partitions_are_synced_side_by_side() -> None:
    syncing, go_on, both = threading.Event(), threading.Event(), threading.Barrier(2)

    met = threading.Event()

    def meet() -> None:
        if not met.is_set():
            both.wait(WAIT_S)
            met.set()

    def first_sync() -> None:
        if syncing.is_set():
            meet()
        else:
            syncing.set()
            assert go_on.wait(WAIT_S)

    partitions = [Slow(first_sync), Slow(meet)]
    observer = SimpleNamespace(committed=lambda *_: None)
    nothing: Any = None
    subscriber = next(one for one in range(1, 100) if partition_of(one, 2) == 0)
    visit = from_rows(make_schema((), ()), [Row("visit", subscriber, 0, VISIT)])
    select(visit, rows_by_partition(visit.subscriber, 2)[0])  # kernels load for seconds, in which clocks would tick
    pipeline = Pipeline(cast("Any", partitions), nothing, cast("Any", observer), threads=2, queue_bytes_max=1 << 20)
    pipeline.start()
    alone = pipeline.append(visit)
    assert syncing.wait(WAIT_S)
    partitions[0].folded.clear()
    together = pipeline.broadcast(FrameKind.CONTROL, b"{}")
    assert all(one.folded.wait(WAIT_S) for one in partitions)
    go_on.set()

    alone.result(WAIT_S)
    together.result(WAIT_S)
    pipeline.stop()
    assert pipeline.failure is None


def test_every_partition_that_cannot_be_committed_is_told_the_first_ends_the_pipeline(
    caplog: pytest.LogCaptureFixture,
) -> None:
    both = threading.Barrier(2)

    def break_of(number: int) -> Callable[[], object]:
        def sync() -> None:
            both.wait(WAIT_S)
            raise OSError(f"disk {number} is gone")

        return sync

    nothing: Any = None
    partitions = [Slow(break_of(number), number) for number in range(2)]
    pipeline = Pipeline(cast("Any", partitions), nothing, nothing, threads=2, queue_bytes_max=1 << 20)
    pipeline.broadcast(FrameKind.CONTROL, b"{}")
    while (folding := pipeline.stages.next_task()) is not None:
        finish(folding)
    committing = pipeline.committer.next_task()
    assert committing is not None

    with pytest.raises(OSError, match="disk 0 is gone"):
        finish(committing)
    pipeline.committer.close()

    assert "partition 1 could not be committed either: disk 1 is gone" in caplog.text


def test_without_threads_whoever_takes_a_task_has_it_alone_and_nothing_waits() -> None:
    partition = Slow(lambda: 0)
    observer = SimpleNamespace(committed=lambda *_: None)
    nothing: Any = None
    pipeline = Pipeline([cast("Any", partition)], nothing, cast("Any", observer), threads=1, queue_bytes_max=1 << 20)

    assert (pipeline.stages.next_task(), pipeline.committer.next_task()) == (None, None)
    done = pipeline.broadcast(FrameKind.CONTROL, b"{}")
    folding = pipeline.stages.next_task()
    assert folding is not None
    assert pipeline.stages.next_task() is None
    finish(folding)
    committing = pipeline.committer.next_task()
    assert committing is not None
    assert pipeline.committer.next_task() is None
    assert not done.done()
    finish(committing)

    assert done.done()
    assert pipeline.idle
    pipeline.committer.close()


def promises(pipeline: Pipeline) -> dict[str, Future[Any]]:
    visit = from_rows(make_schema((), ()), [Row("visit", SUBSCRIBER, 0, VISIT)])
    return {
        "ask": pipeline.ask(SUBSCRIBER, lambda one: one),
        "append": pipeline.append(visit),
        "broadcast": pipeline.broadcast(FrameKind.CONTROL, b"{}"),
    }


def test_what_was_asked_or_appended_before_a_fault_fails_with_the_fault(partition: Stuck) -> None:
    visit = from_rows(make_schema((), ()), [Row("visit", SUBSCRIBER, 0, VISIT)])
    select(visit, rows_by_partition(visit.subscriber, 1)[0])  # kernels load before the fold waits
    pipeline = made(partition)
    promised = promises(pipeline) | {"first": pipeline.broadcast(FrameKind.CONTROL, b"{}")}
    assert partition.folding.wait(WAIT_S)
    promised["meanwhile"] = pipeline.ask(SUBSCRIBER, lambda one: one)
    partition.broken.set()

    del promised["ask"]  # it may have been answered before the fold began
    for future in promised.values():
        with pytest.raises(OSError, match="the disk is gone"):
            future.result(WAIT_S)
    pipeline.stop()
    assert isinstance(pipeline.failure, OSError)


def test_what_is_asked_or_appended_after_a_fault_fails_at_once_with_the_fault(partition: Stuck) -> None:
    pipeline = made(partition)
    pipeline.fail(OSError("the disk is gone"))

    for name, future in promises(pipeline).items():
        assert future.done(), name
        with pytest.raises(OSError, match="the disk is gone"):
            future.result()


def test_what_is_asked_or_appended_after_the_end_fails_at_once_and_is_no_fault_of_the_pipeline() -> None:
    pipeline = made(SimpleNamespace(events_clock=False, deadlines=NONE_DUE))
    pipeline.stop()

    for name, future in promises(pipeline).items():
        assert future.done(), name
        with pytest.raises(StoppedError):
            future.result()
    assert pipeline.failure is None


async def test_who_asks_and_goes_away_breaks_nothing() -> None:
    pipeline = made(
        SimpleNamespace(
            name="the partition",
            events_clock=False,
            batch_rows_max=1000,
            process=lambda *_: iter(()),
            deadlines=NONE_DUE,
        )
    )
    begun, go_on = threading.Event(), threading.Event()

    def read(partition: object) -> object:
        begun.set()
        assert go_on.wait(WAIT_S)
        return partition

    waiting = asyncio.wrap_future(pipeline.ask(SUBSCRIBER, read))
    await asyncio.to_thread(begun.wait, WAIT_S)
    waiting.cancel()
    go_on.set()

    assert (await asyncio.wrap_future(pipeline.ask(SUBSCRIBER, lambda one: vars(one)["name"]))) == "the partition"
    pipeline.stop()
    assert pipeline.failure is None
