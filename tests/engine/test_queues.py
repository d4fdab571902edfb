"""What waits between the stages of the flow: in which order it goes on, and how much of it may wait."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from connectors.sources.contract import chunk_of
from engine.flow.fold import Appended
from engine.flow.partition import Item
from engine.flow.queues import FEW_ROWS, TOGETHER_FRAMES_MAX, Queues
from engine.flow.tickets import Ticket

BYTES_MAX = 100


def item(rows: int, key: str = "") -> Item:
    return Item(Ticket(), cast("Any", SimpleNamespace(n=rows)), key=key)


def release(queues: Queues, sequence: int, items: list[Item]) -> None:
    with queues.changed:
        queues.release(sequence, items)


def test_chunks_reach_a_partition_in_the_order_in_which_they_were_taken_however_they_are_decoded() -> None:
    queues = Queues(2, BYTES_MAX)
    with queues.changed:
        first, second, third = (queues.take_sequence() for _ in range(3))
    release(queues, third, [item(1, "third"), item(0, "third")])
    release(queues, second, [])  # a source that had nothing
    assert not any(queues.waiting)

    release(queues, first, [item(1, "first"), item(0, "first")])

    assert [[one.key for one in waiting] for waiting in queues.waiting] == [["first", "third"], ["first", "third"]]
    assert queues.waiting_rows == 2


@pytest.mark.parametrize(
    ("waiting", "taken"), [([9, 1], [9]), ([2, 3, 4], [2, 3]), ([5], [5]), ([1, 0, 0, 6], [1, 0, 0])]
)
def test_a_fold_takes_items_up_to_a_frame_of_rows_and_at_least_one(waiting: list[int], taken: list[int]) -> None:
    queues = Queues(1, BYTES_MAX)
    release(queues, 0, [])
    for sequence, rows in enumerate(waiting, start=1):
        release(queues, sequence, [item(rows)])

    assert [one.batch.n for one in queues.take_items(0, 5) if one.batch is not None] == taken


def test_room_ends_at_the_bound_but_an_empty_queue_takes_anything_and_so_does_one_that_has_failed() -> None:
    queues = Queues(1, BYTES_MAX)
    chunk = chunk_of(b"x" * 60)
    ticket = Ticket(chunk.length)
    assert queues.room(BYTES_MAX + 1)

    queues.push(chunk, ticket)
    assert queues.room(BYTES_MAX - 60)
    assert not queues.room(BYTES_MAX - 59)

    queues.settle([ticket], wake=False)
    assert queues.room(BYTES_MAX + 1)

    queues.push(chunk, Ticket(chunk.length))
    queues.fail(OSError("the disk is gone"))
    assert queues.room(BYTES_MAX)


def test_the_committer_gets_what_was_folded_and_then_the_end() -> None:
    queues = Queues(2, BYTES_MAX)
    frame = Appended(7, 0, 1, None)
    queues.put_uncommitted(1, frame)
    queues.stop()

    assert queues.take_uncommitted() == [[], [frame]]
    assert not queues.empty, "it is being committed"
    queues.committing = [False]
    assert queues.empty
    assert queues.take_uncommitted() is None


def fold(queues: Queues, number: int, rows_max: int = 5_000) -> None:
    items = queues.take_items(number, rows_max)
    queues.folding[number] = True
    queues.put_uncommitted(number, cast("Appended", SimpleNamespace()))
    with queues.changed:
        queues.fold_done(number, sum(one.batch.n for one in items if one.batch is not None))


@pytest.mark.parametrize(("rows", "wakes_after_the_first"), [(10, 0), (FEW_ROWS, 1)])
def test_frames_of_few_rows_wake_the_commit_thread_once_behind_the_last_of_them(
    rows: int, wakes_after_the_first: int
) -> None:
    queues = Queues(2, BYTES_MAX)
    wakes = 0

    def woken() -> None:
        nonlocal wakes
        wakes += 1

    queues.folded = cast("Any", SimpleNamespace(notify=woken))
    with queues.changed:
        queues.take_sequence()
    release(queues, 0, [item(rows), item(rows)])

    fold(queues, 0)
    assert bool(wakes) == bool(wakes_after_the_first)
    fold(queues, 1)

    assert wakes >= 1
    assert queues.waiting_rows == 0


def test_a_partition_that_others_keep_waiting_does_not_wait_for_long() -> None:
    queues = Queues(2, BYTES_MAX)
    wakes = 0

    def woken() -> None:
        nonlocal wakes
        wakes += 1

    queues.folded = cast("Any", SimpleNamespace(notify=woken))
    for sequence in range(TOGETHER_FRAMES_MAX):
        with queues.changed:
            queues.take_sequence()
        release(queues, sequence, [item(1), item(1)])
        assert wakes == 0
        fold(queues, 0, rows_max=1)

    assert wakes == 1
